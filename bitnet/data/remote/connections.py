"""The http connections of a process, and what can go wrong with one."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

from bitnet.data.errors import DataError
from bitnet.data.remote.process import after_fork
from bitnet.data.remote.transport import Trouble, shown

if TYPE_CHECKING:
    import httpx

_IDLE_CONNECTIONS = 64


class Client:
    """The connections of this process, made when first needed and shared by all its files."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Start afresh, as a forked process must."""
        self._lock = threading.Lock()
        self._client: httpx.Client | None = None

    def get(self) -> httpx.Client:
        """The client; safe to use from many threads."""
        import httpx  # slow to import

        with self._lock:
            if self._client is None:
                limits = httpx.Limits(
                    max_connections=None, max_keepalive_connections=_IDLE_CONNECTIONS
                )
                self._client = httpx.Client(limits=limits, follow_redirects=True)
            return self._client


client = Client()
after_fork(client.forget)


def pieces(response: httpx.Response, location: str) -> Iterator[bytes]:
    """The bytes of an answer as they arrive, as they are stored.

    Raises:
        Trouble: the connection broke.
    """
    import httpx

    try:
        yield from response.iter_raw()
    except (httpx.HTTPError, httpx.StreamError, OSError) as error:
        raise failure(location, error) from error


def wake(response: httpx.Response) -> None:
    """Shut the socket down: closing it alone would not end a read that waits in a thread."""
    stream = response.extensions.get("network_stream")
    wire = stream.get_extra_info("socket") if stream is not None else None
    if wire is not None and not response.is_closed:
        try:
            wire.shutdown(socket.SHUT_RDWR)
        except OSError:
            return  # it was closed in the meantime


def failure(location: str, error: Exception) -> Exception:
    """Sort an error of the connection into worth another try, or not."""
    import httpx

    hopeless = (httpx.InvalidURL, httpx.UnsupportedProtocol, httpx.TooManyRedirects)
    detail = str(error).strip().splitlines()[0] if str(error).strip() else ""
    if isinstance(error, hopeless) or "CERTIFICATE_VERIFY_FAILED" in detail:
        return DataError(f"{shown(location)}: cannot be read ({detail or type(error).__name__})")
    if isinstance(error, httpx.TimeoutException):
        return Trouble("no answer in time")
    if isinstance(error, httpx.ConnectError):
        return Trouble(f"no connection: {detail}")
    return Trouble(f"the connection broke: {detail or type(error).__name__}")

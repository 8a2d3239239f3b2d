"""What every way of reaching a file has in common: one request, answered by one body of bytes.

A transport asks once and does not try again; it sorts failures into `Trouble` (worth another try)
and `DataError` (not). Trying again, waiting and giving up belong to `patience.py` alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol
from urllib.parse import urlsplit, urlunsplit

from bitnet.data.errors import DataError


class RemoteInfo(NamedTuple):
    """What identifies the stored bytes of a remote file.

    Attributes:
        size: bytes of the file, or None if its server does not say.
        version: a mark that changes with the content, with its kind in front ("etag …"), or an
            empty string if the server gives none.
    """

    size: int | None
    version: str


class Trouble(Exception):
    """A request failed in a way that may pass; the message is the reason.

    Attributes:
        wait: seconds that the server asks to wait, or 0.
    """

    def __init__(self, reason: str, wait: float = 0.0) -> None:
        super().__init__(reason)
        self.wait = wait


class Cancelled(Exception):
    """The reader no longer wants what is being fetched."""


def _nothing() -> None:
    """What there is to close of bytes that are already here."""


_NOTHING = memoryview(b"")


@dataclass(slots=True)
class Body:
    """The bytes that answer one request, read in order.

    Attributes:
        info: what the answer says about the whole file.
        position: place in the file of the next byte.
        end: place where this body should end, or None if only its end will tell.
        pieces: the bytes as they arrive; raises `Trouble` when the connection breaks.
        close: ends the request.
        wake: makes a stalled `read` in another thread fail at once.
        restartable: whether another request can begin elsewhere at no cost; false where a server
            ignores ranges, so that the body is worth keeping.
    """

    info: RemoteInfo
    position: int
    end: int | None
    pieces: Iterator[bytes]
    close: Callable[[], None] = _nothing
    wake: Callable[[], None] = _nothing
    restartable: bool = True
    _rest: memoryview = _NOTHING

    def read(self, limit: int) -> memoryview:
        """At most `limit` bytes; none at the end of the body.

        Raises:
            Trouble: the connection broke, or the body ended before it should.
        """
        while not self._rest:
            piece = next(self.pieces, None)
            if piece is None:
                self._check_end()
                break
            self._rest = memoryview(piece)
        taken, self._rest = self._rest[:limit], self._rest[limit:]
        self.position += len(taken)
        return taken

    def _check_end(self) -> None:
        if self.end is not None and self.position < self.end:
            missing = self.end - self.position
            raise Trouble(f"the answer ended {missing} bytes too early")


class Transport(Protocol):
    """One remote file and the way to it."""

    location: str
    immutable: bool
    """Whether the address names one version for ever, as a commit of the hub does."""

    def request(self, first: int, end: int | None) -> Body:
        """Ask once for the bytes from `first` to before `end` (None: to the end of the file).

        The body may begin earlier than asked (never later), and may end earlier.

        Raises:
            Trouble: no usable answer; another try may succeed.
            DataError: another try would be no use.
        """
        ...


def scheme_of(location: str) -> str:
    """The part before `://`, in lower case."""
    return location.partition("://")[0].lower()


def shown(location: str) -> str:
    """An address as it may be printed: signed queries and passwords are left out."""
    parts = urlsplit(location)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def changed(location: str) -> DataError:
    """The error for a file that is no longer what this process began to read."""
    return DataError(
        f"{shown(location)}: the file changed while it was being read; nothing of the new version "
        "was used; start again to read it"
    )

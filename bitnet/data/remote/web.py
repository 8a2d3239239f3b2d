"""Files behind http(s): one ranged request, its answer checked before a byte of it is used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, NoReturn

from bitnet.data.errors import DataError
from bitnet.data.remote import answers, connections
from bitnet.data.remote.connections import client
from bitnet.data.remote.transport import Body, RemoteInfo, Trouble, shown

if TYPE_CHECKING:
    import httpx

_READABLE = (200, 206, 416)
_GONE_ELSEWHERE = (400, 401, 403, 404, 410)
_NOT_PACKED = ("", "identity", "aws-chunked")
_PACKED_ENDS = {"gzip": (".gz", ".gzip"), "x-gzip": (".gz", ".gzip"), "zstd": (".zst",)}


class _Direct(NamedTuple):
    """Where an address led to last time, so that its server is not asked again for each chunk."""

    address: str
    mark: str
    version: str


@dataclass
class WebTransport:
    """One file on a web server.

    Attributes:
        location: the address as the user knows it.
        timeout: a server that is silent for so many seconds has failed.
        address: the http(s) address that is asked; `location` if empty.
        headers: sent to that server only, not to where it redirects.
        immutable: whether the address names one version for ever.
        advice: said when the server refuses (401, 403, 404).
    """

    location: str
    timeout: float
    address: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    immutable: bool = False
    advice: str = ""
    _direct: _Direct | None = None

    def request(self, first: int, end: int | None) -> Body:
        """Ask once for a range; see `Transport`."""
        if self._direct is not None:
            response = self._send(self._direct.address, {}, first, end)
            if response.status_code not in _GONE_ELSEWHERE:
                return self._body(response, first)
            response.close()  # signed addresses run out: ask the first server for a new one
            self._direct = None
        address = self.address or self.location
        return self._body(self._send(address, self.headers, first, end), first)

    def _send(
        self, address: str, headers: Mapping[str, str], first: int, end: int | None
    ) -> httpx.Response:
        import httpx

        last = "" if end is None else str(end - 1)
        asked = {**headers, "Range": f"bytes={first}-{last}", "Accept-Encoding": "identity"}
        try:
            request = client.get().build_request(
                "GET", address, headers=asked, timeout=httpx.Timeout(self.timeout)
            )
            return client.get().send(request, stream=True)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            self._direct = None
            raise connections.failure(self.location, error) from error

    def _body(self, response: httpx.Response, first: int) -> Body:
        try:
            return self._checked_body(response, first)
        except BaseException:
            response.close()
            raise

    def _checked_body(self, response: httpx.Response, first: int) -> Body:
        status = response.status_code
        if status not in _READABLE:
            self._refused(response)
        self._refuse_packed(response.headers.get("content-encoding", ""))
        span = answers.span_of(status, response.headers)
        info = RemoteInfo(span.size, self._version(response))
        if status == 416 and span.first <= first:
            return Body(info, first, first, iter(()), response.close)
        if status != 200 and span.first != first:
            raise Trouble(f"asked for bytes from {first}, the answer begins at {span.first}")
        return Body(
            info,
            span.first,
            span.end,
            connections.pieces(response, self.location),
            response.close,
            lambda: connections.wake(response),
            restartable=status != 200,
        )

    def _version(self, response: httpx.Response) -> str:
        """The mark of the content; remembers where redirects led, and which mark it has there."""
        mark = answers.version_of(response.headers)
        if response.history:
            linked = response.history[0].headers.get("x-linked-etag", "")
            version = answers.version_of({"etag": linked}) or mark
            if response.url.host != response.history[0].url.host:
                self._direct = _Direct(str(response.url), mark, version)
            return version
        direct = self._direct
        return direct.version if direct is not None and direct.mark == mark else mark

    def _refused(self, response: httpx.Response) -> NoReturn:
        status = response.status_code
        reason = f"HTTP {status} {response.reason_phrase}".strip()
        if status >= 500 or status in answers.PASSING_STATUS:
            raise Trouble(reason, answers.asked_wait(response.headers))
        if code := response.headers.get("x-error-code"):
            reason += f", {code}"
        advice = f"; {self.advice}" if self.advice else ""
        raise DataError(f"{shown(self.location)}: cannot be read ({reason}){advice}")

    def _refuse_packed(self, encoding: str) -> None:
        """Refuse bytes that were packed for the way: ranges of them mean nothing to a reader."""
        if encoding.lower() in _NOT_PACKED:
            return
        path = shown(self.location).lower()
        if not path.endswith(_PACKED_ENDS.get(encoding.lower(), ("\0",))):
            raise DataError(
                f"{shown(self.location)}: its server packs it for the way (Content-Encoding: "
                f"{encoding}) though it was asked for as it is stored; use another address"
            )

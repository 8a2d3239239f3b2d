"""A web server on this machine that does wrong what servers do wrong, and counts it."""

import socket
import struct
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

STALL_SECONDS = 5.0
WHOLE = ("whole", "chunked", "chunked cut", "untold")
"""Answers that ignore the range."""


@dataclass
class Stored:
    """A file of the server."""

    content: bytes
    etag: str = '"one"'
    modified: str = ""
    headers: dict[str, str] = field(default_factory=dict)


def no_fault(path: str) -> str:
    return ""


class FaultyServer:
    """Serves `files`; `fault(path)` names what goes wrong with the next answer.

    Faults: a status such as "503"; "cut" and "reset" end the body in the middle; "stall" stops in
    the middle and "silence" before the first byte; "short" declares and sends half of the range;
    "unending" sends half and no length; "whole" ignores the range, "chunked" does so without a
    length, "chunked cut" also breaks, "untold" sends all without any mark of its end; "other range"
    sends another range.
    """

    def __init__(self) -> None:
        self.files: dict[str, Stored] = {}
        self.fault: Callable[[str], str] = no_fault
        self.extra: dict[str, str] = {}
        self.redirects: dict[str, tuple[str, dict[str, str]]] = {}
        self.refused: set[str] = set()
        self.injected: Counter[str] = Counter()
        self.requests: list[tuple[str, str, str]] = []
        self.released = threading.Event()
        self._server: ThreadingHTTPServer | None = None
        self.port = 0

    def start(self) -> "FaultyServer":
        self.released.clear()
        self._server = _Server(("127.0.0.1", self.port), self)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def stop(self) -> None:
        self.released.set()
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server.end_connections()
            self._server = None

    def address(self, name: str, host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}/{name}"

    def add(self, name: str, content: bytes, **stored: object) -> str:
        self.files[f"/{name}"] = Stored(content, **stored)  # type: ignore[arg-type]
        return self.address(name)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 64

    def __init__(self, address: tuple[str, int], owner: FaultyServer) -> None:
        self.owner = owner
        self._open: set[socket.socket] = set()
        super().__init__(address, _Handler)

    def process_request(self, request, client_address) -> None:  # type: ignore[no-untyped-def]
        self._open.add(request)
        super().process_request(request, client_address)

    def end_connections(self) -> None:
        for connection in self._open:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue

    def handle_error(self, request, client_address) -> None:  # type: ignore[no-untyped-def]
        pass  # clients that hang up are what these tests are about


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        owner, path = self.server.owner, urlsplit(self.path).path
        asked = self.headers.get("Range", "")
        owner.requests.append((self.path, asked, self.headers.get("Authorization", "")))
        if path in owner.redirects:
            target, headers = owner.redirects[path]
            return self._status(302, {"Location": target, **headers})
        if path not in owner.files or self.path in owner.refused:
            return self._status(403 if self.path in owner.refused else 404, owner.extra)
        fault = owner.fault(path)
        if fault:
            owner.injected[fault] += 1
        if fault.isdecimal():
            return self._status(int(fault), owner.extra)
        if fault == "silence":
            owner.released.wait(STALL_SECONDS)
            self.close_connection = True
            return None
        return self._file(owner.files[path], asked, fault)

    def _status(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _file(self, stored: Stored, asked: str, fault: str) -> None:
        size = len(stored.content)
        first, last = 0, size - 1
        ranged = asked.startswith("bytes=") and fault not in WHOLE
        if ranged:
            low, _, high = asked.removeprefix("bytes=").partition("-")
            first, last = int(low), min(int(high) if high else size - 1, size - 1)
            if first >= size:
                return self._status(416, {"Content-Range": f"bytes */{size}"})
        if fault == "other range" and first:
            first = first // 2
        self._send(stored, first, stored.content[first : last + 1], ranged, fault)
        return None

    def _send(self, stored: Stored, first: int, body: bytes, ranged: bool, fault: str) -> None:
        self.send_response(206 if ranged else 200)
        if ranged:
            last = first + len(body) - 1
            self.send_header("Content-Range", f"bytes {first}-{last}/{len(stored.content)}")
        half = body[: (len(body) + 1) // 2]
        declared = half if fault == "short" else body
        if fault.startswith("chunked"):
            self.send_header("Transfer-Encoding", "chunked")
        elif fault not in ("unending", "untold"):
            self.send_header("Content-Length", str(len(declared)))
        marks = {"ETag": stored.etag, "Last-Modified": stored.modified, **stored.headers}
        for name, value in marks.items():
            if value:
                self.send_header(name, value)
        self.end_headers()
        if fault.startswith("chunked"):
            body = b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in _pieces(body)) + b"0\r\n\r\n"
        broken = fault in ("cut", "reset", "stall", "short", "unending", "chunked cut")
        self.wfile.write(body[: (len(body) + 1) // 2] if broken else body)
        self._end(fault)

    def _end(self, fault: str) -> None:
        if fault == "stall":
            self.wfile.flush()
            self.server.owner.released.wait(STALL_SECONDS)
        if fault == "reset":
            linger = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        if fault in ("cut", "reset", "stall", "unending", "untold", "chunked cut"):
            self.close_connection = True


def _pieces(body: bytes) -> list[bytes]:
    return [body[start : start + 1000] for start in range(0, len(body), 1000)]

"""The pages of one remote file: from disk if they were read before, else fetched until whole.

A page is fetched over as many requests as the network makes of it. What arrived is kept, and the
next request goes on behind it.
"""

from __future__ import annotations

import contextlib
from threading import Event

from bitnet.data.remote import pins
from bitnet.data.remote.patience import Patience
from bitnet.data.remote.spec import NetworkSpec
from bitnet.data.remote.store import PageStore, store_of
from bitnet.data.remote.transport import Body, Cancelled, RemoteInfo, Transport, Trouble
from bitnet.data.remote.ways import transport_to

_PIECE_BYTES = 1 << 16


class RemotePages:
    """Fetches pages of a file; used by one thread at a time.

    Attributes:
        page_bytes: bytes of every page but the last.
    """

    def __init__(self, location: str, network: NetworkSpec) -> None:
        self.page_bytes = network.page_bytes
        self._location = location
        self._transport: Transport = transport_to(location, network)
        self._patience = Patience(location, network)
        self._store: PageStore | None = store_of(network)
        self._body: Body | None = None
        self._end: int | None = None

    @property
    def size(self) -> int | None:
        """Bytes of the file, or None while nothing has said so."""
        known = pins.pinned(self._location)
        return self._end if known is None or known.size is None else known.size

    def info(self, cancel: Event) -> RemoteInfo:
        """What identifies the file; asks its server unless this process did so before."""
        known = pins.pinned(self._location) or self._remembered()
        while known is None:
            try:
                known = self._asked()
            except Trouble as trouble:
                self.close()
                self._patience.failed(trouble, 0, cancel)
        self._patience.progress()
        return known

    def page(self, index: int, run: int, cancel: Event) -> bytes:
        """The page of that number; shorter at the end of the file, empty behind it.

        Args:
            index: number of the page, from 0.
            run: if a request is needed, it asks for so many pages from this one on.
            cancel: ends the waiting early when set.

        Raises:
            DataError: the page cannot be had.
            Cancelled: `cancel` was set.
        """
        if (kept := self._kept(index)) is not None:
            return kept
        data = self._fetched(index * self.page_bytes, run, cancel)
        known = pins.pinned(self._location)
        if self._store and data and known is not None and known.version:
            self._store.keep(self._location, known, self._page_name(index), data)
        return data

    def close(self) -> None:
        """End the request that is under way, if there is one."""
        body, self._body = self._body, None
        if body is not None:
            with contextlib.suppress(Exception):  # of a connection that is broken anyway
                body.close()

    def wake(self) -> None:
        """From another thread: have a stalled request fail now."""
        body = self._body
        if body is not None:
            body.wake()

    def _fetched(self, first: int, run: int, cancel: Event) -> bytes:
        data = bytearray()
        while len(data) < self._length(first):
            position = first + len(data)
            try:
                piece = self._piece(position, first + run * self.page_bytes, len(data))
            except Trouble as trouble:
                self.close()
                self._patience.failed(trouble, position, cancel)
                continue
            if cancel.is_set():
                raise Cancelled
            if not piece and self._end == position:
                break
            data += piece
        self._patience.progress()
        return bytes(data)

    def _piece(self, position: int, end: int, fetched: int) -> memoryview:
        """The next bytes at `position`; none if the request, and perhaps the file, ends there."""
        body = self._body_at(position, end)
        while body.position < position:
            if not body.read(min(_PIECE_BYTES, position - body.position)):
                raise Trouble(f"the answer ended before byte {position}")
        piece = body.read(self.page_bytes - fetched)
        if piece:
            self._patience.progress()
            return piece
        if body.end is None:
            self._end = body.position
            pins.pin(self._location, RemoteInfo(self._end, body.info.version))
        self.close()
        return piece

    def _body_at(self, position: int, end: int) -> Body:
        body = self._body
        if body is not None:
            if body.position == position:
                return body
            if body.position < position and not body.restartable:
                return body
        return self._open(position, end if self.size is None else min(end, self.size))

    def _open(self, first: int, end: int) -> Body:
        self.close()
        body = self._body = self._transport.request(first, end)
        before = pins.pinned(self._location)
        known = pins.pin(self._location, body.info)
        if self._store and known.version and known != before:
            self._store.remember(self._location, known)
        return body

    def _asked(self) -> RemoteInfo | None:
        """What the server says of the file, asked by the same request that reads it."""
        body = self._open(0, 1)
        if body.restartable:
            while body.read(1):
                pass  # to its end, so that the connection can be used again
            self.close()
        return pins.pinned(self._location)

    def _length(self, first: int) -> int:
        """Bytes of the page that begins at `first`, as far as is known."""
        size = self.size
        return self.page_bytes if size is None else max(0, min(self.page_bytes, size - first))

    def _kept(self, index: int) -> bytes | None:
        known = pins.pinned(self._location) or self._remembered()
        if not self._store or known is None or known.size is None or not known.version:
            return None
        length = self._length(index * self.page_bytes)
        return self._store.load(self._location, known, self._page_name(index), length)

    def _remembered(self) -> RemoteInfo | None:
        """What earlier runs knew, if the server says that it still holds or cannot be asked."""
        known = self._store.recall(self._location) if self._store else None
        if known is None:
            return None
        if not self._transport.immutable:
            try:
                return self._asked()
            except Trouble:
                self.close()
        return pins.pin(self._location, known)

    def _page_name(self, index: int) -> str:
        return f"{self.page_bytes}-{index}"

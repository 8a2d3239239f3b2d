"""A remote file as the seekable binary stream that readers and decompressors expect."""

from __future__ import annotations

import io
import os
from threading import Event
from typing import BinaryIO

from bitnet.data.errors import DataError
from bitnet.data.remote.pages import RemotePages
from bitnet.data.remote.readahead import Readahead
from bitnet.data.remote.spec import NetworkSpec
from bitnet.data.remote.transport import shown

_BUFFER_BYTES = 1 << 17
_SECONDS_TO_CLOSE = 0.5


def open_remote(location: str, network: NetworkSpec | None = None) -> BinaryIO:
    """Open a remote file for reading; nothing is asked of its server before the first read.

    Args:
        location: `http(s)://`, `hf://`, `s3://`, `gs://` or another address that fsspec knows.
        network: how to read; the defaults if absent.

    Raises:
        DataError: the address cannot be understood. Reading raises it when the file is not there,
            stays unreachable or changes.
    """
    return io.BufferedReader(RemoteFile(location, network or NetworkSpec()), _BUFFER_BYTES)


class RemoteFile(io.RawIOBase):
    """Read-only, seekable view of a remote file; used by one thread at a time."""

    def __init__(self, location: str, network: NetworkSpec) -> None:
        """Read `location` from its beginning."""
        super().__init__()
        self._location = location
        self._network = network
        self._position = 0
        self._cancel = Event()
        self._begin()

    def _begin(self) -> None:
        """Set up what fetches; nothing is shared with whoever fetched before."""
        self._process = os.getpid()
        self._pages = RemotePages(self._location, self._network)
        self._ahead: Readahead | None = None
        self._index = -1
        self._page = b""
        self._streak = 0

    def readable(self) -> bool:
        """Always true."""
        return True

    def seekable(self) -> bool:
        """Always true: a server that gives no ranges is read again from the beginning."""
        return True

    def tell(self) -> int:
        """Place of the next byte."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to another place; only from the end does this ask the server for the size."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position}.get(whence)
        if base is None:
            base = self._size()
        if base + offset < 0:
            raise ValueError(f"cannot seek to {base + offset}")
        self._position = base + offset
        return self._position

    def readinto(self, buffer: object) -> int:
        """Fill `buffer` with what is left of the present page; 0 means the end of the file."""
        view = memoryview(buffer).cast("B")  # type: ignore[arg-type]  # RawIOBase hands any buffer
        if self._process != os.getpid():
            self._begin()
        size = self._pages.size
        if size is not None and self._position >= size:
            return 0
        index, offset = divmod(self._position, self._network.page_bytes)
        if index != self._index:
            self._page = self._fetched(index)
            self._index = index
        count = max(0, min(len(view), len(self._page) - offset))
        view[:count] = memoryview(self._page)[offset : offset + count]
        self._position += count
        return count

    def close(self) -> None:
        """Stop reading ahead and end the request."""
        if not self.closed and self._process == os.getpid():
            self._cancel.set()
            self._pages.close() if self._ahead is None else self._ahead.stop(_SECONDS_TO_CLOSE)
        super().close()

    def _size(self) -> int:
        size = self._pages.size
        if size is None and self._ahead is None:
            size = self._pages.info(self._cancel).size
        if size is None:
            raise DataError(f"{shown(self._location)}: its server does not say how long it is")
        return size

    def _fetched(self, index: int) -> bytes:
        following = index == self._index + 1 and index > 0
        if not following:
            self._jump()
        elif self._ahead is None and self._network.prefetch_chunks:
            self._ahead = Readahead(self._pages, index, self._network)
        if self._ahead is not None:
            return self._taken(self._ahead)
        run = min(max(1, self._streak), self._network.pages_per_chunk)
        self._streak += 1
        return self._pages.page(index, run, self._cancel)

    def _taken(self, ahead: Readahead) -> bytes:
        try:
            return ahead.take()
        except BaseException:
            self._jump()  # who reads on meets the error again, not an early end
            raise

    def _jump(self) -> None:
        """Forget the order so far; a thread that read ahead keeps its pages and ends with them."""
        self._streak = 0
        if self._ahead is not None:
            self._ahead.stop()
            self._ahead = None
            self._pages = RemotePages(self._location, self._network)

"""Pages fetched before they are asked for, in a thread, within bounds on memory.

A request is made when there is room for all it asks for, so that no connection waits for a slow
reader. Requests begin small and grow: who reads little of a file fetches little of it.
"""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from threading import Event

from bitnet.data.remote.memory import memory
from bitnet.data.remote.pages import RemotePages
from bitnet.data.remote.spec import MEGABYTE, NetworkSpec
from bitnet.data.remote.transport import Cancelled


class Readahead:
    """A thread that fetches the pages of a file from one on, in order, for one reader."""

    def __init__(self, pages: RemotePages, first: int, network: NetworkSpec) -> None:
        """Begin to fetch; `pages` belongs to the thread from now on."""
        self._pages = pages
        self._longest_run = network.pages_per_chunk
        self._window = network.prefetch_chunks * network.pages_per_chunk
        self._bound = int(network.memory_megabytes * MEGABYTE)
        self._cancel = Event()
        self._changed = threading.Condition()
        self._ready: deque[bytes | BaseException] = deque()
        self._waiting = False
        self._ended = False
        self._reserved = 0
        self._thread = threading.Thread(
            target=self._work, args=(first,), name="read ahead", daemon=True
        )
        self._thread.start()

    def take(self) -> bytes:
        """The next page; empty behind the end of the file.

        Raises:
            DataError: it cannot be had.
        """
        with self._changed:
            self._waiting = True
            self._changed.notify_all()
            while not self._ready and not self._ended:
                self._changed.wait()
            self._waiting = False
            page = self._ready.popleft() if self._ready else b""
            self._release(self._pages.page_bytes)
            self._changed.notify_all()
        if isinstance(page, BaseException):
            raise page
        return page

    def stop(self, patience: float = 0.0) -> None:
        """Give up what was read ahead; waits at most `patience` seconds for the thread.

        A thread that is stalled before the first byte of an answer ends by itself when its request
        runs out of time.
        """
        self._cancel.set()
        self._pages.wake()
        with self._changed:
            self._ready.clear()
            self._release(self._reserved)
            self._changed.notify_all()
        self._thread.join(patience)

    def _release(self, amount: int) -> None:
        amount = min(amount, self._reserved)
        self._reserved -= amount
        memory.give_back(amount)

    def _work(self, index: int) -> None:
        first = index
        try:
            while not self._ended:
                wished = min(self._longest_run, max(1, index - first))
                for left in range(self._room_for(wished), 0, -1):
                    if not self._ended:
                        self._put(self._pages.page(index, left, self._cancel))
                        index += 1
        except Cancelled:
            pass
        except BaseException as error:  # the reader, if there still is one, meets it in its place
            with contextlib.suppress(Cancelled):
                self._put(error)
        finally:
            self._ended = True
            self._pages.close()

    def _room_for(self, wished: int) -> int:
        """Wait for room; returns how many pages to fetch.

        One page is always fetched when the reader waits for it, however much others hold.
        """
        with self._changed:
            while not self._cancel.is_set():
                if len(self._ready) + wished <= self._window and self._reserve(wished):
                    return wished
                if self._waiting and not self._ready:
                    return 1
                self._changed.wait()
        raise Cancelled

    def _reserve(self, pages: int) -> bool:
        amount = pages * self._pages.page_bytes
        taken = memory.take(amount, self._bound)
        self._reserved += amount if taken else 0
        return taken

    def _put(self, page: bytes | BaseException) -> None:
        with self._changed:
            if self._cancel.is_set():
                raise Cancelled
            self._ready.append(page)
            self._ended = self._ended or isinstance(page, BaseException) or not page
            self._changed.notify_all()

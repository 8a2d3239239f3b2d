"""Pages of remote files kept on disk, so that the next start need not fetch them again.

Many processes share the folder. A page appears under its name only when it is whole, carries a
hash of itself, and is named after the version of the file it came from; what has not been used for
longest makes way for what comes. A folder that cannot be written, or a full disk, switches the
store off: it exists to save time, and must not end a run.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import logging
import os
from pathlib import Path
from typing import BinaryIO

from bitnet.data.remote import folder
from bitnet.data.remote.spec import NetworkSpec
from bitnet.data.remote.transport import RemoteInfo, shown

log = logging.getLogger(__name__)

_GIGABYTE = 1_000_000_000
_KEPT_SHARE = 0.9
"""Share of the bound that is left after making way, so that it is not done for every page."""


class PageStore:
    """A folder of pages that never holds more than its bound."""

    def __init__(self, root: Path, bound: int) -> None:
        """Keep at most `bound` bytes in `root`, which is made when first needed."""
        self._root = root
        self._bound = bound
        self._off = False

    def load(self, location: str, info: RemoteInfo, page: str, length: int) -> bytes | None:
        """A kept page of `length` bytes, or None if it is not there or damaged."""
        path = self._path(location, info.version, page)
        try:
            kept = path.read_bytes()
        except OSError:
            return None
        data = kept[folder.DIGEST_BYTES :]
        if len(data) == length and folder.digest(data) == kept[: folder.DIGEST_BYTES]:
            folder.used(path)
            return data
        log.debug("%s: damaged, fetched again", path)
        with contextlib.suppress(OSError):
            path.unlink()
        return None

    def keep(self, location: str, info: RemoteInfo, page: str, data: bytes) -> None:
        """Keep a page, unless it is kept already."""
        path = self._path(location, info.version, page)
        if not path.exists():
            self._write(path, folder.digest(data) + data)

    def recall(self, location: str) -> RemoteInfo | None:
        """The version of a file that was read last, or None."""
        path = self._path(location, "", "info")
        try:
            kept = json.loads(path.read_text("utf-8"))
            folder.used(path)
            return RemoteInfo(int(kept["size"]), str(kept["version"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def remember(self, location: str, info: RemoteInfo) -> None:
        """Note the version of a file, so that its pages are found while its server is away."""
        note = {"location": shown(location), "size": info.size, "version": info.version}
        if info.size is not None:
            self._write(self._path(location, "", "info"), json.dumps(note).encode())

    def _path(self, location: str, version: str, page: str) -> Path:
        key = hashlib.blake2b(f"{location}\n{version}".encode(), digest_size=16).hexdigest()
        return self._root / key[:2] / f"{key}-{page}"

    def _write(self, path: Path, content: bytes) -> None:
        if self._off or len(content) > self._bound:
            return
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # Written under the lock: what is reserved and what is there never differ.
            with folder.locked(self._root / "lock") as lock:
                self._make_way(lock, len(content))
                folder.write_whole(path, content)
        except (OSError, ImportError) as error:
            self._off = True
            log.warning("the cache in %s is off: %s; reading goes on", self._root, error)

    def _make_way(self, lock: BinaryIO, room: int) -> None:
        """Reserve `room` bytes below the bound, removing what was not used for longest."""
        total = folder.number_in(lock)
        if total is None or total + room > self._bound:
            total = self._evict(room)
        lock.seek(0)
        lock.truncate()
        lock.write(str(total + room).encode())
        lock.flush()

    def _evict(self, room: int) -> int:
        """Remove the oldest files until `room` more bytes fit; returns the bytes that are left."""
        found = sorted(folder.files(self._root))
        total = sum(size for _, _, size in found)
        if total + room <= self._bound:
            return total
        target = max(0, min(self._bound - room, int(self._bound * _KEPT_SHARE)))
        for _, path, size in found:
            if total <= target:
                break
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
            total -= size
        return total


@functools.cache
def _store_in(root: Path, bound: int) -> PageStore:
    return PageStore(root, bound)


def store_of(network: NetworkSpec) -> PageStore | None:
    """The store of these settings, one in each process, or None if it is switched off."""
    bound = int(network.cache_gigabytes * _GIGABYTE)
    if not bound:
        return None
    # The pocket room stands on readers and sources, which stand on this one.
    from bitnet.data.pocket.cache import cache_folder

    return _store_in(cache_folder(network.cache_dir) / "remote", bound)

"""What is known of remote files without reading them."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Event

from bitnet.data.remote.pages import RemotePages
from bitnet.data.remote.spec import NetworkSpec
from bitnet.data.remote.transport import Cancelled, RemoteInfo

_AT_ONCE = 16


def stat_remote(location: str, network: NetworkSpec | None = None) -> RemoteInfo:
    """Size and version of a remote file, asked once in each process.

    It asks by a range of one byte, the request that also reads: a HEAD may be answered by another
    server than a GET, or refused by a signed address.

    Raises:
        DataError: the file is not there or stays unreachable.
    """
    return _stat(location, network or NetworkSpec(), Event())


def stat_many(locations: Sequence[str], network: NetworkSpec | None = None) -> list[RemoteInfo]:
    """What `stat_remote` says of each file, many asked at a time.

    Raises:
        DataError: one of them is not there or stays unreachable; the rest is not waited for.
    """
    stop = Event()

    def ask(location: str) -> RemoteInfo:
        return _stat(location, network or NetworkSpec(), stop)

    with ThreadPoolExecutor(_AT_ONCE, "stat") as pool:
        asked = [pool.submit(ask, location) for location in locations]
        try:
            return [each.result() for each in asked]
        except BaseException:
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _stat(location: str, network: NetworkSpec, stop: Event) -> RemoteInfo:
    if stop.is_set():
        raise Cancelled
    pages = RemotePages(location, network)
    try:
        return pages.info(stop)
    finally:
        pages.close()

"""The version of each file that this process began to read.

A file is opened many times in a run (for its ranges, for every epoch); all its readers must see the
same version. Children that are forked from a process keep to what it saw.
"""

from __future__ import annotations

from bitnet.data.remote.answers import differs
from bitnet.data.remote.transport import RemoteInfo, changed

_seen: dict[str, RemoteInfo] = {}


def pinned(location: str) -> RemoteInfo | None:
    """What this process knows of a file, or None before its first answer."""
    return _seen.get(location)


def pin(location: str, info: RemoteInfo) -> RemoteInfo:
    """Note what an answer says; returns what is known of the file from now on.

    Raises:
        DataError: the file is not the one that was read before.
        Trouble: the answer contradicts itself; another try may be better.
    """
    known = _seen.get(location)
    if known is not None and differs(known, info):
        raise changed(location)
    known = RemoteInfo(
        info.size if known is None or known.size is None else known.size,
        (known.version if known is not None else "") or info.version,
    )
    _seen[location] = known
    return known


def forget(location: str) -> None:
    """Read the file as it will be from now on, whatever it was before."""
    _seen.pop(location, None)

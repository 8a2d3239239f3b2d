"""What the status and the headers of an HTTP answer say, as values; nothing here does any I/O."""

from __future__ import annotations

import email.utils
import re
import time
from collections.abc import Mapping
from typing import NamedTuple

from bitnet.data.remote.transport import RemoteInfo, Trouble

_RANGE = re.compile(r"bytes\s+(?:(\d+)-(\d+)|\*)/(\d+|\*)")
_RESET = re.compile(r";\s*t=(\d+)")
PASSING_STATUS = (408, 425, 429)
"""Answers below 500 after which another try may succeed."""


class Span(NamedTuple):
    """Which bytes an answer carries: from `first` to before `end`, of `size` in the whole file."""

    first: int
    end: int | None
    size: int | None


def span_of(status: int, headers: Mapping[str, str]) -> Span:
    """The bytes that an answer with status 200, 206 or 416 carries.

    Raises:
        Trouble: the headers do not say, so that a cut connection could pass for the end.
    """
    if status == 200:
        return _whole(headers)
    found = _RANGE.fullmatch(headers.get("content-range", "").strip())
    first, last, size = found.groups() if found else ("", "", "*")
    total = None if size == "*" else int(size)
    if not first and total is None:
        raise Trouble(f"HTTP {status} without a usable Content-Range")
    if not first:
        return Span(total or 0, total, total)
    return Span(int(first), int(last) + 1, total)


def _whole(headers: Mapping[str, str]) -> Span:
    length = headers.get("content-length", "")
    if length.isdecimal():
        return Span(0, int(length), int(length))
    if "chunked" in headers.get("transfer-encoding", "").lower():
        return Span(0, None, None)
    raise Trouble("the server does not say how long the file is")


def version_of(headers: Mapping[str, str]) -> str:
    """The mark of the content, with its kind in front, or an empty string."""
    if tag := headers.get("etag", "").strip():
        return f"etag {tag.removeprefix('W/')}"
    if moment := headers.get("last-modified", "").strip():
        return f"modified {moment}"
    return ""


def differs(pinned: RemoteInfo, seen: RemoteInfo) -> bool:
    """Whether an answer belongs to another version of the file.

    Raises:
        Trouble: the answer does not say, or claims another size for the same version.
    """
    kind = pinned.version.split(" ")[0]
    if kind and kind != seen.version.split(" ")[0]:
        raise Trouble(f"the answer does not tell the version of the file (its {kind})")
    if kind and pinned.version != seen.version:
        return True
    if None in (pinned.size, seen.size) or pinned.size == seen.size:
        return False
    if kind == "etag":
        raise Trouble(f"the answer claims {seen.size} bytes, the file has {pinned.size}")
    return True


def asked_wait(headers: Mapping[str, str]) -> float:
    """Seconds that the server asks to wait (Retry-After, or the hub's RateLimit), or 0."""
    value = headers.get("retry-after", "").strip()
    if value.isdecimal():
        return float(value)
    if moment := email.utils.parsedate_tz(value):
        return max(0.0, email.utils.mktime_tz(moment) - time.time())
    reset = _RESET.search(headers.get("ratelimit", ""))
    return float(reset[1]) if reset else 0.0

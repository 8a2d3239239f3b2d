"""Holds Ctrl-C and SIGTERM back while a file is written.

An exception out of a signal tears torch's writer: it reports a failed write, and when it is
destroyed it writes once more, into a closed file, of which the process dies.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def signals_held() -> Iterator[None]:
    """Within it SIGINT and SIGTERM are noted; they arrive when it ends, each once.

    Only a main thread can hold them, and only from handlers that Python set; elsewhere this does
    nothing.
    """
    told: dict[int, None] = {}

    def note(number: int, frame: FrameType | None) -> None:
        told[number] = None

    before = {}
    if threading.current_thread() is threading.main_thread():
        for kind in (signal.SIGINT, signal.SIGTERM):
            if callable(handler := signal.getsignal(kind)):
                before[kind] = handler
                signal.signal(kind, note)
    try:
        yield
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)
        for number in told:
            signal.raise_signal(number)

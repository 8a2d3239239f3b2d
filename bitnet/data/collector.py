"""Holds Python's garbage collector off while many small lasting objects are made.

A manifest of ten thousand shards is two hundred thousand objects, none of them garbage; the
collector would go through all that a process holds again and again and double the time of opening.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collector_paused() -> Iterator[None]:
    """Collect nothing inside; afterwards the collector is on or off as it was."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()

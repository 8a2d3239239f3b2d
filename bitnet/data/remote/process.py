"""State that belongs to one process, made anew in the children that DataLoader forks.

A connection shared with the parent would mix two answers in one socket, and a lock that another
thread held at the moment of the fork would never open again.
"""

from __future__ import annotations

import os
from collections.abc import Callable


def after_fork(forget: Callable[[], None]) -> None:
    """Have `forget` called in every child that is forked from this process."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=forget)

"""What all files of a process together may hold read ahead."""

from __future__ import annotations

import threading

from bitnet.data.remote.process import after_fork


class ReadMemory:
    """Bytes that are reserved at the moment, and the most there ever were."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Start afresh, as a forked process must."""
        self._lock = threading.Lock()
        self.used = 0
        self.peak = 0

    def take(self, amount: int, bound: int) -> bool:
        """Reserve an amount if it fits below the bound."""
        with self._lock:
            if self.used + amount > bound:
                return False
            self.used += amount
            self.peak = max(self.peak, self.used)
            return True

    def give_back(self, amount: int) -> None:
        """End a reservation."""
        with self._lock:
            self.used -= amount


memory = ReadMemory()
after_fork(memory.forget)

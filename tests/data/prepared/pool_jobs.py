"""Jobs for worker processes, in a module that is imported fast: each worker does it."""

import os
import signal
import time
from collections.abc import Callable


def killed(job: int, report: Callable[[int], None]) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return job


def failing(job: int, report: Callable[[int], None]) -> int:
    raise ArithmeticError("planted")


def slow(job: int, report: Callable[[int], None]) -> int:
    report(job)
    time.sleep(60)
    return job


def double(job: int, report: Callable[[int], None]) -> int:
    report(1)
    return 2 * job

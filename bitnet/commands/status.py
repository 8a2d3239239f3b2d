"""``bitnet status``: what a run directory tells about its run, dead or alive."""

from __future__ import annotations

import time

from rich.console import Console

from bitnet.runs import RunDirectory
from bitnet.runs.status import render, status


def show_status(place: str) -> None:
    """Print progress, state, last losses and time left of the run at ``place``."""
    run = RunDirectory.open(place)
    Console().print(render(status(run, time.time())))

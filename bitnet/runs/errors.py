"""The one error of this room, and the search for the name somebody meant."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class RunError(ValueError):
    """A folder or file is not what a run directory holds; the message is one line for the user."""


def nearest(name: str, valid: Iterable[str]) -> str:
    """``"; did you mean 'x'?"`` for the closest valid name, or nothing if none is close."""
    close = get_close_matches(name, list(valid), n=1)
    return f"; did you mean '{close[0]}'?" if close else ""

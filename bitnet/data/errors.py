"""One exception for everything a user or a file can get wrong in the data room.

A single class keeps the callers simple: commands print its one line and leave; DataLoader workers
send it to the main process unchanged, because it is built from that line alone.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class DataError(ValueError):
    """A corpus, a record or a setting is unusable; the message is one line for the user."""


def describe_unknown(name: str, known: Iterable[str]) -> str:
    """Say that `name` is not among `known`, with the nearest known name if one is close."""
    names = list(known)
    close = difflib.get_close_matches(name, names, n=1)
    hint = f"; did you mean '{close[0]}'?" if close else ""
    listing = ", ".join(names) if names else "nothing"
    return f"'{name}' is unknown (there is: {listing}){hint}"

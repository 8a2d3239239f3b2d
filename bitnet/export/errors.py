"""The fault of this room that is meant for the user."""

from __future__ import annotations


class WeightsError(ValueError):
    """Stored weights cannot be used; the message says why, a line a reason."""

"""The fault of this room that is meant for the user; importable without Lightning."""

from __future__ import annotations


class CheckpointError(RuntimeError):
    """A checkpoint could not be written or read; the message says which and what to do."""

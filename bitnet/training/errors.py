"""The faults of this room that are meant for the user; importable without Lightning."""

from __future__ import annotations


class CheckpointError(RuntimeError):
    """A checkpoint could not be written or read; the message says which and what to do."""


class FeedStopped(RuntimeError):
    """The data cannot be read on; raised on all ranks at once, so they can still save together."""

"""The faults of this room that are meant for the user; importable without Lightning."""

from __future__ import annotations


class CheckpointError(RuntimeError):
    """A checkpoint could not be written or read; the message says which and what to do."""


class ShardingError(ValueError):
    """A model cannot be shared out as asked; the message says why and what to use instead."""


class FeedStopped(RuntimeError):
    """The data cannot be read on; raised on all ranks at once, so they can still save together."""


class ToldToStop(SystemExit):
    """A rank got SIGTERM or Ctrl-C; raised on all ranks at once, so they can save together."""

"""What a job gives back to a sweeper: its validation loss, which knows how it came about."""

from __future__ import annotations


class JobResult(float):
    """The final validation loss in nats a token; not a number if there is none.

    A plain number to any sweeper, and it travels between processes.

    Attributes:
        state: one of :data:`bitnet.runs.record.STATES`.
        error: one line, if it failed.
    """

    state: str
    error: str | None

    def __new__(cls, loss: float, state: str, error: str | None = None) -> JobResult:
        """A loss with its story."""
        made = super().__new__(cls, loss)
        made.state, made.error = state, error
        return made

    def __getnewargs__(self) -> tuple[float, str, str | None]:  # type: ignore[override]
        """For pickling: what ``__new__`` takes."""
        return float(self), self.state, self.error

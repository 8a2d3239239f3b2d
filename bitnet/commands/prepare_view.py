"""What ``bitnet prepare`` shows: a bar in a terminal, lines elsewhere, and a table at the end."""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, TextColumn
from rich.progress import Progress as Bar
from rich.table import Table

from bitnet.data.prepared.manifest import Manifest, totals
from bitnet.data.prepared.work import Progress
from bitnet.runs.human import duration, short

_SECONDS_BETWEEN_LINES = 10.0


class ProgressView:
    """Follows the work.

    Attributes:
        made: tokens made so far.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bar: Bar | None = None
        self._started: float | None = None
        self._stored_before = 0
        self._next_line = 0.0
        self._last: Progress | None = None
        self.made = 0

    def __enter__(self) -> ProgressView:
        """Open the bar, in a terminal."""
        if self._console.is_terminal:
            columns = BarColumn(bar_width=None), TextColumn("{task.fields[line]}")
            self._bar = Bar(*columns, console=self._console, transient=True)
            self._bar.add_task("", total=1.0, line="")
            self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the bar; an interrupted user is told how to go on."""
        if self._bar is not None:
            self._bar.stop()
        if isinstance(error, KeyboardInterrupt) and self._last is not None:
            done, of = self._last.shards, self._last.all_shards
            self._console.print(f"{done} of {of} shards are finished; the same command goes on")

    def show(self, progress: Progress) -> None:
        """Take note of how far the work is."""
        now = time.monotonic()
        if self._started is None:
            self._started, self._stored_before = now, progress.stored
        self._last, self.made = progress, progress.tokens
        share = _share(progress)
        line = self._line(progress, share, now - self._started)
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], completed=share, line=line)
        elif now >= self._next_line:
            self._next_line = now + _SECONDS_BETWEEN_LINES
            self._console.print(line)

    def show_quality(self, what: str, done: int, of: int) -> None:
        """Take note of how far the quality steps are."""
        line = f"quality: {what}, {done} of {of}"
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], completed=done / max(1, of), line=line)
        elif time.monotonic() >= self._next_line:
            self._next_line = time.monotonic() + _SECONDS_BETWEEN_LINES
            self._console.print(line)

    def _line(self, progress: Progress, share: float, seconds: float) -> str:
        rate = progress.tokens / seconds if seconds else 0.0
        parts = [f"{share:4.0%}", f"{progress.shards}/{progress.all_shards} shards"]
        parts += [f"{short(progress.tokens)} tokens", f"{short(rate)} tokens/s"]
        if progress.broken:
            parts.append(f"{progress.broken} unusable")
        read = progress.stored - self._stored_before
        if read > 0 and seconds > 0:
            left = (progress.all_stored - progress.stored) * seconds / read
            parts.append(f"ETA {duration(left)}")
        return "  ".join(parts)


def _share(progress: Progress) -> float:
    """Done of the stored bytes; of the shards where no size is known."""
    if progress.all_stored:
        return progress.stored / progress.all_stored
    return progress.shards / max(1, progress.all_shards)


def show_result(
    console: Console, output: str, manifest: Manifest, made: int, seconds: float
) -> None:
    """Print what the folder holds, source by source, and what was left out."""
    console.print(f"{escape(output)}: {escape(manifest.corpus)}", soft_wrap=True)
    table = Table("source")
    for column in ("documents", "tokens", "held out", "left out", "on disk"):
        table.add_column(column, justify="right")
    for name, shards in manifest.shards.items():
        sums = totals(shards)
        table.add_row(
            escape(name),
            f"{sums['documents']:,}",
            f"{sums['tokens']:,}",
            f"{sums['held_out_tokens']:,}",
            f"{sum(sums['dropped'].values()) + sums['empty'] + sums['broken']:,}",
            f"{short(sums['stored_bytes'])}B",
        )
    console.print(table)
    _show_left_out(console, manifest)
    console.print(
        f"{short(made)} tokens made in {duration(seconds)}, {short(made / seconds)} tokens/s"
        if made
        else "every shard was finished before"
    )
    console.print(f"train from it: data=prepared data.path={escape(output)}", soft_wrap=True)


def _show_left_out(console: Console, manifest: Manifest) -> None:
    """Why records were left out, and the first of those that could not be used."""
    for name, shards in manifest.shards.items():
        sums = totals(shards)
        reasons = {**sums["dropped"], "empty": sums["empty"], "unusable": sums["broken"]}
        for reason, count in reasons.items():
            if count:
                console.print(f"  {escape(name)}: {count:,} left out: {escape(reason)}")
        faults = [fault for shard in shards for fault in shard.faults]
        for fault in faults[:3]:
            console.print(f"    {escape(fault)}", soft_wrap=True)

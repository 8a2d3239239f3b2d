"""Three runs on the same tokens: BitNet by its fast engine, by the reference, and the dense twin.

They are ordinary runs of ``bitnet train``, each in a process of its own, with the same seed, batch,
schedule and budget; what comes out is read from their run directories.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.train.runner import HOME
from benchmarks.train.shapes import Shape
from bitnet.runs.canvas import INK, PALETTE, EndLabel, figure, label, label_ends, save
from bitnet.runs.curves import Curve, Rows, curve
from bitnet.runs.directory import RunDirectory

KINDS = {
    "bitnet int8": ("linear=bitnet", "linear.engine=int8"),
    "bitnet reference": ("linear=bitnet", "linear.engine=reference"),
    "dense": ("linear=dense",),
}
_COLOURS = dict(zip(KINDS, (PALETTE[0], PALETTE[1], INK), strict=True))
_LOOKS = 200  # log steps of a run
_VALIDATIONS = 8


@dataclass(frozen=True)
class Recipe:
    """What all of them train.

    Attributes:
        shape: of the model; its batch and length too.
        tokens: folder that ``bitnet prepare`` made.
        budget: tokens to train on.
        trainer: config of that group.
        more: further overrides of every run.
    """

    shape: Shape
    tokens: Path
    budget: int
    trainer: str = "gpu"
    more: tuple[str, ...] = ()

    def overrides(self, kind: str, folder: Path) -> list[str]:
        """The command line of one run."""
        shape, step = self.shape, self.shape.tokens
        sizes = {"dim": shape.dim, "layers": shape.layers, "heads": shape.heads}
        sizes |= {"ffn_dim": shape.ffn_dim, "max_sequence_length": shape.length}
        return [
            f"name={kind.replace(' ', '-')}",
            f"run_dir={folder}",
            *KINDS[kind],
            "data=prepared",
            f"data.path={self.tokens}",
            f"validation.fraction={held_out(self.tokens)}",
            f"model.name={shape.name}",
            *(f"model.{key}={value}" for key, value in sizes.items()),
            f"trainer={self.trainer}",
            "logger=csv",
            "callbacks=quiet",
            f"budget.tokens={self.budget}",
            f"batch.size={shape.batch}",
            f"batch.micro={shape.batch}",
            f"batch.sequence_length={shape.length}",
            f"logger.every_tokens={max(self.budget // _LOOKS, step)}",
            f"validation.every_tokens={max(self.budget // _VALIDATIONS, step)}",
            f"checkpoint.every_tokens={self.budget}",
            *self.more,
        ]


def held_out(folder: Path) -> float:
    """The share of documents that was held out when the tokens were made."""
    manifest = json.loads((folder / "manifest.json").read_text())
    return float(manifest["held_out_fraction"])


def train_twins(
    recipe: Recipe, folder: Path, kinds: Sequence[str], say: Callable[[str], None]
) -> list[dict[str, Any]]:
    """Train them one after the other.

    Returns:
        A row a kind: ``contender``, ``tokens``, ``train_loss`` and ``val_loss`` at the end,
        ``tokens_per_second`` (median of the log steps), ``mfu``, ``peak_bytes``, ``seconds`` and
        ``curve`` (``[tokens, seconds, training loss]`` of each log step); or ``note`` where it
        failed.
    """
    rows = []
    for kind in kinds:
        where = folder / kind.replace(" ", "_")
        command = [sys.executable, "-m", "bitnet.cli", "train", *recipe.overrides(kind, where)]
        done = subprocess.run(command, cwd=HOME, capture_output=True, text=True, check=False)
        if done.returncode:
            said = [line for line in done.stderr.splitlines() if line.strip()] or ["no word"]
            rows.append({"contender": kind, "note": said[-1].strip()})
        else:
            rows.append(summary(kind, RunDirectory(where).metrics().read()))
        say(json.dumps({key: value for key, value in rows[-1].items() if key != "curve"}))
    return rows


def summary(kind: str, rows: Rows) -> dict[str, Any]:
    """A run's row, out of its metrics."""
    speeds = curve(rows, "tokens_per_second").values
    peaks, shares = curve(rows, "peak_memory_bytes").values, curve(rows, "mfu").values
    found: dict[str, Any] = {"contender": kind, "tokens": int(curve(rows, "train/loss").tokens[-1])}
    for key, column in (("train_loss", "train/loss"), ("val_loss", "val/loss")):
        values = curve(rows, column).values
        found |= {key: round(values[-1], 4)} if values else {}
    found |= {"tokens_per_second": round(median(speeds))} if speeds else {}
    found |= {"mfu": round(median(shares), 4)} if shares else {}
    found |= {"peak_bytes": int(max(peaks))} if peaks else {}
    found["seconds"] = round(max(curve(rows, "elapsed_seconds").values, default=0.0), 1)
    columns = ("tokens", "elapsed_seconds", "train/loss")
    points = [[row.get(column) for column in columns] for row in rows]
    return found | {"curve": [point for point in points if None not in point]}


def draw(folder: Path, kinds: Sequence[str], title: str, path: Path) -> bool:
    """Loss of all runs against tokens and against time; whether there was anything to draw."""
    runs = {kind: RunDirectory(folder / kind.replace(" ", "_")) for kind in kinds}
    metrics = {k: run.metrics().read() for k, run in runs.items() if run.metrics_file.exists()}
    if not any(metrics.values()):
        return False
    sheet, (tokens, seconds) = figure(title)
    ends = []
    for kind, rows in metrics.items():
        colour = _COLOURS[kind]
        train, val = curve(rows, "train/loss"), curve(rows, "val/loss")
        tokens.plot(train.tokens, train.values, color=colour, linewidth=0.8, alpha=0.5)
        tokens.plot(val.tokens, val.values, color=colour, linewidth=1.8)
        timed = _against_time(rows)
        seconds.plot(timed.tokens, timed.values, color=colour, linewidth=1.0)
        last = (val or train).values[-1]
        ends.append(EndLabel(f"{kind}  {last:.3f}", last, colour))
    label(tokens, "By tokens (strong: validation, light: training)", "loss (nats per token)")
    label_ends(tokens, ends)
    label(seconds, "By time (training)", "loss (nats per token)")
    seconds.set_xlabel("seconds")
    save(sheet, path)
    return True


def _against_time(rows: Rows) -> Curve:
    points = [
        (at, loss)
        for row in rows
        if (at := row.get("elapsed_seconds")) is not None
        and (loss := row.get("train/loss")) is not None
    ]
    return Curve([at for at, _ in points], [loss for _, loss in points])

"""What a run says at its start and at its end."""

from __future__ import annotations

from math import exp
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bitnet.commands.build import step_plan
from bitnet.config import TrainConfig
from bitnet.nn import Transformer
from bitnet.runs import RunDirectory
from bitnet.training.display import short
from bitnet.training.peak import Peak


def print_header(
    console: Console,
    config: TrainConfig,
    run: RunDirectory,
    net: Transformer,
    checkpoint: Path | None,
    peak: Peak,
    engine: str | None,
) -> None:
    """Model, data, budget and place, in a few lines."""
    counts, plan, sources = net.parameter_counts(), step_plan(config), len(config.mix.names)
    ternary = f", {short(counts['ternary'])} of them ternary" if counts["ternary"] else ""
    batch = f"{config.batch.size} x {config.batch.sequence_length} tokens a step"
    compiled = "compiled (the first step takes a while)" if config.compile == "always" else "eager"
    lines = {
        "model": f"{config.name}: {short(counts['total'])} parameters{ternary}",
        "data": f"{config.data.name}, {sources} sources, tokenizer {config.tokenizer}",
        "budget": f"{short(plan.total_tokens)} tokens = {plan.steps:,} steps of {batch}",
        "compute": f"{config.trainer.accelerator}, {config.precision.compute}, {compiled}",
        "run": str(run.path),
    }
    if engine is not None:
        lines["engine"] = engine
    if peak.flops is not None:
        lines["compute"] += f"; MFU against {short(peak.flops)}FLOP/s ({peak.source})"
    if checkpoint is not None:
        lines["resumed"] = f"from {checkpoint.resolve().name}"
    for key, text in lines.items():
        console.print(f"{key:>8}  {text}", highlight=False, markup=False, soft_wrap=True)


def print_summary(console: Console, run: RunDirectory) -> None:
    """The last validation by source, and the last samples."""
    rows = [row for row in run.metrics().read() if row.get("val/loss") is not None]
    if rows:
        last = {key: value for key, value in rows[-1].items() if value is not None}
        values = {key[4:]: value for key, value in last.items() if key.startswith("val/")}
        title = f"validation after {short(last['tokens'])} tokens"
        console.print(losses_table(values, title))
    console.print(_data_table(run.record()["data_read"] or []))
    _print_sample(console, run)
    console.print(f"run directory: {run.path}", highlight=False, soft_wrap=True)


def losses_table(values: dict[str, float], title: str) -> Table:
    """Losses by source and in total.

    Args:
        values: ``loss``, ``loss/<source>``, ``bits_per_byte``, ``bits_per_byte/<source>``.
        title: what was measured.
    """
    table = Table("source", title=title, title_justify="left")
    for name in ("loss (nats/token)", "perplexity", "bits/byte"):
        table.add_column(name, justify="right")
    sources = [key.removeprefix("loss/") for key in values if key.startswith("loss/")]
    for source in sources:
        table.add_row(source, *_cells(values, f"/{source}"))
    table.add_section()
    table.add_row("the mix", *_cells(values, ""))
    return table


def _cells(values: dict[str, float], suffix: str) -> list[str]:
    loss, bits = values[f"loss{suffix}"], values.get(f"bits_per_byte{suffix}")
    return [f"{loss:.4f}", f"{exp(loss):.1f}", "" if bits is None else f"{bits:.4f}"]


def _data_table(read: list[dict[str, float]]) -> Table:
    """What each source really gave to the run, and what could not be used of it."""
    table = Table("source", title="data trained on", title_justify="left")
    for name in ("weight", "realised", "tokens", "documents", "epochs", "unusable"):
        table.add_column(name, justify="right")
    for row in read:
        table.add_row(
            str(row["name"]),
            f"{row['weight']:.2%}",
            f"{row['share']:.2%}",
            short(row["tokens"]),
            f"{row['documents']:,}",
            f"{row['epochs']:.2f}",
            f"{row['empty'] + row['broken']:,}",
        )
    return table


def _print_sample(console: Console, run: RunDirectory) -> None:
    if run.samples_file.exists():
        last = run.samples_file.read_text("utf-8").rpartition("\n## ")[2]
        console.print("last samples, " + last.strip(), highlight=False, markup=False)

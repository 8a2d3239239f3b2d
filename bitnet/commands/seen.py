"""``bitnet data at RUN step=1234``: the documents that a run saw in one optimizer step.

For whoever stands before a spike in the loss. A prepared set is asked directly; a stream is read
again from the newest checkpoint before that step (or from the beginning), which gives the same
samples and takes as long as reading does.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.text import Text

from bitnet.commands.build import open_data
from bitnet.config import ConfigError, TrainConfig
from bitnet.config.errors import nearest
from bitnet.config.saved import from_plain, read_plain
from bitnet.data import Tokenizer, load_tokenizer
from bitnet.data.prepared.provenance import DocumentAt, SampleAt
from bitnet.data.prepared_mixture import PreparedMixture
from bitnet.data.replay import Replay
from bitnet.runs import RunDirectory
from bitnet.training.checkpoint_io import read_checkpoint

_KEYS = ("step", "samples", "characters")
_DATA_STATE = "MixtureModule"


def seen_verb(arguments: list[str]) -> None:
    """Print the samples of a step.

    Args:
        arguments: the run directory, ``step=N`` (counted from 1), and optionally ``samples=N``
            (how many of the step's samples) and ``characters=N`` (of each document).

    Raises:
        ConfigError: the arguments make no sense.
    """
    places = [each for each in arguments if "=" not in each]
    values = _values([each for each in arguments if "=" in each])
    if len(places) != 1 or "step" not in values:
        raise ConfigError("takes a run directory and a step: bitnet data at RUN_DIR step=1234")
    run = RunDirectory.open(Path(places[0]))
    config = from_plain(read_plain(run.config_file), run.record()["kinds"])
    size, step = config.batch.size, values["step"]
    steps = config.budget.tokens // (size * config.batch.sequence_length)
    if not 1 <= step <= max(1, steps):
        raise ConfigError(f"step: {step} is not one of the run's steps 1 to {steps:,}")
    tokenizer = load_tokenizer(str(run.path / "tokenizer.json"))
    count = min(size, values.get("samples", size))
    found = find_samples(run, config, tokenizer, (step - 1) * size, count)
    show(found, tokenizer, step, values.get("characters", 240))


def find_samples(
    run: RunDirectory, config: TrainConfig, tokenizer: Tokenizer, first: int, count: int
) -> list[SampleAt]:
    """Samples ``first … first + count - 1`` that ``run`` was (or will be) trained on."""
    feed = open_data(config, tokenizer).feed()
    if isinstance(feed, PreparedMixture):
        return [feed.feed.sample(number) for number in range(first, first + count)]
    batch = first // config.batch.micro
    return Replay(feed.plan, _position_before(run, batch)).samples(first, count)


def _position_before(run: RunDirectory, batch: int) -> dict[str, Any] | None:
    """The data's position in the newest checkpoint that is not past a global batch."""
    for path in sorted(run.checkpoints.glob("tokens-*.ckpt"), reverse=True):
        position: dict[str, Any] = read_checkpoint(path)[_DATA_STATE]
        if position["trained_batches"] * position["world_size"] <= batch:
            return position
    return None


def show(samples: list[SampleAt], tokenizer: Tokenizer, step: int, characters: int) -> None:
    """Print samples document by document."""
    console = Console(highlight=False)
    for sample in samples:
        window = "" if sample.window is None else f", window {sample.window:,}"
        console.print(
            f"[bold]step {step:,}, sample {sample.number:,}[/]: {escape(sample.source)}, "
            f"pass {sample.epoch + 1}{window}, {len(sample.tokens):,} tokens"
        )
        for document in sample.documents:
            _show_document(console, sample, document, tokenizer, characters)


def _show_document(
    console: Console, sample: SampleAt, at: DocumentAt, tokenizer: Tokenizer, characters: int
) -> None:
    text = tokenizer.decode(sample.tokens[at.first : at.last].tolist())
    begins = f", from its token {at.skipped:,}" if at.skipped else ""
    console.print(f"  [cyan]{escape(at.place)}[/]  {at.last - at.first:,} tokens{begins}")
    shown = " ".join(text[:characters].split())
    more = " …" if len(text) > characters else ""
    console.print(Padding(Text(shown + more), (0, 0, 0, 4)))


def _values(arguments: list[str]) -> dict[str, int]:
    values = {}
    for argument in arguments:
        key, _, value = argument.partition("=")
        if key not in _KEYS:
            hint = nearest(key, list(_KEYS))
            raise ConfigError(f"{key}: there is no such key{hint} (valid: {', '.join(_KEYS)})")
        if not value.isdecimal() or int(value) < 1:
            raise ConfigError(f"{key}: '{value}' is not a whole number above 0")
        values[key] = int(value)
    return values

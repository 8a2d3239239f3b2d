"""``bitnet prepare``: tokenise a corpus once, into shards that training maps into memory."""

from __future__ import annotations

import os
import time
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from bitnet.commands.prepare_view import ProgressView, show_result
from bitnet.config import ConfigError
from bitnet.config.preparing import PrepareConfig
from bitnet.data import DataError, Source, load_tokenizer
from bitnet.data.errors import describe_unknown
from bitnet.data.prepared.jobs import ShardRules
from bitnet.data.prepared.manifest import Manifest
from bitnet.data.prepared.prepare import Described, prepare
from bitnet.data.prepared.work import Quality, Settings


def prepare_corpus(config: PrepareConfig) -> Manifest:
    """Make what is missing of the folder ``config.output``, and tell what it holds.

    Raises:
        ConfigError: settings are unusable, a line each.
        DataError: the corpus cannot be prepared; finished shards are kept.
    """
    problems = config.problems()
    if problems:
        raise ConfigError("\n".join(problems))
    console = Console(highlight=False)
    tokenizer = load_tokenizer(config.tokenizer)
    sources = _sources(config)
    notes = tuple(config.data.notes())
    for note in notes:
        console.print(f"[yellow]note:[/] {escape(note)}")
    settings = _settings(config)
    started = time.monotonic()
    with ProgressView(console) as view:
        manifest = prepare(
            Path(config.output).expanduser(),
            Described(config.data.name, config.data.license, notes),
            sources,
            tokenizer,
            settings,
            _quality(config, sources, settings, view),
            view.show,
        )
    show_result(console, config.output, manifest, view.made, time.monotonic() - started)
    return manifest


def _sources(config: PrepareConfig) -> dict[str, Source]:
    """The sources that are asked for, by name.

    Raises:
        DataError: there is no such source, or the corpus cannot be opened.
    """
    names = config.subsets
    try:
        found = config.data.open(names)
    except DataError as error:  # the corpora speak of the mix, which asks for sources elsewhere
        raise DataError(str(error).replace("mix:", "subsets:", 1)) from error
    for name in names or ():
        if name not in found:
            raise DataError(f"subsets: {describe_unknown(name, sorted(found))}")
    return {name: found[name] for name in sorted(names or found)}


def _settings(config: PrepareConfig) -> Settings:
    return Settings(
        rules=ShardRules(
            held_out_fraction=config.validation.fraction,
            shuffle=config.shuffle,
            stop_at_broken=config.on_bad_record == "stop",
        ),
        range_bytes=int(config.range_megabytes * 1e6),
        bad_records_limit=config.bad_records_limit,
        workers=_cores() if config.workers is None else config.workers,
    )


def _cores() -> int:
    """Cores this process may run on."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _quality(
    config: PrepareConfig, sources: dict[str, Source], settings: Settings, view: ProgressView
) -> Quality | None:
    """The quality steps, if any is on."""
    if not config.quality.enabled:
        return None
    from bitnet.data.quality.identity import quality_identity
    from bitnet.data.quality.run import run_quality
    from bitnet.data.quality.verdicts import Verdicts

    fraction, size = settings.rules.held_out_fraction, settings.range_bytes
    identity = quality_identity(config.quality, sources, size, fraction)
    own = {
        key.removeprefix("quality."): value
        for key, value in identity.items()
        if key == "rules" or key.startswith("quality.")
    }

    def judge() -> Verdicts:
        folder = Path(config.output).expanduser() / "quality"
        workers = settings.workers
        return run_quality(
            config.quality, sources, size, folder, workers, fraction, view.show_quality
        )

    return Quality(own, judge)

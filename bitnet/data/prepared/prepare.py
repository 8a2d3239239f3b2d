"""Prepares a corpus: plans the shards, has them made, and writes the manifest.

A shard that is finished stays finished, so the work can be stopped in any way at any time and goes
on with the same command.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from bitnet.data.prepared.checking import remember
from bitnet.data.prepared.files import full_disk_explained, part_path, remove_leftovers
from bitnet.data.prepared.layout import MANIFEST, TOKENIZER
from bitnet.data.prepared.lock import only_one
from bitnet.data.prepared.manifest import Manifest, TokenizerRecord
from bitnet.data.prepared.plan import Plan, plan_of, settle_plan
from bitnet.data.prepared.work import Progress, Quality, Settings, Work
from bitnet.data.sources import Source
from bitnet.data.tokenizer import Tokenizer


@dataclass(frozen=True)
class Described:
    """What is told about the corpus in the manifest: its name, its licence, and notes."""

    name: str
    license: str = ""
    notes: tuple[str, ...] = ()


def prepare(
    folder: Path,
    corpus: Described,
    sources: Mapping[str, Source],
    tokenizer: Tokenizer,
    settings: Settings,
    quality: Quality | None = None,
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> Manifest:
    """Make the shards of `sources` that are not there yet, then the manifest.

    Args:
        folder: where they go; made if it isn't there.
        corpus: what is told about it.
        sources: what is prepared.
        tokenizer: what makes the tokens.
        settings: how.
        quality: steps that leave documents out.
        on_progress: called a few times a second.

    Raises:
        DataError: the input cannot be read, holds broken records and the rule is to stop, the disk
            is full, or the folder was begun with other settings.
    """
    plan = plan_of(
        sources,
        tokenizer,
        settings.rules,
        settings.range_bytes,
        quality.settings if quality else {},
    )
    with full_disk_explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with only_one(folder):
            remove_leftovers(folder)
            settle_plan(folder, plan)
            _save_tokenizer(folder, tokenizer)
            work = Work(folder, sources, settings, on_progress)
            if work.is_done and (folder / MANIFEST).is_file():
                return Manifest.read(folder)
            try:
                work.finish(tokenizer, quality.judge() if quality else None)
            finally:
                remove_leftovers(folder)
            return _write_manifest(folder, corpus, tokenizer, settings, plan, work)


def _save_tokenizer(folder: Path, tokenizer: Tokenizer) -> None:
    if not (folder / TOKENIZER).is_file():
        part = part_path(folder / TOKENIZER)
        tokenizer.save(part)
        part.replace(folder / TOKENIZER)


def _write_manifest(
    folder: Path,
    corpus: Described,
    tokenizer: Tokenizer,
    settings: Settings,
    plan: Plan,
    work: Work,
) -> Manifest:
    manifest = Manifest(
        corpus=corpus.name,
        license=corpus.license,
        notes=list(corpus.notes),
        tokenizer=TokenizerRecord(
            name=_spoken(tokenizer.name),
            fingerprint=tokenizer.fingerprint,
            vocab_size=tokenizer.vocab_size,
            eos_id=tokenizer.eos_id,
            file=TOKENIZER,
        ),
        held_out_fraction=settings.rules.held_out_fraction,
        plan=plan,
        shards=work.shards(),
    )
    manifest.write(folder)
    remember(folder, manifest)
    return manifest


def _spoken(name: str) -> str:
    """A tokenizer's name without the folders of this machine."""
    path = Path(name).expanduser()
    return path.resolve().name if path.exists() else name

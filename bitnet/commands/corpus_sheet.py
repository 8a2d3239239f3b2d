"""One corpus in full, as ``bitnet data list NAME`` and ``bitnet data inspect`` show it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.padding import Padding
from rich.table import Table

from bitnet.data import CorpusSpec
from bitnet.training.display import short

if TYPE_CHECKING:
    from bitnet.commands.catalogue import Entry


def print_sheet(entry: Entry) -> None:
    """Everything that the file of a corpus says."""
    console = Console(highlight=False)
    use = " ".join([f"data={entry.name}", *(f"data.{key}=…" for key in entry.needed)])
    where = "" if entry.needed else entry.where
    print_head(console, entry.corpus, {"reached by": entry.reached, "where": where, "use": use})
    print_notes(console, entry.corpus)
    if entry.corpus.fields:
        console.print("\n[bold]a record[/]")
        _print_pairs(console, entry.corpus.fields)
    if entry.sources:
        console.print("\n[bold]sources[/]")
        console.print(_sources(entry))
    if entry.corpus.traps:
        console.print("\n[bold]know before using it[/]")
        for trap in entry.corpus.traps:
            console.print(Padding(f"- {trap}", (0, 0, 0, 2)), markup=False)


def print_head(console: Console, corpus: CorpusSpec, more: Mapping[str, str]) -> None:
    """What a corpus is, its terms, and ``more`` lines of that kind."""
    console.print(f"[bold]{corpus.name}[/]  {corpus.description}")
    about = {"licence": corpus.license, "described at": corpus.homepage, **more}
    _print_pairs(console, {key: line for key, line in about.items() if line})


def print_notes(console: Console, corpus: CorpusSpec) -> None:
    """What must be said aloud, such as a substitute."""
    for note in corpus.notes():
        console.print(Padding(f"! {note}", (0, 0, 0, 2)), style="yellow", markup=False)


def _print_pairs(console: Console, pairs: Mapping[str, str]) -> None:
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column(no_wrap=True, style="dim")
    table.add_column(overflow="fold")
    for key, line in pairs.items():
        table.add_row(key, line)
    console.print(Padding(table, (0, 0, 0, 2)))


def _sources(entry: Entry) -> Padding:
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(overflow="fold", style="dim")
    for name in entry.sources:
        tokens = entry.corpus.published_tokens.get(name)
        table.add_row(name, f"{short(tokens)} tokens" if tokens else "", _files_of(entry, name))
    return Padding(table, (0, 0, 0, 2))


def _files_of(entry: Entry, name: str) -> str:
    """The files of a source, or why they are not what one would expect."""
    corpus: Any = entry.corpus  # kinds of corpora have different fields
    if name in getattr(corpus, "substitutes", {}):
        return str(corpus.substitutes[name].label)
    if name in getattr(corpus, "withdrawn", {}):
        return f"gone: {corpus.withdrawn[name]}"
    if name in getattr(corpus, "subset_values", {}):
        return f"{corpus.subset_field} = {corpus.subset_values[name]}"
    files = getattr(corpus, "subsets", {}).get(name, "")
    return files if isinstance(files, str) else ", ".join(files)

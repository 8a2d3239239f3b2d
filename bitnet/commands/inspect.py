"""``bitnet data inspect``: what a mix really holds, before anything is trained on it.

Sources that are at hand and small are read whole, of others the beginning. Tokens are counted on
the first megabytes of each source and scaled (marked ≈) unless the source is smaller than that. The
realised share comes from the very order that deals samples to sources in training.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping

from rich.console import Console
from rich.table import Table

from bitnet.commands.build import mix_of
from bitnet.commands.corpus_sheet import print_head, print_notes
from bitnet.commands.source_contents import Contents, read_source
from bitnet.config import ConfigError, TrainConfig, validate
from bitnet.data import DataError, Source, load_tokenizer, resolved, weights_problems
from bitnet.data.mix import order_of
from bitnet.data.seen_fields import compare_fields, first_records
from bitnet.training.display import short

_EXCERPT_CHARACTERS = 240


def inspect(config: TrainConfig) -> dict[str, Contents]:
    """Read every source of the mix or its beginning, print what is there and return it.

    Raises:
        ConfigError: the mix does not fit the corpus.
        DataError: the corpus cannot be opened.
    """
    validate(config)
    tokenizer = load_tokenizer(config.tokenizer)
    sources = config.data.open(config.mix.names or None)
    sizes = {name: config.data.size_of(source) for name, source in sources.items()}
    config.mix = resolved(config.mix, sizes)
    problems = weights_problems(config.mix.weights, sources)
    if problems:
        raise ConfigError("\n".join(f"mix: {line}" for line in problems))
    console = Console(highlight=False)
    print_head(console, config.data, {})
    print_notes(console, config.data)
    contents = {name: read_source(sources[name], tokenizer) for name in mix_of(config)}
    console.print()
    console.print(_table(config, contents, sources))
    for line in _reservations(contents):
        console.print(line, style="dim", markup=False)
    for name, found in contents.items():
        _print_source(console, config, sources[name], found)
    return contents


def _print_source(console: Console, config: TrainConfig, source: Source, found: Contents) -> None:
    """Files, fields and the beginning of one source."""
    size = f", {short(source.size)}B stored" if source.size else ""
    console.print(f"\n[bold]{source.name}[/]  {len(source.files):,} file(s){size}")
    for line in _field_lines(source, config.data.fields):
        console.print(f"  {line}", markup=False)
    excerpt = " ".join(found.excerpt[:_EXCERPT_CHARACTERS].split())
    width = min(console.width, 100) - 2
    console.print(textwrap.indent(textwrap.fill(excerpt, width), "  "), style="dim", markup=False)
    if found.fault:
        console.print(f"  first unusable record: {found.fault}", style="red", markup=False)


def _field_lines(source: Source, stated: Mapping[str, str]) -> list[str]:
    """The fields of the first records beside those that the corpus states."""
    try:
        records = first_records(source)
    except DataError:
        return []  # reading the source has said so
    if not records:
        return []
    seen, absent, more = compare_fields(records, list(stated))
    lines = [f"fields: {', '.join(seen)}"]
    if stated and absent:
        lines.append(f"stated, but not in the first records: {', '.join(absent)}")
    if stated and more:
        lines.append(f"not stated: {', '.join(more)}")
    return lines


def _reservations(contents: Mapping[str, Contents]) -> list[str]:
    """What the numbers leave out."""
    parts = [name for name, found in contents.items() if not found.whole]
    lines = []
    if parts:
        read = max(contents[name].bytes for name in parts)
        lines.append(f"Only the beginning was read, {short(read)}B of text at most: {_list(parts)}")
        lines.append("Of these, tokens are published ones, or scaled by stored bytes (-: unknown).")
    if any(found.whole and not found.exact for found in contents.values()):
        lines.append("≈ counted on the first megabytes and scaled by text.")
    return lines


def _list(names: list[str]) -> str:
    return ", ".join(names)


def _table(
    config: TrainConfig, contents: Mapping[str, Contents], sources: Mapping[str, Source]
) -> Table:
    table = Table("source", title=f"Tokenizer {config.tokenizer}", title_justify="left", box=None)
    passes = f"passes in {short(config.budget.tokens)}"
    for column in ("documents", "text", "tokens", "weight", "realised", passes, "unusable"):
        table.add_column(column, justify="right")
    order = order_of(config.mix, config.seed, config.batch.sequence_length)
    samples = max(1, config.budget.tokens // config.batch.sequence_length)
    realised = dict(zip(config.mix.names, order.counts(samples), strict=True))
    for name, weight in mix_of(config).items():
        found = contents[name]
        tokens = _all_tokens(config, sources[name], found)
        more = "" if found.whole else "+"
        table.add_row(
            name,
            f"{found.documents:,}{more}",
            f"{short(found.bytes)}B{more}",
            f"{'' if found.exact else '≈'}{short(tokens)}" if tokens else "-",
            f"{weight:.2%}",
            f"{realised[name] / samples:.2%}",
            f"{weight * config.budget.tokens / tokens:.3g}" if tokens else "-",
            f"{found.broken + found.empty:,}",
        )
    return table


def _all_tokens(config: TrainConfig, source: Source, found: Contents) -> float:
    """Tokens of a whole source: counted, published, or scaled by stored bytes; 0 if unknown."""
    if found.whole:
        return found.tokens
    published = config.data.published_tokens.get(source.name)
    if published:
        return published
    if source.where is None and found.read and found.stored:
        return found.tokens * found.stored / found.read
    return 0.0

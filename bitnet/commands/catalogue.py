"""``bitnet data list``: every corpus that can be named, from its config file alone.

Nothing is opened or fetched, so the list is there before a network, a login or a disk full of data
is; and it cannot fall behind the configs, because it is made of them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from rich.console import Console
from rich.table import Table

from bitnet.commands.corpus_sheet import print_sheet
from bitnet.config import ConfigError
from bitnet.config.errors import nearest
from bitnet.config.paths import config_home
from bitnet.config.store import register
from bitnet.data import CorpusSpec, HubCorpus, ListedCorpus
from bitnet.training.display import short

_REACHED = {
    "GeneratedCorpus": "computed",
    "HubCorpus": "hub",
    "ListedCorpus": "lists",
    "LocalCorpus": "folder",
    "PocketCorpus": "harvest",
    "PreparedCorpus": "prepared",
}
"""How the documents of a kind of corpus are reached, in a word or two."""

_PLACES = ("root", "path")
"""Keys that say where a corpus lies on this machine."""


@dataclass(frozen=True)
class Entry:
    """One file of ``configs/data``.

    Attributes:
        name: what ``data=`` takes.
        corpus: the corpus it describes.
        needed: keys without a value, which the user gives (``data.root=DIR``).
    """

    name: str
    corpus: CorpusSpec
    needed: tuple[str, ...] = ()

    @property
    def sources(self) -> list[str]:
        """Names of the sources, as far as the file alone tells."""
        found = {*self.corpus.published_tokens}
        for group in ("subsets", "subset_values", "withdrawn"):
            found |= {*getattr(self.corpus, group, ())}
        return sorted(found)

    @property
    def reached(self) -> str:
        """How its documents are reached, in a word or two."""
        return _REACHED.get(type(self.corpus).__name__, type(self.corpus).__name__)

    @property
    def where(self) -> str:
        """The place: what the user gives, else a repository or a list."""
        if self.needed:
            return " ".join(f"data.{key}=…" for key in self.needed)
        if isinstance(self.corpus, ListedCorpus):
            return self.corpus.lists[0]
        return self.corpus.repository if isinstance(self.corpus, HubCorpus) else ""


def list_data(arguments: list[str]) -> None:
    """Print the table of all corpora, or one of them in full.

    Raises:
        ConfigError: there is no such corpus.
    """
    names = [each.removeprefix("data=") for each in arguments]
    if len(names) > 1 or any("=" in name or name.startswith("-") for name in names):
        raise ConfigError("takes at most one name: bitnet data list [NAME]")
    known = entry_names()
    if not names:
        Console().print(_table([read_entry(name) for name in known]))
        print("One in full: bitnet data list NAME; what is there: bitnet data inspect data=NAME")
    elif names[0] in known:
        print_sheet(read_entry(names[0]))
    else:
        hint = nearest(names[0], known)
        raise ConfigError(f"data: '{names[0]}' is unknown{hint} (valid: {', '.join(known)})")


def entry_names() -> list[str]:
    """Names of the files in ``configs/data``."""
    folder = config_home() / "configs" / "data"
    return sorted(f.relative_to(folder).with_suffix("").as_posix() for f in folder.rglob("*.yaml"))


def read_entry(name: str) -> Entry:
    """What the file of a corpus says."""
    register()
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(config_home() / "configs"), version_base="1.3"):
        try:
            config = compose(overrides=[f"+data={name}"]).data
        except (HydraException, OmegaConfBaseException) as error:
            raise ConfigError(f"configs/data/{name}.yaml: {str(error).splitlines()[0]}") from error
    corpus: Any = OmegaConf.to_object(config)
    return Entry(name, corpus, tuple(key for key in _PLACES if getattr(corpus, key, None) == ""))


def _shortened(where: str) -> str:
    """Of an address the host and the last part, which fit a table."""
    _, found, rest = where.partition("://")
    if not found:
        return where
    return f"{rest.split('/')[0]}/…/{rest.split('/')[-1]}"


def _table(entries: list[Entry]) -> Table:
    table = Table(title="Corpora (data=NAME)", title_justify="left", box=None, padding=(0, 1))
    for column, width in (("name", 22), ("sources", 7), ("tokens", 6), ("by", 9)):
        side: Any = "right" if column in ("sources", "tokens") else "left"
        table.add_column(column, min_width=width, no_wrap=True, justify=side)
    table.add_column("licence", min_width=8, max_width=16, no_wrap=True, overflow="ellipsis")
    table.add_column("where", min_width=8, no_wrap=True, overflow="ellipsis")
    for entry in entries:
        total = sum(entry.corpus.published_tokens.values())
        table.add_row(
            entry.name,
            str(len(entry.sources) or "-"),
            short(total) if total else "-",
            entry.reached,
            re.split("[,:;(]", entry.corpus.license)[0],
            _shortened(entry.where),
        )
    return table

"""``bitnet data verify DIR``: whether every byte of prepared shards is still what was written."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.progress import Progress as Bar

from bitnet.config import ConfigError
from bitnet.data import DataError
from bitnet.data.prepared.checking import bytes_of, find_damage, remember
from bitnet.data.prepared.manifest import Manifest
from bitnet.runs.human import short


def verify_verb(arguments: list[str]) -> None:
    """Hash all files of a folder.

    Raises:
        ConfigError: the arguments are not one folder.
        DataError: files are missing or differ; a line each.
    """
    if len(arguments) != 1 or arguments[0].startswith("-"):
        raise ConfigError("takes one folder that bitnet prepare made: bitnet data verify DIR")
    folder = Path(arguments[0]).expanduser()
    manifest = Manifest.read(folder)
    size, console = bytes_of(manifest), Console(highlight=False)
    with Bar(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("hashing", total=size)
        damage = list(find_damage(folder, manifest, lambda read: bar.advance(task, read)))
    if damage:
        raise DataError("\n".join(damage))
    remember(folder, manifest)
    shards = sum(len(each) for each in manifest.shards.values())
    line = f"{folder}: {shards} shards, {short(size)}B, all as they were prepared"
    console.print(line, markup=False, soft_wrap=True)

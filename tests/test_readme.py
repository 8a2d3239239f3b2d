"""The commands of the README are commands: each composes and validates as printed."""

import re
import shlex
from pathlib import Path

import pytest

from bitnet.commands.verbs import DATA_TABLE, TABLE
from bitnet.config import validate
from bitnet.config.compose import compose_config, expand_sweep, to_object

README = Path(__file__).parents[1] / "README.md"
MAKEFILE = README.parent / "Makefile"


def commands(tool: str) -> list[list[str]]:
    blocks = re.findall(r"```bash\n(.*?)```", README.read_text("utf-8"), re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    parsed = [shlex.split(line, comments=True) for line in lines]
    return [words[1:] for words in parsed if words and words[0] == tool]


@pytest.mark.parametrize("words", commands("bitnet"), ids=" ".join)
def test_bitnet_commands_compose(words: list[str]) -> None:
    verb, rest = words[0], words[1:]
    assert verb in TABLE
    if verb == "data":
        verb, rest = rest[0], rest[1:]
        assert verb in DATA_TABLE
    overrides = [word for word in rest if "=" in word and not word.startswith("resume=")]
    name = {"inspect": "train", **dict.fromkeys(("status", "bench", "list", "at", "verify"))}.get(
        verb, verb
    )
    if name is None:
        return
    for job in expand_sweep(overrides) if "-m" in rest else [overrides]:
        config = to_object(compose_config(name, job))
        if name == "train":
            validate(config)


@pytest.mark.parametrize("words", commands("make"), ids=" ".join)
def test_make_targets_exist(words: list[str]) -> None:
    assert re.search(rf"^{words[0]}:", MAKEFILE.read_text("utf-8"), re.MULTILINE)


def test_every_file_it_points_to_is_there() -> None:
    text = README.read_text("utf-8")
    links = re.findall(r"\]\(([^)#:]+)\)", text) + re.findall(r"\| `(bitnet/[\w/]+\.py)` \|", text)
    assert len(links) > 8
    missing = [link for link in links if not (README.parent / link).exists()]
    assert not missing

"""``bitnet <verb> --help``: the groups with what each choice is, then the keys with their values.

Hydra's own help lists names only. Here each choice is shown with the first line of its file, which
says what it is for; so the help cannot fall behind the configs.
"""

from __future__ import annotations

from pathlib import Path

from bitnet.config.paths import config_home

_VERB_FILES = {name: name for name in ("train", "eval", "generate", "prepare", "score")}
_NOT_GROUPS = ("hydra", "common")


_DATA = """\
bitnet data: corpora, and what a run saw of them.

  bitnet data list [NAME]              the corpora of configs/data; NAME: one in full
  bitnet data inspect [overrides]      what the corpus and the mix of a run really hold
  bitnet data at RUN_DIR step=N        the documents of an optimizer step (samples=, characters=)
  bitnet data verify DIR               every checksum of a prepared folder
  bitnet data score data=... output=DIR scorer.model=MODEL    Ask-LLM scores of documents

The keys of the last: bitnet data score --help. More: docs/data.md, prepared.md, quality.md."""

_PLAN = """\
bitnet plan: parameters, memory, time, money and disk of a run, before it starts.
It takes every override of bitnet train (see there) and a few keys of its own.

keys (key=value)
  device: auto # {devices}
  devices: null # how many; null: as many as the trainer has
  price: null # of one device for an hour, in any currency
  mfu: null # share of the peak that the run will reach; null: {mfu} is assumed
  tokens_per_second: null # of all devices, measured; instead of mfu
  output: null # a JSON file for the numbers

flags: --config-dir DIR further group files"""


def show_help(verb: str) -> None:
    """Print the help of a verb that takes overrides."""
    if verb in ("plan", "data"):
        print(_plan_help() if verb == "plan" else _DATA)
        return
    home = config_home()
    name = _VERB_FILES[verb]
    primary = (home / "configs" / f"{name}.yaml").read_text("utf-8")
    print(_comment_of(primary))
    if name == "train":
        _print_groups(home)
    shown = "data score" if name == "score" else name
    print(f"\nkeys (key=value; the rest of the configuration: bitnet {shown} --cfg job)")
    print(_keys_of(primary))
    print("\nflags: -m sweep over comma-separated values, --cfg job print the configuration,")
    print("       --config-dir DIR further group files, --hydra-help everything Hydra can do")
    if name == "train":
        print("\nwith -m: hydra.launcher.jobs=N at once, hydra.launcher.devices=[0,1] GPUs to deal")
        print("         out, hydra/sweeper=optuna a search; docs/sweeps.md says more")


def _plan_help() -> str:
    """The devices come from their table."""
    from bitnet.planning import DEFAULT_MFU, DEVICES

    return _PLAN.format(devices=" | ".join(DEVICES), mfu=DEFAULT_MFU)


def _print_groups(home: Path) -> None:
    print("\ngroups (group=choice)")
    for root in ("configs", "conf_experiments"):
        for folder in sorted((home / root).iterdir()):
            if not folder.is_dir() or folder.name in _NOT_GROUPS:
                continue
            print(f"\n  {folder.name}")
            files = sorted(folder.rglob("*.yaml"))
            names = [file.relative_to(folder).with_suffix("").as_posix() for file in files]
            width = max(map(len, names))
            for name, file in zip(names, files, strict=True):
                print(f"    {name:<{width}}  {_first_comment(file)}")


def _first_comment(file: Path) -> str:
    lines = file.read_text("utf-8").splitlines()
    comments = [line[2:] for line in lines if line.startswith("# ") and "@package" not in line]
    return comments[0] if comments else ""


def _comment_of(text: str) -> str:
    """The lines of comment that open a file."""
    lines = text.splitlines()
    end = next((i for i, line in enumerate(lines) if not line.startswith("#")), len(lines))
    return "\n".join(line.removeprefix("# ") for line in lines[:end])


def _keys_of(text: str) -> str:
    """The file's own keys, without the defaults list and Hydra's section."""
    body = text.partition("\n\n")[2].partition("\nhydra:")[0].strip("\n")
    return "\n".join(f"  {line}" for line in body.splitlines() if line)

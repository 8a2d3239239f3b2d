"""A trained model, opened from its run directory or from a checkpoint file by itself."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from bitnet.commands.build import build_net, passes_of
from bitnet.config import ConfigError, TrainConfig
from bitnet.config.saved import from_plain
from bitnet.data import Tokenizer, load_tokenizer
from bitnet.nn import Transformer
from bitnet.runs import RunDirectory
from bitnet.training.checkpoint_io import CHECKPOINT_FORMAT, read_checkpoint
from bitnet.training.strategies.sharded_folder import is_sharded

_PREFIX = "net."


@dataclass
class Opened:
    """What a checkpoint holds, ready for use, and where it came from."""

    config: TrainConfig
    net: Transformer
    tokenizer: Tokenizer
    checkpoint: Path
    tokens: int


def open_model(place: str, checkpoint: str) -> Opened:
    """Open the model at ``place``, computing in the precision it was trained in.

    Its layers are fully quantised, also in a checkpoint from the middle of a quantisation warm-up.

    Args:
        place: a run directory, or a ``.ckpt`` file or folder.
        checkpoint: in a run directory: ``last``, or the name of a file in ``checkpoints/``.

    Raises:
        ConfigError: there is no such checkpoint, or it was not written by this project.
    """
    path = find_checkpoint(place, checkpoint)
    config, weights, tokens = read_weights(path)
    net = build_net(config)
    net.load_state_dict(weights)
    tokenizer = _tokenizer(path, config)
    net.set_passes(passes_of(config, tokenizer))
    return Opened(config, net.eval(), tokenizer, path, tokens)


def read_weights(path: Path) -> tuple[TrainConfig, dict[str, Tensor], int]:
    """Config, weights of the model and tokens trained of one of our checkpoints.

    Raises:
        ConfigError: it was not written by this project, or by another version of it.
    """
    state = read_checkpoint(path, optimizer=False)
    if "bitnet" not in state:
        raise ConfigError(f"run: {path} is a checkpoint, but not one of bitnet's")
    header = state["bitnet"]
    if header["format"] != CHECKPOINT_FORMAT:
        raise ConfigError(
            f"run: {path} has checkpoint format {header['format']}, this version reads "
            f"{CHECKPOINT_FORMAT}"
        )
    config = from_plain(header["config"], header["kinds"])
    weights = state["state_dict"].items()
    own = {name.removeprefix(_PREFIX): w for name, w in weights if name.startswith(_PREFIX)}
    return config, own, header["tokens"]


def find_checkpoint(place: str, checkpoint: str) -> Path:
    """The checkpoint file that is meant.

    Raises:
        ConfigError: there is none; says which there are.
    """
    path = Path(place)
    if path.is_file() or is_sharded(path):
        return path
    run = RunDirectory.open(path)
    if checkpoint == "last":
        latest = run.latest_checkpoint()
        if latest is None:
            raise ConfigError(f"run: {place} has no checkpoint yet")
        return latest.resolve()
    names = sorted(file.name for file in run.checkpoints.glob("*.ckpt"))
    name = checkpoint if checkpoint.endswith(".ckpt") else f"{checkpoint}.ckpt"
    if name not in names:
        listing = ", ".join(["last", *names])
        raise ConfigError(f"checkpoint: {place} has no '{checkpoint}' (valid: {listing})")
    return run.checkpoints / name


def _tokenizer(checkpoint: Path, config: TrainConfig) -> Tokenizer:
    """The run's own copy if the checkpoint still lies in its run, else the configured one."""
    copy = checkpoint.parent.parent / "tokenizer.json"
    return load_tokenizer(str(copy) if copy.is_file() else config.tokenizer)

"""``init_from``: a new run that begins with somebody's weights."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

from bitnet.commands.opened import find_checkpoint, read_weights
from bitnet.config import ConfigError, TrainConfig
from bitnet.data import DataError, Tokenizer, load_tokenizer
from bitnet.export import (
    StoredWeights,
    WeightsError,
    check_fits,
    find_folder,
    open_hugging_face,
    take_over,
)
from bitnet.nn import Transformer
from bitnet.runs import RunError
from bitnet.training.errors import CheckpointError

_log = logging.getLogger(__name__)


def check_start(config: TrainConfig, tokenizer: Tokenizer) -> None:
    """Refuse weights that do not fit, before anything is built or written.

    Args:
        config: settled, with ``init_from``, or without, and then there is nothing to check.
        tokenizer: the run's; a different one that comes with the weights is worth a warning.

    Raises:
        ConfigError: a line for each reason.
    """
    if config.init_from is None:
        return
    stored = _open(config.init_from)
    try:
        check_fits(stored, config.model, config.linear)
    except WeightsError as error:
        raise _fault(error) from error
    if stored.tokenizer is not None and not _is_same(stored.tokenizer, tokenizer):
        _log.warning(
            "init_from: %s brings a tokenizer, and tokenizer=%s is another; unless their ids mean "
            "the same, set tokenizer=%s",
            stored.place,
            config.tokenizer,
            stored.tokenizer,
        )


def start_from(config: TrainConfig, net: Transformer) -> dict[str, object] | None:
    """Give a fresh model the weights of ``init_from``; without it, leave it as it is.

    Returns:
        For the record: the place, and how many parameters keep their initial values.

    Raises:
        ConfigError: the weights do not fit, or cannot be read.
    """
    if config.init_from is None:
        return None
    stored = _open(config.init_from)
    try:
        fresh = take_over(net, stored)
    except WeightsError as error:
        raise _fault(error) from error
    _log.info("init_from: %d tensors of %s", len(stored.sizes), stored.place)
    if fresh:
        _log.warning(
            "init_from: %d sub-norm gains start at 1, since %s has none (%s, …); so the model does "
            "not compute what it did before; model.sub_norm=false keeps that",
            len(fresh),
            stored.place,
            fresh[0],
        )
    return {"place": stored.place, "fresh_parameters": len(fresh)}


def _open(place: str) -> StoredWeights:
    """Open a run directory, a ``.ckpt`` file, or a model in Hugging Face's layout."""
    path = Path(place).expanduser()
    try:
        if path.suffix == ".ckpt" or (path / "run.json").is_file():
            return _open_own(find_checkpoint(str(path), "last"))
        return open_hugging_face(*find_folder(place))
    except (WeightsError, ConfigError, CheckpointError, RunError) as error:
        raise _fault(error) from error


def _open_own(checkpoint: Path) -> StoredWeights:
    config, weights, _ = read_weights(checkpoint)
    sizes = {name: tuple(value.shape) for name, value in weights.items()}
    tokenizer = checkpoint.parent.parent / "tokenizer.json"
    return StoredWeights(
        place=str(checkpoint),
        shape=replace(config.model),
        linear=config.linear,
        sizes=sizes,
        read=lambda: iter(weights.items()),
        tokenizer=tokenizer if tokenizer.is_file() else None,
    )


def _is_same(file: Path, tokenizer: Tokenizer) -> bool:
    try:
        return load_tokenizer(str(file)).fingerprint == tokenizer.fingerprint
    except DataError:  # one that this project cannot use is not the one in use
        return False


def _fault(error: Exception) -> ConfigError:
    lines = str(error).splitlines()
    return ConfigError("\n".join(f"init_from: {line.removeprefix('run: ')}" for line in lines))

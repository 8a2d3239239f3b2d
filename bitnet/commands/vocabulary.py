"""How large a model's vocabulary is, from its config and its tokenizer."""

from __future__ import annotations

import os

from bitnet.config import ConfigError, TrainConfig
from bitnet.data import DataError, Tokenizer, load_tokenizer

_MULTIPLE = 64
_PUBLISHED = {"EleutherAI/gpt-neox-20b": 50_277}
"""Tokens of tokenizers on the hub that our configs name, added ones included."""


def vocabulary(config: TrainConfig, tokenizer: Tokenizer) -> int:
    """As configured, else the tokenizer's rounded up.

    Raises:
        ConfigError: the tokenizer has more tokens than the model.
    """
    asked = config.model.vocab_size
    if asked is None:
        return _rounded(tokenizer.vocab_size)
    if tokenizer.vocab_size > asked:
        raise ConfigError(
            f"model.vocab_size: {asked} is less than the {tokenizer.vocab_size} tokens of "
            f"tokenizer={config.tokenizer}; set model.vocab_size=null to follow the tokenizer"
        )
    return asked


def planned_vocabulary(config: TrainConfig) -> int:
    """The same before a run is made: nothing is harvested and no network is asked.

    Raises:
        ConfigError: it follows a tokenizer that is not on this machine.
    """
    if config.model.vocab_size is not None:
        return config.model.vocab_size
    if config.tokenizer in _PUBLISHED:
        return _rounded(_PUBLISHED[config.tokenizer])
    if config.tokenizer == "pocket":
        from bitnet.data.pocket.bpe import VOCABULARY

        return _rounded(VOCABULARY)
    online = os.environ.get("HF_HUB_OFFLINE")
    os.environ["HF_HUB_OFFLINE"] = "1"  # what was downloaded before is still found
    try:
        return _rounded(load_tokenizer(config.tokenizer).vocab_size)
    except DataError as error:
        raise ConfigError(
            f"model.vocab_size: follows tokenizer={config.tokenizer}, which is not on this "
            f"machine; give the size, such as model.vocab_size=50304"
        ) from error
    finally:
        if online is None:
            del os.environ["HF_HUB_OFFLINE"]
        else:
            os.environ["HF_HUB_OFFLINE"] = online


def _rounded(size: int) -> int:
    return -(-size // _MULTIPLE) * _MULTIPLE

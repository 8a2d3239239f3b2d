"""``bitnet eval``: loss, perplexity and bits per byte of a run or checkpoint, by source."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from rich.console import Console

from bitnet.commands.build import build_module, build_trainer, open_data
from bitnet.commands.opened import open_model
from bitnet.commands.report import losses_table
from bitnet.commands.settle import device_type
from bitnet.config import ConfigError, EvalConfig


def evaluate(spec: EvalConfig) -> dict[str, float]:
    """Measure the validation documents of the run's own data, as training does.

    Returns:
        ``loss``, ``perplexity``, ``bits_per_byte`` and the same by source.
    """
    opened = open_model(spec.run, spec.checkpoint)
    config = opened.config
    if spec.tokens_per_source is not None:
        if spec.tokens_per_source < 1:
            raise ConfigError("tokens_per_source: must be at least 1")
        config.validation.tokens_per_source = spec.tokens_per_source
    config.trainer = spec.trainer
    config.trainer.accelerator = "gpu" if device_type(spec.trainer) == "cuda" else "cpu"
    config.compile = "never"  # one pass over a little data would not pay for it
    module = build_module(config, opened.net, opened.tokenizer)
    with tempfile.TemporaryDirectory() as scratch:
        trainer = build_trainer(config, Path(scratch), [], [])
        trainer.validate(module, datamodule=open_data(config, opened.tokenizer), verbose=False)
    result = {key.removeprefix("val/"): value for key, value in module.row.items()}
    title = f"{opened.checkpoint.name}, {opened.tokens:,} tokens trained"
    Console().print(losses_table(result, title))
    if spec.output is not None:
        whole = {"checkpoint": str(opened.checkpoint), "tokens": opened.tokens, "results": result}
        Path(spec.output).write_text(json.dumps(whole, indent=2) + "\n", "utf-8")
    return result

"""``bitnet generate``: complete a prompt with a trained model."""

from __future__ import annotations

from dataclasses import replace

import torch
from rich.console import Console

from bitnet.commands.opened import open_model
from bitnet.config import ConfigError, GenerateConfig
from bitnet.inference import generate


def complete(spec: GenerateConfig) -> list[str]:
    """Print and return ``spec.samples`` continuations of the prompt.

    Sample *n* is drawn with seed ``sampling.seed + n``, so each can be had again by itself.
    """
    problems = [f"sampling.{line}" for line in spec.sampling.problems()]
    if spec.samples < 1:
        problems.append(f"samples: {spec.samples} must be at least 1")
    if problems:
        raise ConfigError("\n".join(problems))
    opened, device = open_model(spec.run, spec.checkpoint), _device(spec.device)
    net, tokenizer = opened.net.to(device), opened.tokenizer
    prompt = tokenizer.encode(spec.prompt) or [tokenizer.eos_id]
    console, texts = Console(), []
    for number in range(spec.samples):
        sampling = replace(spec.sampling, seed=spec.sampling.seed + number)
        with torch.no_grad():
            ids = generate(net, prompt, sampling, tokenizer.eos_id, use_cache=spec.cache)
        texts.append(tokenizer.decode(ids))
        console.print(spec.prompt, style="bold", end="", highlight=False, markup=False)
        console.print(texts[-1], highlight=False, markup=False)
    return texts


def _device(name: str) -> str:
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if name not in ("cpu", "cuda"):
        raise ConfigError(f"device: '{name}' is unknown (valid: auto, cpu, cuda)")
    if name == "cuda" and not torch.cuda.is_available():
        raise ConfigError("device: 'cuda' was asked for, but torch sees no GPU")
    return name

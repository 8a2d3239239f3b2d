"""The engine is checked before a run and said at its start."""

from typing import cast

import pytest
import torch

from bitnet.commands.engines import engine_line
from bitnet.config import ConfigError, TrainConfig
from bitnet.nn import LinearSpec, ModelShape, Transformer
from bitnet.quant.engines import select

SHAPE = ModelShape(name="line", dim=32, layers=2, heads=2, ffn_dim=64, vocab_size=32)


def _line(linear: LinearSpec, device: str) -> str | None:
    config = cast(TrainConfig, type("Config", (), {"linear": linear}))
    return engine_line(config, Transformer(SHAPE, linear), torch.device(device))


def test_a_dense_model_has_none() -> None:
    assert _line(LinearSpec("dense"), "cpu") is None


@pytest.mark.parametrize(("asked", "told"), [("auto", "int8"), ("int8_grad8", "int8_grad8")])
def test_engine_and_products_are_named(
    asked: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(select, "why_no_kernel", lambda: None)
    monkeypatch.setattr(select, "multiplies_bf16", lambda: True)
    line = _line(LinearSpec("bitnet", asked), "cpu")
    assert line == f"{told}; products by the AVX-512 kernel"
    monkeypatch.setattr(select, "multiplies_bf16", lambda: False)
    line = _line(LinearSpec("bitnet", asked), "cpu")
    assert line is not None and line.endswith("gradients in bf16 by torch (no AVX-512 BF16)")
    monkeypatch.setattr(select, "why_no_kernel", lambda: "no compiler")
    line = _line(LinearSpec("bitnet", asked), "cpu")
    assert line == f"{told}; products by torch._int_mm (no compiler)"


def test_the_reference_engine_has_no_products_of_its_own() -> None:
    assert _line(LinearSpec("bitnet", "reference"), "cpu") == "reference"


def test_an_engine_that_cannot_run_stops_the_run_before_it_starts() -> None:
    with pytest.raises(ConfigError, match=r"^linear.engine: engine 'int8_grad8' cannot run: .*mps"):
        _line(LinearSpec("bitnet", "int8_grad8"), "mps")

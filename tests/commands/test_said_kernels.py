"""What a run says of the kernels that it will use."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from bitnet.commands import fit
from bitnet.nn import ModelShape, cpu_norm


def _config(norm: str = "rms", compile: str = "always", compute: str = "bf16") -> Any:
    precision = SimpleNamespace(compute=compute)
    return SimpleNamespace(model=ModelShape(norm=norm), compile=compile, precision=precision)


def _said(config: Any, caplog: pytest.LogCaptureFixture) -> list[str]:
    caplog.clear()
    with caplog.at_level("INFO", logger=fit.__name__):
        fit._say_norms(config, torch.device("cpu"))
    return [record.getMessage() for record in caplog.records]


def test_norms_of_compiled_blocks_on_a_cpu_are_told(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cpu_norm, "serves", lambda dtype: dtype == torch.bfloat16)
    assert _said(_config(), caplog) == ["norms: AVX-512 kernel"]
    assert _said(_config(compute="fp32"), caplog) == ["norms: compiled"]
    assert _said(_config(compile="never"), caplog) == _said(_config(norm="layer"), caplog) == []

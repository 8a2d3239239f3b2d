"""Peaks are published or measured, and shares of them count each format at its own."""

import pytest
import torch

from bitnet.nn import LinearSpec, ModelShape, Transformer
from bitnet.nn.counts import eight_bit_flops_per_token
from bitnet.planning import published_peak
from bitnet.training.peak import Peak, device_peak

SHAPE = ModelShape(dim=32, layers=2, heads=2, ffn_dim=48, vocab_size=20)


def test_the_products_of_this_cpu_are_timed() -> None:
    found = device_peak(torch.device("cpu"), torch.float32, published_peak, eight_bit=True)
    assert found.flops is not None and found.flops > 1e9 and "measured" in found.source
    assert found.eight_bit is not None and found.eight_bit > 1e9
    plain = device_peak(torch.device("cpu"), torch.float32, published_peak)
    assert plain.eight_bit is None


def test_data_sheets_know_int8() -> None:
    assert published_peak("NVIDIA H200", "int8") == pytest.approx(1978.9e12)
    assert published_peak("NVIDIA H200", "bf16") == pytest.approx(989.4e12)
    assert published_peak("Tesla V100-SXM2-32GB", "int8") is None


def test_each_format_counts_at_its_own_peak() -> None:
    peak = Peak(100.0, "here", 200.0)
    assert peak.seconds(300.0, 0.0) == 3.0
    assert peak.seconds(300.0, 100.0) == 2.5
    assert Peak(100.0, "here").seconds(300.0, 0.0) == 3.0
    assert Peak(100.0, "here").seconds(300.0, 1.0) is None
    assert Peak(None, "nowhere").seconds(300.0, 0.0) is None


@pytest.mark.parametrize(
    ("linear", "operations"),
    [
        (LinearSpec("dense"), 0),
        (LinearSpec(engine="reference"), 0),
        (LinearSpec(engine="int8"), 2),
        (LinearSpec(engine="auto"), 2),
        (LinearSpec(engine="int8_grad8"), 4),
        (LinearSpec("binary", engine="int8"), 2),
    ],
)
def test_operations_in_eight_bits(linear: LinearSpec, operations: int) -> None:
    net = Transformer(SHAPE, linear)
    expected = operations * net.parameter_counts()["ternary"]
    assert eight_bit_flops_per_token(net) == expected
    assert expected <= net.flops_per_token(16)


def test_none_while_quantisation_is_brought_in() -> None:
    net = Transformer(SHAPE, LinearSpec(engine="int8"))
    net.set_quantization(0.5)
    assert eight_bit_flops_per_token(net) == 0
    net.set_quantization(1.0)
    assert eight_bit_flops_per_token(net) > 0

"""Hours, money and MFU by hand; and speeds that no device has."""

import pytest

from bitnet.planning import DEVICES, Pace, PlanError, find_gpu, published_peak
from bitnet.planning.duration import DEFAULT_MFU, duration

H100 = DEVICES["h100"]


def test_hours_follow_from_operations_peak_and_mfu() -> None:
    takes = duration(Pace(mfu=0.5, price=2.0), H100, 8, "bf16", 6e9, 20e9)
    seconds = 20e9 * 6e9 / (8 * 0.5 * 989.4e12)
    assert takes.hours == pytest.approx(seconds / 3600)
    assert takes.device_hours == pytest.approx(8 * seconds / 3600)
    assert takes.money == pytest.approx(16 * seconds / 3600)
    assert takes.mfu_from == "given"


def test_the_default_mfu_is_called_an_assumption() -> None:
    takes = duration(Pace(), H100, 1, "bf16", 6e9, 1e9)
    assert (takes.mfu, takes.mfu_from, takes.money) == (DEFAULT_MFU, "assumed", None)


def test_a_measured_speed_gives_the_mfu() -> None:
    takes = duration(Pace(tokens_per_second=1e5), H100, 1, "bf16", 6e9, 1e9)
    assert takes.mfu == pytest.approx(6e14 / 989.4e12)
    assert takes.hours == pytest.approx(1e4 / 3600)


def test_the_calculator_that_claims_235_percent_is_refused() -> None:
    # 3.098M tokens/s of a 1B model on 8 H100: more than twice what they can do.
    with pytest.raises(PlanError) as caught:
        duration(Pace(tokens_per_second=3.098e6), H100, 8, "bf16", 6e9, 20e9)
    message = str(caught.value)
    assert "235%" in message and message.startswith("tokens_per_second: 3,098,000")
    assert "1,319,200 tokens a second" in message


@pytest.mark.parametrize(
    ("pace", "part"),
    [
        (Pace(mfu=1.01), "mfu: 1.01 is more"),
        (Pace(mfu=-0.1), "mfu: -0.1 must be above 0"),
        (Pace(mfu=0.0), "mfu: 0.0 must be above 0"),
        (Pace(mfu=0.3, tokens_per_second=10), "give one of the two"),
        (Pace(tokens_per_second=0), "tokens_per_second: 0 must"),
        (Pace(price=-1), "price: -1 is negative"),
    ],
)
def test_values_without_sense_are_refused(pace: Pace, part: str) -> None:
    with pytest.raises(PlanError, match=part):
        duration(pace, H100, 1, "bf16", 1e9, 1e9)


def test_without_a_peak_only_a_measurement_tells_the_time() -> None:
    v100 = DEVICES["v100"]
    assert duration(Pace(), v100, 1, "bf16", 1e9, 1e9).hours is None
    measured = duration(Pace(tokens_per_second=1e6), v100, 1, "bf16", 1e9, 3.6e9)
    assert (measured.hours, measured.mfu) == (1.0, None)


@pytest.mark.parametrize(
    ("torch_name", "name"),
    [
        ("NVIDIA H100 80GB HBM3", "h100"),
        ("NVIDIA H100 PCIe", "h100_pcie"),
        ("NVIDIA H200", "h200"),
        ("NVIDIA A100-SXM4-80GB", "a100_80"),
        ("NVIDIA A100 80GB PCIe", "a100_80_pcie"),
        ("NVIDIA A100-SXM4-40GB", "a100_40"),
        ("NVIDIA L40S", "l40s"),
        ("NVIDIA L4", "l4"),
        ("NVIDIA GeForce RTX 4090", "rtx_4090"),
        ("Tesla V100-SXM2-32GB", "v100"),
    ],
)
def test_devices_are_found_by_the_name_torch_has_for_them(torch_name: str, name: str) -> None:
    found = find_gpu(torch_name)
    assert found is not None and found.name == name


def test_an_unknown_gpu_has_no_peak() -> None:
    assert published_peak("GPU of tomorrow", "bf16") is None
    assert published_peak("NVIDIA H200", "bf16") == 989.4e12

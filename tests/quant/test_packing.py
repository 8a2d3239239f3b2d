"""Two bits a weight: exact round trips, and refusals."""

import pytest
import torch

from bitnet.quant import pack_ternary, unpack_ternary


@pytest.mark.parametrize("shape", [(8, 4), (3, 5), (7,), (2, 3, 5), (1,), (0, 4), ()])
def test_round_trip(shape: tuple[int, ...]) -> None:
    codes = torch.randint(-1, 2, shape, generator=torch.Generator().manual_seed(0)).to(torch.int8)
    packed = pack_ternary(codes)
    assert packed.numel() == -(-codes.numel() // 4)
    assert torch.equal(unpack_ternary(packed, shape), codes)


def test_layout_is_lowest_bits_first() -> None:
    codes = torch.tensor([-1, 0, 1, 1, 0], dtype=torch.int8)
    assert pack_ternary(codes).tolist() == [0b10_10_01_00, 0b01_01_01_01]


@pytest.mark.parametrize("bad", [2, -2, 127, -128])
def test_refuses_what_is_not_ternary(bad: int) -> None:
    with pytest.raises(ValueError, match="-1, 0 and 1"):
        pack_ternary(torch.tensor([0, bad], dtype=torch.int8))


def test_refuses_floats_wrong_sizes_and_broken_bytes() -> None:
    with pytest.raises(ValueError, match="int8"):
        pack_ternary(torch.zeros(4))
    with pytest.raises(ValueError, match=r"uint8 \[2\]"):
        unpack_ternary(torch.zeros(3, dtype=torch.uint8), (5,))
    with pytest.raises(ValueError, match="no ternary code"):
        unpack_ternary(torch.tensor([255], dtype=torch.uint8), (4,))

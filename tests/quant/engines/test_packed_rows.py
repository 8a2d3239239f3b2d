"""Rows of codes at 2 bits: what goes in comes out, whatever the width, by kernel or without."""

import pytest
import torch
from torch.library import opcheck

from bitnet.quant.engines import packed_rows as room
from bitnet.quant.engines.packed_rows import pack_rows, packed_rows, packed_width, unpack_rows


@pytest.fixture(params=["public", "kernel"], autouse=True)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "public":
        monkeypatch.setattr(room, "why_not", lambda: "switched off")
    elif reason := room.why_not():
        pytest.skip(f"no kernel here: {reason}")


@pytest.mark.parametrize("width", [1, 2, 3, 4, 5, 6, 7, 9, 64, 5460])
@pytest.mark.parametrize("rows", [1, 5])
def test_rows_come_back(rows: int, width: int) -> None:
    draw = torch.Generator().manual_seed(width)
    codes = torch.randint(-1, 2, (rows, width), generator=draw, dtype=torch.int8)
    packed = torch.full((rows + 2, packed_width(width)), 255, dtype=torch.uint8)
    pack_rows(codes, packed)
    assert (packed[rows:] == 255).all()  # rows that only fill up are left alone
    back = torch.full_like(codes, 77)
    unpack_rows(packed, back)
    assert torch.equal(back, codes)


def test_a_weight_takes_two_bits() -> None:
    assert packed_width(5460) * 4 == 5460
    assert [packed_width(width) for width in (1, 4, 5, 8)] == [1, 1, 2, 2]


def test_packing_twice_forgets_the_first_codes() -> None:
    packed = torch.zeros(1, 2, dtype=torch.uint8)
    pack_rows(torch.ones(1, 8, dtype=torch.int8), packed)
    fewer = torch.tensor([[-1, 0, 1, -1, 0, 1, -1, 0]], dtype=torch.int8)
    pack_rows(fewer, packed)
    back = torch.empty_like(fewer)
    unpack_rows(packed, back)
    assert torch.equal(back, fewer)


def test_four_neighbours_share_a_byte_and_the_end_is_filled_with_zeros() -> None:
    codes = torch.tensor([[-1, 0, 1, 1, 0], [1, 1, 1, 1, 1]], dtype=torch.int8)
    assert packed_rows(codes).tolist() == [[0b10100100, 0b01], [0b10101010, 0b10]]
    opcheck(packed_rows, (codes,))

"""The shuffle without a table is a bijection for every size, keyed, and never changes."""

import numpy as np
import pytest

from bitnet.data.keyed import keyed_bits
from bitnet.data.prepared.permutation import ROUNDS, Ranges

POWERS = [1 << bits for bits in range(1, 15)]
SIZES = sorted({*range(1, 40), *POWERS, *(p - 1 for p in POWERS), *(p + 1 for p in POWERS), 10_007})


def shuffled(size: int, key: int = 0) -> list[int]:
    keys = np.repeat(keyed_bits(ROUNDS, "test", key)[:, None], size, axis=1)
    places = np.arange(size, dtype=np.uint64)
    found: list[int] = Ranges.of([size]).permute(np.zeros(size, np.intp), places, keys).tolist()
    return found


@pytest.mark.parametrize("size", SIZES)
def test_every_place_is_taken_once(size: int) -> None:
    assert sorted(shuffled(size)) == list(range(size))


def test_other_keys_give_other_orders_and_each_is_far_from_the_identity() -> None:
    first, second = shuffled(5000, 1), shuffled(5000, 2)
    stays = [np.mean(np.array(order) == np.arange(5000)) for order in (first, second)]
    assert first != second and max(stays) < 0.003
    # Neighbours are as far apart as in a random order, a third of the range.
    assert 0.3 < np.mean(np.abs(np.diff(first))) / 5000 < 0.37


def test_each_element_lands_anywhere_with_the_same_chance() -> None:
    size, keys = 6, 3000
    seen = np.zeros((size, size))
    for key in range(keys):
        for place, value in enumerate(shuffled(size, key)):
            seen[place, value] += 1
    expected = keys / size
    assert np.abs(seen - expected).max() < 5 * np.sqrt(expected)


def test_ranges_of_different_sizes_are_shuffled_together_as_alone() -> None:
    sizes = [1, 7, 1000]
    which = np.repeat(np.arange(3), sizes)
    places = np.concatenate([np.arange(size, dtype=np.uint64) for size in sizes])
    keys = np.stack([keyed_bits(ROUNDS, "test", 4 + index) for index in range(3)], axis=1)
    together = Ranges.of(sizes).permute(which, places, keys[:, which]).tolist()
    alone = [value for index, size in enumerate(sizes) for value in shuffled(size, 4 + index)]
    assert together == alone


def test_the_order_is_the_same_for_ever() -> None:
    """Another order here would give every run that is resumed other samples."""
    assert shuffled(10, 9) == [6, 4, 7, 9, 5, 8, 2, 1, 0, 3]
    size, places = 10**12, [0, 1, 10**12 - 1]
    keys = np.repeat(keyed_bits(ROUNDS, "test", 9)[:, None], 3, axis=1)
    found = Ranges.of([size]).permute(np.zeros(3, np.intp), np.array(places, dtype=np.uint64), keys)
    assert found.tolist() == [730522632918, 519373059363, 444811342591]

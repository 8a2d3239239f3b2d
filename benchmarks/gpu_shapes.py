"""The products that a layer of the published models is made of."""

from __future__ import annotations

from typing import NamedTuple


class Product(NamedTuple):
    """One product of a layer: where it stands, its columns and the lengths of its sums."""

    name: str
    n: int
    depths: tuple[int, ...]

    @property
    def backward(self) -> bool:
        return "gradient" in self.name


def products_of(model: str, dim: int, ffn: int, key_value: int) -> list[Product]:
    """Those of one layer, q/k/v and gate/up each reading one input."""
    return [
        Product(f"{model} q, o", dim, (dim,)),
        Product(f"{model} gate, up", ffn, (dim,)),
        Product(f"{model} down", dim, (ffn,)),
        Product(f"{model} gradient through q, k, v", dim, (dim, key_value, key_value)),
        Product(f"{model} gradient through gate, up", dim, (ffn, ffn)),
        Product(f"{model} gradient through down", ffn, (dim,)),
    ]


FULL = [
    *products_of("700M", 1536, 4096, 1536),
    *products_of("1.3B", 2048, 5460, 2048),
    *products_of("2B4T", 2560, 6912, 640),
]
TINY = products_of("tiny", 32, 20, 16)

"""The contenders by name, in the order of the table; the dense twin is the measure."""

from __future__ import annotations

from benchmarks.train.contender import Contender, Ours
from benchmarks.train.naive import Naive
from benchmarks.train.peers import Bitlinear, Onebitllms, PypiBitnet, Torchao, Transformers
from bitnet.nn import LinearSpec

DENSE = "dense"
ENGINES = ("reference", "int8", "int8_grad8", "int8_grad_e4m3")
PEERS = (Torchao(), Transformers(), PypiBitnet(), Bitlinear(), Onebitllms())

CONTENDERS: dict[str, Contender] = {
    each.name: each
    for each in (
        Ours(DENSE, LinearSpec("dense")),
        *(Ours(f"bitnet {engine}", LinearSpec("bitnet", engine)) for engine in ENGINES),
        Naive(),
        *PEERS,
    )
}

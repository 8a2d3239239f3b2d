"""The contenders by name, in the order of the table."""

from benchmarks.data.ceiling import Ceiling
from benchmarks.data.contender import Contender
from benchmarks.data.grain_mix import Grain
from benchmarks.data.hf_datasets import HuggingFace
from benchmarks.data.lit import LitData
from benchmarks.data.mds import Mosaic
from benchmarks.data.ours import Prepared, Stream

CONTENDERS: dict[str, Contender] = {
    each.name: each
    for each in (Ceiling(), Stream(), HuggingFace(), Prepared(), LitData(), Mosaic(), Grain())
}

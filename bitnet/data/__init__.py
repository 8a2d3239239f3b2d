"""Documents to tokens to samples to a mixture to batches, each stage with an explicit position.

The training loop's side of it is `bitnet.data.module.MixtureModule`, which is not imported here so
that specifications and tokenizers can be used without lightning.
"""

from bitnet.data.corpus import CorpusSpec, LocalCorpus
from bitnet.data.errors import DataError
from bitnet.data.generated import GeneratedCorpus
from bitnet.data.hub import HubCorpus
from bitnet.data.listed import ListedCorpus
from bitnet.data.mix import MixSpec, MixStage, resolved, shares_of, weights_problems
from bitnet.data.pocket import PocketCorpus
from bitnet.data.sources import Source
from bitnet.data.specs import StreamSpec, ValidationSpec
from bitnet.data.tokenizer import Tokenizer, load_tokenizer

__all__ = [
    "CorpusSpec",
    "DataError",
    "GeneratedCorpus",
    "HubCorpus",
    "ListedCorpus",
    "LocalCorpus",
    "MixSpec",
    "MixStage",
    "PocketCorpus",
    "Source",
    "StreamSpec",
    "Tokenizer",
    "ValidationSpec",
    "load_tokenizer",
    "resolved",
    "shares_of",
    "weights_problems",
]

"""A corpus that every machine already has: the text inside its Python installation.

It lets a first run, a test or a CI job train on real words without a download. It is a stand-in
with the shape of RedPajama (seven subsets, one JSON object a line), not a training corpus.
"""

from bitnet.data.pocket.corpus import PocketCorpus, pocket_tokenizer_file

__all__ = ["PocketCorpus", "pocket_tokenizer_file"]

"""A hundred random stops of either feed, each gone on from to the same tokens."""

import random

import pytest

from bitnet.data import LocalCorpus
from bitnet.data.prepared.corpus import PreparedCorpus
from tests.data.corpora import LLAMA, batches, module_of, same, seven_subsets
from tests.data.prepared.making import make

STOPS = 100
LONGEST = 400


@pytest.fixture(scope="module")
def corpora(tmp_path_factory):
    root = tmp_path_factory.mktemp("seven")
    local = seven_subsets(root)
    folder = tmp_path_factory.mktemp("prepared") / "tokens"
    make(folder, local.open())
    return {"stream": local, "prepared": PreparedCorpus(path=str(folder))}


@pytest.fixture(scope="module")
def references(corpora):
    return {kind: batches(module_of(corpus, LLAMA), LONGEST) for kind, corpus in corpora.items()}


@pytest.mark.parametrize("workers", [0, 1, 2])
@pytest.mark.parametrize("kind", ["stream", "prepared"])
def test_a_hundred_stops(corpora, references, kind, workers):
    assert isinstance(corpora["stream"], LocalCorpus)
    expected, corpus = references[kind], corpora[kind]
    whole = module_of(corpus, LLAMA)
    batches(whole, LONGEST)
    draw = random.Random(f"{kind} {workers}")
    for at in draw.sample(range(1, LONGEST - 8), STOPS):
        whole.trained_batches = at
        again = module_of(corpus, LLAMA, workers=workers)
        again.load_state_dict(whole.state_dict())
        assert same(batches(again, 6), expected[at : at + 6]), at

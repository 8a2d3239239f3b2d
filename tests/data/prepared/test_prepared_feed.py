"""The samples of a run: each token once an epoch, from a number alone, and traced back."""

import pickle
import random
import time
from collections import Counter

import numpy as np
import pytest
from numpy.typing import NDArray

from bitnet.data import DataError, LocalCorpus
from bitnet.data.prepared.feed import BLOCK, PreparedFeed
from bitnet.data.prepared.maps import TokenRing
from bitnet.data.prepared.shards import PreparedSet
from bitnet.data.prepared.windows import Windows
from bitnet.data.sampler import MixtureOrder, WeightStage
from tests.data.corpora import BYTES, LLAMA, seven_subsets, write
from tests.data.prepared.making import make, opened

NAMES = sorted(LLAMA)
LENGTH = 32


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> PreparedSet:
    root = tmp_path_factory.mktemp("feed")
    make(root / "out", seven_subsets(root / "corpus").open())
    return opened(root / "out")


def order(seed: int = 3, **weights: float) -> MixtureOrder:
    shares = weights or LLAMA
    return MixtureOrder(seed, (WeightStage(0, tuple(shares[name] for name in sorted(shares))),))


def feed(prepared: PreparedSet, seed: int = 3) -> PreparedFeed:
    return PreparedFeed(prepared, NAMES, order(seed), LENGTH)


def alone(prepared: PreparedSet, name: str, length: int = LENGTH, **limits: int) -> PreparedFeed:
    return PreparedFeed(prepared, [name], order(**{name: 1.0}), length, limits)


def tokens_of(prepared: PreparedSet, name: str) -> NDArray[np.uint16]:
    paths = sorted((prepared.folder / name).glob("*.train.tokens"))
    return np.concatenate([np.fromfile(path, dtype="<u2") for path in paths])


@pytest.fixture(scope="module")
def noise(tmp_path_factory: pytest.TempPathFactory) -> PreparedSet:
    """Documents of random letters, in which no two windows are alike; many shards."""
    root, draw = tmp_path_factory.mktemp("noise"), random.Random(1)
    texts = ["".join(draw.choices("abcdefghij", k=draw.randint(1, 900))) for _ in range(60)]
    write(root / "corpus" / "web.jsonl", texts)
    make(root / "out", LocalCorpus(root=str(root / "corpus")).open())
    return opened(root / "out")


@pytest.mark.parametrize("length", [20, LENGTH, 700, 9000])
def test_an_epoch_gives_every_token_once(noise: PreparedSet, length: int) -> None:
    tokens = tokens_of(noise, "web")
    assert len(tokens) > 20_000 and len(noise.sources["web"].shards) > 5
    windows = len(tokens) // (length + 1)
    reader = alone(noise, "web", length)
    epochs = [reader.batch(number * windows, windows)[0] for number in range(3)]
    ring = np.concatenate([tokens, tokens[: length + 1]]).astype(np.int32)
    starts = {ring[at : at + length + 1].tobytes(): at for at in range(len(tokens))}
    assert len(starts) == len(tokens)  # every window of the ring can be told from the others
    cuts = []
    for samples in epochs:
        places = np.array([starts[sample.tobytes()] for sample in samples])
        covered = (places[:, None] + np.arange(length + 1)) % len(tokens)
        assert len(np.unique(covered)) == windows * (length + 1)  # nothing twice, and all of them
        cuts.append(places)
    assert len({int(cut.min()) for cut in cuts}) == 3  # cut at other places
    if windows > 10:
        assert not np.array_equal(np.argsort(cuts[0]), np.argsort(cuts[1]))  # in another order


@pytest.mark.parametrize(("tokens", "length"), [(70, 7), (7, 7), (71, 7), (76, 7), (1000, 33)])
def test_windows_of_a_pass_never_meet(tokens: int, length: int) -> None:
    windows = Windows(5, ["web"], [tokens], length)
    count = tokens // length
    ordinals = np.arange(4 * count, dtype=np.int64)
    cuts = windows.cut(np.zeros(len(ordinals), np.uint8), ordinals)
    for epoch in range(4):
        own = cuts.epoch == epoch
        assert own.sum() == count and sorted(cuts.window[own]) == list(range(count))
        covered = (cuts.start[own][:, None] + np.arange(length)) % tokens
        assert len(np.unique(covered)) == count * length


def test_the_same_samples_however_the_run_is_cut(prepared: PreparedSet) -> None:
    whole, sources = feed(prepared).batch(0, 3 * BLOCK)
    for start, size in ((0, 1), (5, 7), (1000, 100), (BLOCK, BLOCK), (2047, 2), (3000, 72)):
        part, own = feed(prepared).batch(start, size)
        assert np.array_equal(part, whole[start : start + size])
        assert np.array_equal(own, sources[start : start + size])
    # As two ranks of three workers would take them, out of order.
    one = feed(prepared)
    for first in sorted(range(0, 3 * BLOCK, 4), key=lambda number: number * 7919 % 3079):
        assert np.array_equal(one.batch(first, 4)[0], whole[first : first + 4])


def test_another_process_goes_on_with_the_same_samples(prepared: PreparedSet) -> None:
    here = feed(prepared)
    before = here.batch(100, 50)[0]
    content = pickle.dumps(here)
    there = pickle.loads(content)
    assert np.array_equal(there.batch(100, 50)[0], before)
    assert len(content) < 40_000  # numbers, not tokens


def test_sources_come_as_the_order_says_and_their_samples_are_theirs(
    prepared: PreparedSet,
) -> None:
    tokens, sources = feed(prepared).batch(0, 2 * BLOCK)
    assert tokens.dtype == np.int32 and tokens.shape == (2 * BLOCK, LENGTH + 1)
    assert np.array_equal(sources, order().draws(0, 2 * BLOCK)[0])
    for row, source in zip(tokens[:300], sources[:300], strict=True):
        name = NAMES[int(source)]
        text = BYTES.decode(row.tolist()).replace("<|endoftext|>", "")
        words = [word for word in text.split()[1:-1] if not word.startswith("[")]
        assert all(word[0] == name[0] for word in words)


def test_another_seed_gives_another_run(prepared: PreparedSet) -> None:
    first, second = (feed(prepared, seed).batch(0, 64)[0] for seed in (3, 4))
    assert (first != second).any(axis=1).mean() > 0.95


def test_a_far_sample_is_there_at_once(prepared: PreparedSet) -> None:
    begun = time.perf_counter()
    tokens, _ = feed(prepared).batch(10**8, 8)
    assert time.perf_counter() - begun < 1.0
    assert np.array_equal(feed(prepared).batch(10**8 - 4, 8)[0][4:], tokens[:4])


def test_a_limited_source_ends_the_run_at_its_last_sample(prepared: PreparedSet) -> None:
    windows = prepared.sources["book"].tokens // (LENGTH + 1)
    reader = alone(prepared, "book", book=2)
    reader.batch(2 * windows - 3, 3)
    reader.batch(0, 2 * windows)
    with pytest.raises(DataError, match=r"mix.max_epochs.book: source 'book' has been read 2 time"):
        reader.batch(2 * windows - 3, 4)
    with pytest.raises(DataError, match=r"mix.max_epochs: 'bock' is unknown.*'book'"):
        alone(prepared, "book", bock=2)


def test_a_source_that_is_too_short_is_refused_unless_it_is_never_drawn(
    prepared: PreparedSet,
) -> None:
    length = prepared.sources["stackexchange"].tokens
    with pytest.raises(DataError, match=f"'stackexchange' holds {length} training tokens"):
        alone(prepared, "stackexchange", length)
    alone(prepared, "stackexchange", length - 1).batch(0, 2)
    shares = {"github": 1.0, "stackexchange": 0.0}
    both = PreparedFeed(prepared, sorted(shares), order(**shares), length)
    assert not both.batch(0, 20)[1].any()
    with pytest.raises(DataError, match=r"'githab' is unknown.*'github'"):
        alone(prepared, "githab")


def test_few_open_files_give_the_same_samples(prepared: PreparedSet) -> None:
    wide, narrow = (TokenRing(prepared, NAMES, maps) for maps in (512, 2))
    sources, ordinals = order().draws(0, 200)
    rows = [np.empty((200, 50), np.int32) for _ in range(2)]
    for ring, out in zip((wide, narrow), rows, strict=True):
        shards, offsets = ring.find(sources, ordinals * 13 % 500)
        ring.copy(shards.tolist(), offsets.tolist(), out)
    assert np.array_equal(*rows)
    assert len(narrow._open) <= 2 < len(wide._open)


def test_a_shard_that_vanishes_is_one_line(prepared: PreparedSet) -> None:
    ring = TokenRing(prepared, NAMES)
    ring._paths = [path.with_name("gone") for path in ring._paths]
    with pytest.raises(DataError, match="gone: cannot be opened"):
        ring.copy([0], [0], np.empty((1, 4), np.int32))


def test_a_sample_names_its_documents(prepared: PreparedSet) -> None:
    reader, seen = feed(prepared), Counter[str]()
    for number in range(0, 700, 5):
        sample = reader.sample(number)
        tokens, sources = reader.batch(number, 1)
        assert np.array_equal(sample.tokens, tokens[0]) and sample.source == NAMES[sources[0]]
        assert sample.documents[0].first == 0 and sample.documents[-1].last == LENGTH + 1
        for document, following in zip(sample.documents, sample.documents[1:], strict=False):
            assert document.last == following.first
            assert sample.tokens[document.last - 1] == BYTES.eos_id
        for document in sample.documents:
            text = BYTES.decode(sample.tokens[document.first : document.last].tolist())
            if document.skipped == 0 and len(text) > 25:
                seen[sample.source] += 1
                name, _, place = text[1 : text.index("]")].partition(":")
                assert name == sample.source
                _check_place(prepared, document.place, int(place))
    assert seen["common_crawl"] > 5


def _check_place(prepared: PreparedSet, place: str, number: int) -> None:
    """Lines of one-file sources are the numbers that their documents begin with."""
    file, _, line = place.partition(":")
    if file in ("common_crawl.jsonl.zst", "wikipedia.parquet", "arxiv.txt") and line.isdecimal():
        assert int(line) == number + 1


def test_documents_are_followed_round_the_end_of_a_source(prepared: PreparedSet) -> None:
    reader = alone(prepared, "stackexchange", prepared.sources["stackexchange"].tokens - 1)
    sample = reader.sample(0)
    assert sum(part.last - part.first for part in sample.documents) == len(sample.tokens)
    places = [(part.file, part.start, part.record) for part in sample.documents]
    assert len(set(places)) == prepared.sources["stackexchange"].documents
    # All of the source is in the sample, and its first document is met again at the end.
    assert places[0] == places[-1] and len(places) == len(set(places)) + 1

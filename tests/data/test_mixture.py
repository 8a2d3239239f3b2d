"""The promises of the mixture: right shares, one source a sample, every document once an epoch."""

import math
import re
from collections import Counter

import numpy as np
import pytest
import torch

from bitnet.data import LocalCorpus
from bitnet.data.blocks import BlockReader, Partition
from bitnet.data.cursor import Cursor
from bitnet.data.records import Unit
from bitnet.data.sampler import SAMPLES_PER_BLOCK, MixtureOrder, WeightStage
from bitnet.data.split import is_held_out
from tests.data.corpora import BYTES, LLAMA, batches, documents, module_of, write

NAMES = sorted(LLAMA)
WEIGHTS = tuple(LLAMA[name] for name in NAMES)
GOLDEN = [2, 3, 2, 3, 2, 5, 3, 3, 3, 3, 3, 3, 3, 2, 2, 2, 2, 3, 3, 3, 6, 3, 2, 2]
GOLDEN_COUNTS = [25000000, 45000001, 150000000, 670000000, 44999999, 20000001, 44999999]


def order(seed, weights=WEIGHTS):
    return MixtureOrder(seed, (WeightStage(0, weights),))


def sources_of(seed, first, count, weights=WEIGHTS):
    return order(seed, weights).draws(first, count)[0]


@pytest.mark.parametrize("seed", [0, 1, 7])
def test_shares_of_a_million_samples_lie_within_three_sigma(seed):
    counts = np.bincount(sources_of(seed, 0, 1_000_000), minlength=7)
    assert counts.tolist() == order(seed).counts(1_000_000).tolist()
    for count, weight in zip(counts, WEIGHTS, strict=True):
        sigma = math.sqrt(1_000_000 * weight * (1 - weight))
        assert abs(count - 1_000_000 * weight) <= 3 * sigma


def test_every_block_has_each_source_s_share_to_one_sample():
    for block in range(200):
        counts = np.bincount(sources_of(4, block * SAMPLES_PER_BLOCK, SAMPLES_PER_BLOCK))
        assert np.abs(counts - SAMPLES_PER_BLOCK * np.array(WEIGHTS)).max() < 1


def test_rounding_favours_no_source():
    """Weights far below a block's resolution are met in the long run."""
    weights = (1 / 3000, 1 - 1 / 3000 - 1 / 7000, 1 / 7000)
    counts = order(2, weights).counts(21_000_000)
    assert counts[0] == pytest.approx(7000, abs=4)
    assert counts[2] == pytest.approx(3000, abs=4)


def test_shares_of_20000_samples_of_the_real_feed(seven):
    module = module_of(seven, LLAMA, length=7, batch=100, streams=4)
    counts = sum(torch.bincount(b["source"], minlength=7) for b in batches(module, 200))
    for count, weight in zip(counts.tolist(), WEIGHTS, strict=True):
        assert abs(count - 20_000 * weight) <= 3 * math.sqrt(20_000 * weight * (1 - weight))
    module.trained_batches = 200
    assert [report.samples for report in module.report()] == counts.tolist()
    assert sum(report.share for report in module.report()) == pytest.approx(1)


def test_source_of_a_sample_depends_on_seed_and_index_alone():
    around = range(SAMPLES_PER_BLOCK - 5, SAMPLES_PER_BLOCK + 5)
    together = sources_of(3, around.start, len(around))
    assert [int(sources_of(3, index, 1)[0]) for index in around] == together.tolist()
    assert not np.array_equal(sources_of(3, 0, 1000), sources_of(4, 0, 1000))


def test_the_draw_never_changes():
    """A golden draw: another one would silently change every run that is resumed."""
    assert sources_of(0, 0, 24).tolist() == GOLDEN
    assert order(0).counts(10**9).tolist() == GOLDEN_COUNTS


def test_a_source_of_weight_zero_is_never_drawn():
    drawn = sources_of(0, 0, 50_000, (0.0, 0.5, 0.0, 0.5, 0.0))
    assert set(drawn.tolist()) == {1, 3}


STAGES = MixtureOrder(
    1,
    (
        WeightStage(0, WEIGHTS),
        WeightStage(5000, (0.0, 0.0, 0.5, 0.5, 0.0, 0.0, 0.0)),
        WeightStage(9000, WEIGHTS),
    ),
)


def test_ordinals_count_the_samples_of_each_source_through_all_stages():
    sources, ordinals = STAGES.draws(0, 12_000)
    for index in range(7):
        mine = ordinals[sources == index]
        assert mine.tolist() == list(range(len(mine)))
    for first in (0, 1, 1023, 1024, 4999, 5000, 7000, 8999, 9001):
        part = STAGES.draws(first, 1500)
        assert part[0].tolist() == sources[first : first + 1500].tolist()
        assert part[1].tolist() == ordinals[first : first + 1500].tolist()
        assert STAGES.counts(first).tolist() == np.bincount(sources[:first], minlength=7).tolist()


def test_weights_change_exactly_where_a_stage_begins():
    sources, _ = STAGES.draws(5000, 4000)
    assert set(sources.tolist()) == {2, 3}
    assert STAGES.shares(10_000) == pytest.approx(
        [w * 0.6 + extra * 0.4 for w, extra in zip(WEIGHTS, STAGES.stages[1].weights, strict=True)]
    )


def test_no_sample_holds_two_sources(seven):
    marks = {name: re.compile(rf"\[(?!{name}:)\w+:") for name in NAMES}
    for batch in batches(module_of(seven, LLAMA, length=200), 60):
        assert batch["tokens"].dtype == torch.int32
        assert batch["source"].dtype == torch.uint8
        assert batch["tokens"].shape == (3, 201)
        for ids, source in zip(batch["tokens"].tolist(), batch["source"].tolist(), strict=True):
            assert not marks[NAMES[source]].search(BYTES.decode(ids))


def partition(stream, streams, seed=0, block_bytes=700, fraction=0.1):
    return Partition(stream, streams, seed, block_bytes, fraction, skip_broken=False)


def one_epoch(source, part, epoch=0):
    texts = []
    for block in BlockReader(source, part).blocks(Cursor(epoch=epoch)):
        if block.epoch > epoch:
            return texts
        texts += block.texts
    raise AssertionError("blocks never end")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("streams", [1, 2, 4, 8])
def test_the_streams_parts_are_the_source_once_an_epoch(seven, name, streams):
    source = seven.open()[name]
    everything = [text for text in every_text(source) if not is_held_out(text.encode(), 0.1)]
    for epoch in (0, 1):
        parts = [one_epoch(source, partition(s, streams), epoch) for s in range(streams)]
        assert Counter(text for part in parts for text in part) == Counter(everything)


def test_files_of_one_document_each_are_dealt_to_all_streams(root):
    for part in range(6):
        write(root / "a" / f"{part}.txt", [f"document {part}"])
    source = LocalCorpus(root=str(root)).open()["a"]
    parts = [one_epoch(source, partition(s, 6, fraction=1e-9)) for s in range(6)]
    assert sorted(map(len, parts)) == [1] * 6
    parts = [one_epoch(source, partition(s, 8, fraction=1e-9), 1) for s in range(6)]
    assert sorted(map(len, parts)) == [1] * 6


def every_text(source):
    for file in range(len(source.files)):
        yield from (record.text for record in source.read(Unit(file)))


def test_epochs_and_seeds_are_shuffled_differently(seven):
    source = seven.open()["github"]
    orders = [
        one_epoch(source, partition(0, 1, seed, 10_000), epoch)
        for seed, epoch in [(0, 0), (0, 1), (1, 0)]
    ]
    assert orders[0] != orders[1] != orders[2] != orders[0]
    assert sorted(orders[0]) == sorted(orders[1]) == sorted(orders[2])


def test_packing_drops_and_pads_nothing(root):
    texts = documents("github", 50)
    write(root / "github.jsonl", texts)
    module = module_of(LocalCorpus(root=str(root)), {"github": 1.0}, streams=1, length=40)
    kept = [text for text in texts if not is_held_out(text.encode(), 0.1)]
    size = sum(len(text) + 1 for text in kept)
    stream = torch.cat([b["tokens"].flatten() for b in batches(module, size // 123 + 1)])
    read = BYTES.decode(stream[:size].tolist()).split("<|endoftext|>")
    assert read.pop() == ""
    assert sorted(read) == sorted(kept)


def test_documents_are_counted_as_they_end(root):
    texts = documents("github", 40)
    write(root / "github.jsonl", [*texts, "", "  \n"])
    module = module_of(LocalCorpus(root=str(root)), {"github": 1.0}, streams=1, batch=1)
    seen = batches(module, 30)
    ends = sum(int((b["tokens"] == BYTES.eos_id).sum()) for b in seen)
    module.trained_batches = 30
    (report,) = module.report()
    assert report.documents == ends > 0
    assert report.empty == 2
    assert report.tokens == 30 * 32
    assert report.held_out == sum(is_held_out(text.encode(), 0.1) for text in texts)
    assert 0 < report.epochs < 1

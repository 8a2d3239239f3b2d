"""Mixes: written down, by rule, in stages, with limits; and what they will ask of the data."""

import re

import numpy as np
import pytest
import torch

from bitnet.data import DataError, LocalCorpus, MixSpec, MixStage, resolved, shares_of
from bitnet.data.mix import order_of
from bitnet.data.passes import expected_passes, pass_warnings, refuse_short
from bitnet.data.records import Unit
from bitnet.data.sizes import Size, estimated_tokens
from tests.data.corpora import BYTES, batches, documents, module_of, write

SIZES = {"a": 100.0, "b": 400.0, "c": 2500.0}


def test_rules_follow_the_sizes():
    assert resolved(MixSpec("natural"), SIZES).weights == pytest.approx(
        {"a": 1 / 30, "b": 4 / 30, "c": 25 / 30}
    )
    assert resolved(MixSpec("uniform"), SIZES).weights == pytest.approx(dict.fromkeys("abc", 1 / 3))
    assert resolved(MixSpec("temperature", temperature=2.0), SIZES).weights == pytest.approx(
        {"a": 10 / 80, "b": 20 / 80, "c": 50 / 80}
    )
    assert resolved(MixSpec("temperature", temperature=1.0), SIZES).weights == pytest.approx(
        resolved(MixSpec("natural"), SIZES).weights
    )


def test_a_rule_may_be_about_some_sources_only():
    found = resolved(MixSpec("natural", {"a": 1, "b": 1}), SIZES)
    assert found.rule == "weights"
    assert found.weights == pytest.approx({"a": 0.2, "b": 0.8})


def test_a_rule_without_sizes_is_refused_but_uniform_needs_none():
    sizes = {"a": 5.0, "b": 0.0}
    with pytest.raises(DataError, match=r"mix\.rule: 'natural' needs the sizes .* that of b is"):
        resolved(MixSpec("natural"), sizes)
    assert resolved(MixSpec("uniform"), sizes).weights == {"a": 0.5, "b": 0.5}
    with pytest.raises(DataError, match=r"mix\.weights: 'aa' is unknown .*did you mean 'a'"):
        resolved(MixSpec("uniform", {"aa": 1}), sizes)


@pytest.mark.parametrize(
    ("mix", "line"),
    [
        (MixSpec("wieghts"), "rule: 'wieghts' is unknown .*did you mean 'weights'"),
        (MixSpec(weights={"a": 0.7, "b": 0.2}), "weights: the weights sum to 0.9, not to 1"),
        (MixSpec("natural", temperature=0), "temperature: 0 is not a positive number"),
        (MixSpec(weights={"a": 1.0}, max_epochs={"b": 1}), "max_epochs: 'b' is unknown"),
        (MixSpec(weights={"a": 1.0}, max_epochs={"a": 0}), r"max_epochs\.a: 0 is not at least 1"),
        (MixSpec(weights={"a": 1.0}, warn_epochs=0), "warn_epochs: 0 is not a positive"),
        (
            MixSpec(weights={"a": 1.0}, stages=[MixStage(0, {"a": 1.0})]),
            r"stages\[0\]\.from_tokens: 0 is not after 0",
        ),
        (
            MixSpec(weights={"a": 1.0}, stages=[MixStage(5, {"a": 0.5})]),
            r"stages\[0\]\.weights: the weights sum to 0\.5",
        ),
    ],
)
def test_what_is_wrong_with_a_mix(mix, line):
    (found,) = mix.problems()

    assert re.match(line, found), found


STAGED = MixSpec(weights={"a": 0.5, "b": 0.5}, stages=[MixStage(1000, {"b": 0.25, "c": 0.75})])


def test_stages_begin_with_the_first_sample_at_their_tokens():
    order = order_of(STAGED, 3, 64)
    sources, _ = order.draws(0, 40)
    first = -(-1000 // 64)
    assert set(sources[:first].tolist()) == {0, 1}
    assert set(sources[first:].tolist()) <= {1, 2}
    assert order.stages[1].first_sample == first


def test_shares_of_a_whole_run_weigh_the_stages_by_their_tokens():
    assert shares_of(STAGED, 4000) == pytest.approx({"a": 0.125, "b": 0.3125, "c": 0.5625})
    assert shares_of(STAGED, 500) == pytest.approx({"a": 0.5, "b": 0.5, "c": 0.0})


def test_the_feed_changes_its_weights_at_the_stage(root):
    for name in "abc":
        write(root / f"{name}.jsonl", documents(name, 80))
    module = module_of(LocalCorpus(root=str(root)), STAGED, length=50, batch=5, streams=2)
    drawn = torch.cat([batch["source"] for batch in batches(module, 20)]).numpy()
    assert set(drawn[:20].tolist()) == {0, 1}
    assert set(drawn[20:].tolist()) == {1, 2}
    module.trained_batches = 20
    report = {each.name: each for each in module.report()}
    assert report["c"].samples == int(np.sum(drawn == 2))
    assert report["c"].weight == pytest.approx(0.75 * 80 / 100)


def test_a_mix_by_rule_is_resolved_when_the_corpus_is_opened(root):
    write(root / "small.jsonl", documents("small", 60))
    write(root / "large.jsonl", documents("large", 240))
    module = module_of(LocalCorpus(root=str(root)), MixSpec("natural"), streams=2)
    module.setup()
    assert module.source_names == ["large", "small"]
    assert module.mix.rule == "weights"
    assert module.mix.weights["large"] == pytest.approx(0.8, abs=0.01)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_source_that_may_be_read_once_gives_every_document_once_and_ends(root, workers):
    texts = documents("a", 120)
    write(root / "a.jsonl", texts)
    mix = MixSpec(weights={"a": 1.0}, max_epochs={"a": 1})
    streams = max(1, workers)
    module = module_of(
        LocalCorpus(root=str(root)),
        mix,
        streams=streams,
        workers=workers,
        length=15,
        batch=1,
        fraction=1e-9,
    )
    tokens: dict[int, list[int]] = {stream: [] for stream in range(streams)}
    with pytest.raises(DataError, match=r"source 'a' ends here: .* mix\.max_epochs=1 time"):
        for number, batch in enumerate(module.train_dataloader()):
            tokens[number % streams] += batch["tokens"].flatten().tolist()
    read = [BYTES.decode(ids).split("<|endoftext|>")[:-1] for ids in tokens.values()]
    seen = [text for part in read for text in part]
    assert len(seen) == len(set(seen))
    assert set(seen) <= set(texts)
    if streams == 1:  # only the last document may lack the tokens that make no whole sample
        assert len(texts) - len(seen) <= 1


def test_a_limited_source_repeats_as_often_as_it_may(root):
    texts = documents("a", 50)
    write(root / "a.jsonl", texts)
    mix = MixSpec(weights={"a": 1.0}, max_epochs={"a": 3})
    module = module_of(
        LocalCorpus(root=str(root)), mix, streams=1, length=15, batch=1, fraction=1e-9
    )
    ids: list[int] = []
    with pytest.raises(DataError, match=r"mix\.max_epochs=3 time"):
        for batch in module.train_dataloader():
            ids += batch["tokens"].flatten().tolist()
    seen = BYTES.decode(ids).split("<|endoftext|>")[:-1]
    passes = [seen[:50], seen[50:100], seen[100:]]
    assert sorted(passes[0]) == sorted(passes[1]) == sorted(texts)
    assert passes[0] != passes[1]
    assert len(passes[2]) >= 49


def test_passes_are_worked_out_before_the_run():
    mix = MixSpec(weights={"a": 0.5, "b": 0.25, "c": 0.25}, max_epochs={"b": 1})
    sizes = {"a": Size(100.0, "counted"), "b": Size(200.0, "published"), "c": Size(None, "x")}
    passes = expected_passes(mix, sizes, 1000, 0.5)
    assert [each.epochs for each in passes] == [5.0, 2.5, None]
    first, second = pass_warnings(mix, passes)
    assert first == "mix: more than mix.warn_epochs=4 passes over the data: a 5.0"
    assert second.startswith("mix.max_epochs.b: 1 is less than the 2.50 passes")
    assert "40%" in second
    refuse_short(mix, passes)  # published sizes are not exact enough to refuse
    counted = expected_passes(mix, {**sizes, "b": Size(200.0, "counted")}, 1000, 0.5)
    with pytest.raises(DataError, match=r"mix\.max_epochs\.b: 1 is less than the 1\.25 passes"):
        refuse_short(mix, counted)


@pytest.mark.parametrize("suffix", ["jsonl", "jsonl.zst", "jsonl.gz", "parquet", "txt"])
def test_estimated_sizes_are_near_the_truth(root, suffix):
    texts = documents("a", 3000, 200)
    write(root / "a" / f"1.{suffix}", texts[:1500])
    write(root / "a" / f"2.{suffix}", texts[1500:])
    source = LocalCorpus(root=str(root)).open()["a"]
    truth = sum(
        len(BYTES.encode(record.text or "")) + 1
        for file in range(2)
        for record in source.read(Unit(file))
    )
    size = estimated_tokens(source, BYTES)
    assert size.origin == "estimated"
    assert size.tokens == pytest.approx(truth, rel=0.1)

"""What streamed and prepared data have in common: validation, sources, limits, refusals."""

import pytest
import torch

from bitnet.data import DataError, MixSpec, load_tokenizer
from bitnet.data.prepared.corpus import PreparedCorpus
from tests.data.corpora import LLAMA, batches, module_of, same
from tests.data.prepared.making import make


@pytest.fixture(scope="module")
def prepared(seven, tmp_path_factory):
    folder = tmp_path_factory.mktemp("prepared") / "tokens"
    make(folder, seven.open())
    return PreparedCorpus(path=str(folder))


def test_both_validate_on_the_same_tokens(seven, prepared):
    assert same(
        list(module_of(seven, LLAMA).val_dataloader()),
        list(module_of(prepared, LLAMA).val_dataloader()),
    )


def test_both_draw_the_same_sources(seven, prepared):
    streamed, stored = (batches(module_of(each, LLAMA), 300) for each in (seven, prepared))
    for left, right in zip(streamed, stored, strict=True):
        assert torch.equal(left["source"], right["source"])
        assert right["tokens"].shape == (3, 33) and right["tokens"].dtype == torch.int32


@pytest.mark.parametrize("ahead", [0, 1, 2])
def test_prepared_batches_are_the_same_for_any_number_of_workers(prepared, ahead):
    expected = batches(module_of(prepared, LLAMA), 150)
    assert same(batches(module_of(prepared, LLAMA, workers=ahead), 150), expected)


def test_the_micro_batch_may_change_on_resume(prepared):
    whole = batches(module_of(prepared, LLAMA, batch=12), 40)
    module = module_of(prepared, LLAMA, batch=4)
    module.trained_batches = 30
    again = module_of(prepared, LLAMA, batch=12)
    again.load_state_dict(module.state_dict())
    assert again.trained_batches == 10
    assert same(batches(again, 30), whole[10:])
    module.trained_batches = 31
    with pytest.raises(DataError, match="sample 124, which is no multiple of 12"):
        module_of(prepared, LLAMA, batch=12).load_state_dict(module.state_dict())


def test_a_mix_by_rule_takes_the_counted_tokens(prepared):
    module = module_of(prepared, MixSpec("natural"))
    module.setup()
    sizes = {name: source.tokens for name, source in prepared.open_set().sources.items()}
    total = sum(sizes.values())
    assert module.mix.weights == pytest.approx({name: n / total for name, n in sizes.items()})


def test_reports_count_passes(prepared):
    module = module_of(prepared, LLAMA)
    module.trained_batches = 2000
    report = {each.name: each for each in module.report()}
    tokens = prepared.open_set().sources["stackexchange"].tokens
    assert report["stackexchange"].epochs == pytest.approx(
        report["stackexchange"].samples * 33 / tokens
    )
    assert sum(each.samples for each in report.values()) == 6000


def test_another_tokenizer_or_split_is_refused(prepared):
    with pytest.raises(DataError, match=r"tokenizer: .* was prepared with 'bytes'"):
        module_of(prepared, LLAMA, tokenizer=load_tokenizer("arithmetic")).setup()
    with pytest.raises(DataError, match=r"validation\.fraction: .* prepared with 0\.1, not 0\.2"):
        module_of(prepared, LLAMA, fraction=0.2).setup()


def test_a_counted_source_that_cannot_last_is_refused_before_the_run(prepared):
    module = module_of(prepared, MixSpec(weights=LLAMA, max_epochs={"stackexchange": 1}))
    with pytest.raises(DataError, match=r"mix\.max_epochs\.stackexchange: 1 is less than the"):
        module.expected_passes(10_000_000)
    assert {each.size.origin for each in module.expected_passes(1000)} == {"counted"}


def test_passes_over_a_stream_are_estimated(seven, caplog):
    passes = {each.source: each for each in module_of(seven, LLAMA).expected_passes(5_000_000)}
    assert passes["stackexchange"].epochs > 4
    assert "more than mix.warn_epochs=4 passes over the data" in caplog.text

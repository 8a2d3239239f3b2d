"""The validation set: never trained on, and the same for every seed and layout."""

import pytest
import torch

from bitnet.data import DataError, LocalCorpus
from bitnet.data.split import is_held_out
from tests.data.corpora import BYTES, LLAMA, batches, documents, module_of, same, write

NAMES = sorted(LLAMA)


def texts_in(found, source=None):
    """Whole documents that stand in consecutive samples."""
    kept = [b["tokens"] if source is None else b["tokens"][b["source"] == source] for b in found]
    stream = torch.cat([part.flatten() for part in kept])
    return BYTES.decode(stream.tolist()).split("<|endoftext|>")[:-1]


def test_validation_documents_never_train(root):
    texts = documents("a", 120)
    write(root / "a.jsonl", texts)
    held = {text for text in texts if is_held_out(text.encode(), 0.2)}
    assert 10 < len(held) < 40
    for seed, streams in ((0, 1), (1, 1), (2, 1)):
        module = module_of(
            LocalCorpus(root=str(root)), {"a": 1.0}, seed=seed, streams=streams, fraction=0.2
        )
        trained = set(texts_in(batches(module, 400)))
        assert trained == set(texts) - held
    scored = texts_in(module.val_dataloader())
    assert scored
    assert set(scored) <= held


def test_the_split_depends_on_the_text_alone():
    texts = documents("any", 5000)
    small = {text for text in texts if is_held_out(text.encode(), 0.05)}
    assert 150 < len(small) < 350
    assert small < {text for text in texts if is_held_out(text.encode(), 0.1)}
    assert is_held_out(b"a golden text 24", 0.05) is False


def test_validation_is_the_same_for_every_seed_mix_and_layout(seven, root):
    other = dict.fromkeys(LLAMA, 1 / 7)
    first = list(module_of(seven, LLAMA).val_dataloader())
    assert same(first, list(module_of(seven, other, seed=9, streams=2).val_dataloader()))
    assert same(first, list(module_of(seven, LLAMA).val_dataloader()))


def test_every_source_is_scored_in_full_samples(seven):
    loader = module_of(seven, LLAMA, batch=3).val_dataloader()
    found = list(loader)
    assert len(loader) == len(found)
    counts = torch.bincount(torch.cat([b["source"] for b in found]), minlength=7)
    assert counts.tolist() == [256 // 32] * 7
    assert all(b["tokens"].shape[1] == 33 and b["tokens"].dtype == torch.int32 for b in found)
    assert [len(b["tokens"]) for b in found] == [3] * 18 + [2]
    for index, name in enumerate(NAMES):
        assert f"[{name}:" in "".join(texts_in(found, index))


def test_a_source_without_validation_documents_is_refused(root):
    write(root / "a.jsonl", documents("a", 30))
    module = module_of(LocalCorpus(root=str(root)), {"a": 1.0}, fraction=1e-6)
    with pytest.raises(DataError, match=r"validation\.fraction: 1e-06 holds out no document of"):
        module.val_dataloader()


def test_too_little_text_for_a_sample_is_refused(root):
    write(root / "a.jsonl", documents("a", 60))
    module = module_of(LocalCorpus(root=str(root)), {"a": 1.0}, length=5000)
    with pytest.raises(DataError, match=r"held-out documents of source 'a' make \d+ tokens, less"):
        module.val_dataloader()


def test_a_small_held_out_part_is_used_once(root):
    texts = documents("a", 60)
    write(root / "a.jsonl", texts)
    held = [text for text in texts if is_held_out(text.encode(), 0.1)]
    module = module_of(LocalCorpus(root=str(root)), {"a": 1.0}, length=16)
    module._validation.tokens_per_source = 10**9
    samples = sum(len(b["tokens"]) for b in module.val_dataloader())
    assert samples == sum(len(text) + 1 for text in held) // 17

"""Tokenizers: the bytes, files, byte lengths, and text that tries to be a special token."""

import multiprocessing
import pickle

import pytest
from tokenizers import AddedToken, decoders, models, normalizers, pre_tokenizers
from tokenizers import Tokenizer as RawTokenizer

from bitnet.data import DataError, LocalCorpus, load_tokenizer
from bitnet.data.pieces import LONGEST_PIECE_CHARS, PIECE_CHARS, pieces_of
from bitnet.data.pocket.bpe import train_bpe
from bitnet.data.tokenizer import Tokenizer
from tests.data.corpora import BYTES, batches, documents, module_of, write

ODD = "Grüße, 世界! \U0001f600\n\ttabs  and\u2028lines é e\u0301"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bpe")
    write(folder / "a.jsonl.zst", [f"{ODD} {text}" for text in documents("apples", 300)])
    for name in ("one.json", "two.json"):
        train_bpe(folder, ["a"], folder / name)
    return folder


def test_bytes_are_their_own_ids():
    assert BYTES.vocab_size == 257
    assert BYTES.eos_id == 256
    assert BYTES.encode(ODD) == list(ODD.encode())
    assert BYTES.decode(BYTES.encode(ODD)) == ODD
    assert BYTES.byte_lengths().tolist() == [1] * 256 + [0]
    assert BYTES.encode_batch(["ab", ""]) == [[97, 98], []]


def test_training_a_tokenizer_twice_gives_the_same_one(trained):
    assert (trained / "one.json").read_bytes() == (trained / "two.json").read_bytes()


@pytest.mark.parametrize("text", [ODD, "plain words and   spaces", "", "x" * 5000])
def test_byte_lengths_add_up_to_the_text(trained, text):
    for tokenizer in (BYTES, load_tokenizer(str(trained / "one.json"))):
        lengths = tokenizer.byte_lengths()
        assert sum(lengths[tokenizer.encode(text)]) == len(text.encode())
        assert lengths[tokenizer.eos_id] == 0
        assert tokenizer.decode(tokenizer.encode(text)) == text


def test_byte_lengths_of_added_tokens_that_are_text():
    raw = RawTokenizer.from_str(BYTES._raw.to_str())
    raw.add_tokens([AddedToken("    ", normalized=False), AddedToken("äö", normalized=False)])
    tokenizer = Tokenizer(raw, "added")
    assert tokenizer.vocab_size == 259
    assert tokenizer.byte_lengths()[257:].tolist() == [4, 4]


def test_byte_lengths_without_a_byte_level_ask_the_decoder():
    vocabulary = {"<unk>": 0, "</s>": 1, "▁a": 2, "a": 3, "▁é": 4, "<0xE4>": 5}
    raw = RawTokenizer(models.BPE(vocab=vocabulary, merges=[], unk_token="<unk>"))
    raw.normalizer = normalizers.Replace(" ", "▁")
    raw.pre_tokenizer = pre_tokenizers.Metaspace()
    raw.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback()])
    raw.add_special_tokens(["<unk>", "</s>"])
    tokenizer = Tokenizer(raw, "metaspace")
    assert tokenizer.eos_id == 1
    assert tokenizer.byte_lengths().tolist() == [0, 0, 2, 1, 3, 1]


def test_a_document_cannot_end_itself(root):
    spelled = "before <|endoftext|> after"
    assert BYTES.eos_id not in BYTES.encode(spelled)
    assert BYTES.eos_id not in pickle.loads(pickle.dumps(BYTES)).encode(spelled)
    write(root / "a.jsonl", [spelled] * 3)
    module = module_of(LocalCorpus(root=str(root)), {"a": 1.0}, streams=1, length=80, batch=1)
    (batch,) = batches(module, 1)
    assert (batch["tokens"] == BYTES.eos_id).sum() == 81 // (len(spelled) + 1)


def test_a_saved_tokenizer_is_the_same(trained, tmp_path):
    for tokenizer in (BYTES, load_tokenizer(str(trained / "one.json"))):
        tokenizer.save(tmp_path / "tokenizer.json")
        for name in (tmp_path, tmp_path / "tokenizer.json"):
            again = load_tokenizer(str(name))
            assert again.fingerprint == tokenizer.fingerprint
            assert again.encode(ODD) == tokenizer.encode(ODD)
    assert load_tokenizer(str(trained / "one.json")).fingerprint != BYTES.fingerprint


def test_truncation_and_padding_in_a_file_are_ignored(tmp_path):
    raw = RawTokenizer.from_str(BYTES._raw.to_str())
    raw.enable_truncation(4)
    raw.enable_padding(length=8)
    raw.save(str(tmp_path / "tokenizer.json"))
    assert len(load_tokenizer(str(tmp_path)).encode("abcdef")) == 6


def test_unusable_tokenizers_are_refused(tmp_path):
    with pytest.raises(DataError, match="there is no file"):
        load_tokenizer(str(tmp_path / "none.json"))
    (tmp_path / "bad.json").write_text("{}")
    with pytest.raises(DataError, match=r"is not a tokenizer\.json"):
        load_tokenizer(str(tmp_path / "bad.json"))
    with pytest.raises(DataError, match="'poket' is not 'pocket', 'bytes' or a file"):
        load_tokenizer("poket")
    RawTokenizer(models.BPE(vocab={"a": 0}, merges=[])).save(str(tmp_path / "endless.json"))
    with pytest.raises(DataError, match="no token that ends a document"):
        load_tokenizer(str(tmp_path / "endless.json"))


LONG = {
    "words": " ".join(documents("words", 9000)),
    "lines": "\n".join(f"line {n}" for n in range(30_000)),
    "wide": "汉字\n" * 60_000,
    "spaces": "a    b\n\n  c " * 20_000,
}


@pytest.mark.parametrize("kind", LONG)
def test_pieces_encode_to_the_tokens_of_the_whole(trained, kind):
    tokenizer, text = load_tokenizer(str(trained / "one.json")), LONG[kind]
    spans = list(pieces_of(text))
    assert len(spans) > 1
    assert "".join(text[a:b] for a, b in spans) == text
    pieces = [token for a, b in spans for token in tokenizer.encode(text[a:b])]
    whole = tokenizer.encode(text)
    assert pieces == whole or kind == "spaces"
    assert tokenizer.decode(pieces) == text


def test_pieces_of_a_blob_are_bounded_and_restart_anywhere():
    blob = "x" * (3 * LONGEST_PIECE_CHARS + 5)
    spans = list(pieces_of(blob))
    assert max(b - a for a, b in spans) == LONGEST_PIECE_CHARS
    assert list(pieces_of(blob, spans[2][0])) == spans[2:]


def test_a_piece_grows_until_a_cut_changes_nothing():
    text = "x" * (2 * PIECE_CHARS) + " y" + "z" * PIECE_CHARS
    assert next(pieces_of(text)) == (0, 2 * PIECE_CHARS)
    assert list(pieces_of(text))[1:] == [(2 * PIECE_CHARS, len(text))]


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="needs fork")
def test_workers_do_not_set_off_the_fork_warning(root, capfd):
    write(root / "a.jsonl", documents("a", 200))
    corpus = LocalCorpus(root=str(root))
    batches(module_of(corpus, {"a": 1.0}), 3)  # the tokenizer's threads are running now
    batches(module_of(corpus, {"a": 1.0}, workers=2), 3)
    assert "fork" not in capfd.readouterr().err

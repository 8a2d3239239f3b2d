"""Generated corpora: their statistics, their tokenizers, and that they are read like files."""

import math
from collections import Counter
from functools import cache

import pytest

from bitnet.data import DataError, GeneratedCorpus, load_tokenizer
from bitnet.data.generated import TASKS
from bitnet.data.records import Selection, Unit
from tests.data.corpora import batches, module_of, same

TASK_NAMES = sorted(TASKS)
SMALL = {"documents": 64, "records_per_document": 8}


@cache
def records(name):
    """All records of a task with their counts."""
    task = TASKS[name]
    return Counter(task.record(outcome) for outcome in range(task.outcomes))


@pytest.mark.parametrize("name", TASK_NAMES)
def test_length_alphabet_and_floor_are_those_of_an_enumeration(name):
    task, found = TASKS[name], records(name)
    assert found.total() == task.outcomes
    mean = sum(len(text) * count for text, count in found.items()) / task.outcomes
    entropy = -sum(n / task.outcomes * math.log(n / task.outcomes) for n in found.values())
    assert mean == pytest.approx(task.characters, abs=5e-5)
    assert entropy / mean == pytest.approx(task.floor, abs=5e-5)
    assert sorted(set("".join(found))) == sorted(task.alphabet)


def test_expressions_are_right():
    task = TASKS["arithmetic"]
    for outcome in range(0, task.outcomes, 7):
        left, answer = task.record(outcome).split(" = ")
        assert int(answer) == eval(left.replace("/", "//"))
        a, _, b = left.split()
        assert 0 <= int(a) <= 100 and 1 <= int(b) <= 100


def test_games_end_as_random_ones_do():
    ends = Counter()
    for text, count in records("tictactoe").items():
        ends[text.split("Result: ")[1].strip()] += count
    shares = {end: round(100 * count / ends.total(), 1) for end, count in ends.items()}
    assert shares == {"X wins": 58.5, "O wins": 28.8, "draw": 12.7}


def test_a_game_is_written_move_by_move():
    text = TASKS["tictactoe"].record(12_345)
    board, *moves, result = text.split(" | ")
    squares = [int(move[2:]) for move in moves]
    assert board == "_ _ _ _ _ _ _ _ _" and result.startswith("Result: ")
    assert len(set(squares)) == len(squares) and set(squares) <= set(range(9))
    assert "".join(move[:2] for move in moves) == "X:O:X:O:X:O:X:O:X:"[: 2 * len(moves)]


@pytest.mark.parametrize("task", TASK_NAMES)
def test_a_document_depends_on_key_and_number_alone(task):
    (source,) = GeneratedCorpus(task=task, **SMALL).open().values()
    whole = [record.text for record in source.read(Unit(0))]
    assert len(set(whole)) == 64 and whole[9] == source.document(9)
    part = [(r.number, r.text) for r in source.read(Unit(0), Selection(5, 4, 1))]
    assert part == [(n, whole[n]) for n in range(5, 64, 4)]
    (other,) = GeneratedCorpus(task=task, key=1, **SMALL).open().values()
    assert not set(whole) & {record.text for record in other.read(Unit(0))}
    assert source.files != other.files  # a resumed run would see it in the fingerprint


@pytest.mark.parametrize("task", TASK_NAMES)
def test_the_feed_resumes_and_splits_it_like_files(task):
    corpus = GeneratedCorpus(task=task, **SMALL)

    def module(**settings):
        return module_of(corpus, {task: 1.0}, **settings)

    reference = batches(module(), 30)
    assert same(batches(module(workers=2), 30), reference)
    stopped = module()
    batches(stopped, 12)
    stopped.trained_batches = 10
    resumed = module()
    resumed.load_state_dict(stopped.state_dict())
    assert same(batches(resumed, 20), reference[10:])


@pytest.mark.parametrize("task", TASK_NAMES)
def test_its_tokenizer_is_one_id_a_character(task, tmp_path):
    tokenizer = load_tokenizer(task)
    text = GeneratedCorpus(task=task, **SMALL).open()[task].document(3)
    ids = tokenizer.encode(text)
    assert ids == [TASKS[task].alphabet.index(character) for character in text]
    assert tokenizer.decode(ids) == text
    assert tokenizer.vocab_size <= 32 and tokenizer.eos_id == tokenizer.vocab_size - 1
    assert sum(tokenizer.byte_lengths()[ids]) == len(text)
    tokenizer.save(tmp_path / "tokenizer.json")
    again = load_tokenizer(str(tmp_path))
    assert again.fingerprint == tokenizer.fingerprint and again.encode(text) == ids


@pytest.mark.parametrize("text", ["5 + x", "5\n+ 3", "é"])
def test_a_character_outside_the_alphabet_is_refused(text):
    with pytest.raises(DataError, match="tokenizer: 'arithmetic' cannot encode"):
        load_tokenizer("arithmetic").encode(text)


def test_unusable_settings_are_named():
    found = GeneratedCorpus(task="arithmetics", documents=0, records_per_document=-1).problems()
    assert [line.split(":")[0] for line in found] == ["task", "documents", "records_per_document"]
    assert "did you mean 'arithmetic'?" in found[0]

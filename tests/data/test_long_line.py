"""A line read through a small window says what `json.loads` says, at any length and any cut."""

import io
import json
import random
import time
import tracemalloc

import pytest

from bitnet.data.readers.fields import field_at
from bitnet.data.readers.json_lines import text_of
from bitnet.data.readers.long_line import long_line_matches, long_line_texts
from bitnet.data.records import Where

PIECES = [
    "a",
    " ",
    "word ",
    "\\",
    '"',
    "\n",
    "\t",
    "\x7f",
    "é",
    "漢字",
    "😀",
    "\ud83d",
    "\ude00",
    "/",
]
NEXT = b'{"text": "the next line"}\n'


def texts(rng: random.Random, pieces: int = 30) -> str:
    return "".join(rng.choice(PIECES) for _ in range(rng.randrange(pieces)))


def values(rng: random.Random, depth: int = 0) -> object:
    kind = rng.randrange(9 if depth < 4 else 6)
    simple = [None, True, rng.randrange(-9, 10**9), rng.uniform(-1, 1) * 1e300, texts(rng), "plain"]
    if kind < 6:
        return simple[kind]
    if kind == 6:
        return {texts(rng, 5): values(rng, depth + 1) for _ in range(rng.randrange(5))}
    return [values(rng, depth + 1) for _ in range(rng.randrange(5))]


def documents(rng: random.Random) -> bytes:
    """One line with a text somewhere in it, at times with spaces, raw UTF-8 or no text at all."""
    fields = [(f"k{n}{texts(rng, 3)}", values(rng)) for n in range(rng.randrange(4))]
    if rng.random() < 0.9:
        text = texts(rng, 200) if rng.random() < 0.9 else values(rng)
        fields.insert(rng.randrange(len(fields) + 1), ("text", text))
    separators = rng.choice([(",", ":"), (", ", ": "), (" ,\t", " :\r ")])
    line = json.dumps(dict(fields), ensure_ascii=rng.random() < 0.5, separators=separators)
    return line.encode("utf-8", "surrogatepass")


def read(line: bytes, at: int, part_chars: int = 7, chunk: int = 1, field: str = "text"):
    """The joined text, the problem, and what the stream goes on with."""
    stream = io.BytesIO(line[at:] + b"\n" + NEXT)
    parts = list(long_line_texts(line[:at], stream, field, part_chars, chunk))
    assert [last for _, _, last in parts] == [False] * (len(parts) - 1) + [True]
    assert stream.readline() == NEXT
    text, problem, _ = parts[-1]
    if text is not None:
        assert all(0 < len(part) <= part_chars for part, _, _ in parts if text)
        text = "".join(part for part, _, _ in parts)
    return text, problem


@pytest.mark.parametrize("chunk", [1, 2, 3, 5, 16, 1 << 17])
def test_joined_parts_are_what_json_says(chunk: int) -> None:
    rng = random.Random(chunk)
    for _ in range(250):
        line = documents(rng)
        expected, problem = text_of(line, "text")
        found = read(line, rng.randrange(len(line) + 1), rng.randrange(1, 40), chunk)
        assert found[0] == expected, line
        assert bool(found[1]) == bool(problem), line


@pytest.mark.parametrize("chunk", [1, 3, 64])
def test_a_damaged_line_is_unusable_exactly_where_json_says_so(chunk: int) -> None:
    rng = random.Random(100 + chunk)
    broken = 0
    for _ in range(700):
        line = bytearray(documents(rng))
        for _ in range(rng.randrange(1, 3)):
            place = rng.randrange(len(line))
            line[place : place + rng.randrange(2)] = rng.choice(
                [
                    b"",
                    b'"',
                    b"\\",
                    b",",
                    b"}",
                    b"]",
                    b"{",
                    b"\xff",
                    b"\xed\xa0",
                    b"\x01",
                    b"1",
                    b"u",
                ]
            )
        damaged = bytes(line).replace(b"\n", b" ")
        if damaged.isspace() or not damaged or damaged.count(b'"text"') > 1:
            continue  # of two texts we take the first one
        expected, problem = text_of(damaged, "text")
        found = read(damaged, rng.randrange(len(damaged) + 1), 40, chunk)
        assert (found[0], bool(found[1])) == (expected, bool(problem)), damaged
        broken += expected is None
    assert broken > 100


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b'["text"]', "a JSON list, not an object"),
        (b'{"txt": "a", "meta": {}}', "the text field 'text' is unknown (there is: txt, meta)"),
        (b'{"text": 5}', "field 'text' holds a number, not a string"),
        (b'{"text": {"a": 1}}', "field 'text' holds a dict, not a string"),
        (b'{"text": "a", "b": 01}', "broken JSON ('01' is no value)"),
        (b'{"text": "a", "b": [1,]}', "broken JSON (Expecting value)"),
        (b'{"text": "a" "b": 1}', "broken JSON (',' or '}' expected, '\"' found)"),
        (b'{"text": "a"', "broken JSON (',' or '}' expected, the end of the line found)"),
        (b'{"text": "a', "broken JSON (a string does not end)"),
        (b'{"text": "a\\q"}', "broken JSON (Invalid \\escape"),
        (b'{"text": "a"} {}', "broken JSON (there is more after the object)"),
        (b'{"text": "a\xff"}', "not UTF-8 (invalid start byte at byte 11)"),
        (b'{"text": "a", "b": ' + b"[" * 10_001, "broken JSON (nested more than 10,000 deep)"),
        (b'{"text": "a", "b": ' + b"9" * 70_000 + b"}", "broken JSON (a value of more than"),
    ],
)
@pytest.mark.parametrize("chunk", [16, 4096])
def test_problems_are_said(line: bytes, problem: str, chunk: int) -> None:
    text, found = read(line, 3, 7, chunk)
    assert text is None
    assert found.startswith(problem)


def test_a_fault_behind_the_text_replaces_what_was_still_held() -> None:
    line = b'{"text": "' + b"word " * 10 + b'", "meta": }'
    parts = list(long_line_texts(b"", io.BytesIO(line), "text", 20))
    assert [part for part, _, _ in parts] == ["word word word word", None]


def test_nested_fields_double_keys_byte_order_marks_and_blank_lines() -> None:
    line = b'{"raw": {"id": 1, "text": "x\\u00e9"}, "text": "outer", "text": "again"}'
    assert read(line, 9, field="raw.text") == ("xé", "")
    assert read(line, 9, field="text") == ("outer", "")
    assert read(line, 9, field="raw.id") == (None, "field 'raw.id' holds a number, not a string")
    assert read(line, 9, field="text.id") == (None, "a JSON str, not an object")
    assert read(b"\xef\xbb\xbf" + line, 2, field="text") == ("outer", "")
    assert read(b"   \r", 1) == ("", "")
    assert read(b'{"text": ""}', 4) == ("", "")


def test_parts_end_between_words() -> None:
    text = "some words of a book " * 500
    line = json.dumps({"text": text}).encode()
    parts = [part for part, _, _ in long_line_texts(line, io.BytesIO(), "text", 1000)]
    assert "".join(parts) == text
    assert all(part.startswith(" ") and 900 < len(part) <= 1000 for part in parts[1:-1])


class Endless(io.RawIOBase):
    """A line of many megabytes that is never in memory."""

    def __init__(self, start: bytes, block: bytes, count: int, end: bytes) -> None:
        self.left, self.block, self.end, self.count = start, block, end, count

    def readline(self, size: int = -1) -> bytes:
        while len(self.left) < size and self.count:
            self.count -= 1
            self.left += self.block
        if len(self.left) < size:
            self.left, self.end = self.left + self.end, b""
        taken, self.left = self.left[:size], self.left[size:]
        return taken


TEXT = 'A line of prose with "quotes", a tab\t, and é.\n' * 2000
NUMBERS = ",".join(str(n / 7) for n in range(10_000)) + ","
ROWS = '{"id": 17, "tags": ["a", "b"], "score": {"x": 0.25}}, ' * 2000


@pytest.mark.parametrize(
    ("start", "block", "end"),
    [
        ('{"id": 1, "text": "', json.dumps(TEXT)[1:-1], '", "meta": {}}\n'),
        ('{"id": 1, "text": "', json.dumps(TEXT, ensure_ascii=False)[1:-1], '", "meta": {}}\n'),
        ('{"vector": [', NUMBERS, '0.5], "text": "short"}\n'),
        ('{"rows": [', ROWS, '{}], "text": "short"}\n'),
    ],
    ids=["escaped text", "raw text", "a vector", "an array of objects"],
)
def test_memory_is_bounded_and_speed_is_fair(start: str, block: str, end: str) -> None:
    count = (60_000_000 if block is ROWS else 200_000_000) // len(block.encode())

    def parts(times: int) -> int:
        stream = Endless(start.encode(), block.encode(), times, end.encode())
        return sum(len(part or "") for part, _, _ in long_line_texts(b"", stream, "text"))

    began = time.process_time()
    parts(count // 5)
    assert time.process_time() - began < 4  # 10 MB/s at the least, even on a busy machine
    tracemalloc.start()
    try:
        size = parts(count)
        assert tracemalloc.get_traced_memory()[1] < 16_000_000
    finally:
        tracemalloc.stop()
    expected = len(json.loads(f'"{block}"')) * count if '"text": "' in start else len("short")
    assert size == expected


@pytest.mark.parametrize("chunk", [1, 7, 1 << 17])
@pytest.mark.parametrize(
    ("line", "matches", "problem"),
    [
        (b'{"text": "long", "meta": {"set": "books"}}', True, ""),
        (b'{"meta": {"set": "books", "x": [1]}, "text": "long"}', True, ""),
        (b'{"text": "long", "meta": {"set": "bookshop"}}', False, ""),
        (b'{"text": "long", "meta": {"set": 5}}', False, ""),
        (b'{"text": "long", "meta": {}}', False, "the subset field 'meta.set' is unknown"),
        (b'{"text": "long", "meta": {"set": "books"}', False, "broken JSON"),
    ],
)
def test_a_long_line_of_a_subset(line: bytes, matches: bool, problem: str, chunk: int) -> None:
    stream = io.BytesIO(line[5:] + b"\n" + NEXT)
    found, said = long_line_matches(line[:5], stream, Where("meta.set", "books"), chunk)
    assert stream.readline() == NEXT
    assert (found is not None, bool(said)) == (matches, bool(problem))
    assert said.startswith(problem)
    if found is not None:
        with found:
            assert list(long_line_texts(b"", found, "text", 100, chunk)) == [("long", "", True)]


def test_fields_by_dotted_name() -> None:
    fields = {"meta": {"set": "x", "none": None}, "a.b": 1}
    assert field_at(fields, "meta.set") == (True, "x")
    assert field_at(fields, "meta.none") == (True, None)
    assert field_at(fields, "meta.set.deeper") == (False, None)
    assert field_at(fields, "a.b") == (False, None)
    assert field_at([1], "meta") == (False, None)

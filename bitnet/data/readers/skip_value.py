"""Passes over JSON values of any size and depth without keeping them.

Whole values in the window are passed by `json` itself; runs of small members by one regular
expression. What is left is followed bracket by bracket, on a stack of our own. Only character sets
are repeated possessively: before Python 3.11.5 a group repeated so can match what it should not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from bitnet.data.readers.line_window import LineWindow, UnusableLineError

_DEEPEST = 10_000
_LONGEST_KEY = 1000
_CLOSERS = {"{": "}", "[": "]"}
_MANY = "{0,1000}"  # each repetition can be gone back to, and is remembered
_S = r"[ \t\n\r]*+"
_STRING = r'"[^"\\\x00-\x1f]*+"'
_NUMBER = r"-?(?:0|[1-9][0-9]{0,15}+)(?:\.[0-9]{1,40}+)?(?:[eE][-+]?[0-9]{1,5}+)?"
_SMALL = f"(?:{_STRING}|{_NUMBER}|true|false|null)"


def _nested(value: str) -> str:
    """Pattern of a value, or of an array or object whose members all match `value`."""
    member = f"{_STRING}{_S}:{_S}{value}"
    array = rf"\[{_S}(?:{value}{_S}(?:,{_S}{value}{_S}){_MANY})?\]"
    return rf"(?:{value}|{array}|\{{{_S}(?:{member}{_S}(?:,{_S}{member}{_S}){_MANY})?\}})"


_VALUE = _nested(_nested(_SMALL))
_RUNS = {
    "]": re.compile(f"(?:{_S}{_VALUE}{_S},){_MANY}"),
    "}": re.compile(f"(?:{_S}{_STRING}{_S}:{_S}{_VALUE}{_S},){_MANY}"),
}
"""Members that need no look each, with their commas; what a run stops at is looked at closely."""


def members(line: LineWindow) -> Iterator[str]:
    """Keys of the object that comes next; the caller passes each value before asking for more.

    Raises:
        UnusableLineError: the object is broken.
    """
    line.take("{")
    if line.peek() == "}":
        line.take("}")
        return
    while True:
        yield key_of(line)
        if line.take(",}") == "}":
            return


def key_of(line: LineWindow) -> str:
    """Pass a key and its colon; of a very long key the beginning is returned."""
    if line.peek() != '"':
        line.take('"')
    key = ""
    for piece in line.strings():
        key += piece[: _LONGEST_KEY - len(key)]
    line.take(":")
    return key


def skip_value(line: LineWindow) -> None:
    """Pass one value.

    Raises:
        UnusableLineError: it is broken, or nested more than 10,000 deep.
    """
    open_containers: list[str] = []
    while True:
        _enter(line, open_containers)
        if not _leave(line, open_containers):
            return


def _enter(line: LineWindow, closers: list[str]) -> None:
    """Pass a small value, or go down to the first one in a container."""
    while (opener := line.peek()) in _CLOSERS and not line.whole_container():
        line.take(opener)
        closers.append(_CLOSERS[opener])
        if len(closers) > _DEEPEST:
            raise UnusableLineError(f"broken JSON (nested more than {_DEEPEST:,} deep)")
        if line.peek() == closers[-1]:
            return
        _begin_member(line, closers[-1])
    if opener == '"':
        for _ in line.strings():
            pass
    elif opener not in _CLOSERS:
        line.scalar()


def _leave(line: LineWindow, closers: list[str]) -> bool:
    """Pass what follows a value up to the next one; false if no container is open any more."""
    while closers:
        if line.take("," + closers[-1]) == ",":
            _begin_member(line, closers[-1])
            return True
        closers.pop()
    return False


def _begin_member(line: LineWindow, closer: str) -> None:
    """Stand before the value of a member, with small ones before it passed."""
    run = _RUNS[closer].match(line.text, line.at)
    if run:
        line.at = run.end()
    if closer == "}":
        key_of(line)

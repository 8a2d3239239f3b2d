"""What can be generated: tasks whose records are equally likely outcomes, written as text.

An outcome is a number, so a record is a pure function of it; and the entropy of the stream is known
exactly, which gives a floor below which no honest loss can fall.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from typing import Final

_OPERATIONS: Final[dict[str, Callable[[int, int], int]]] = {
    "+": int.__add__,
    "-": int.__sub__,
    "*": int.__mul__,
    "/": int.__floordiv__,
}
_EXPRESSIONS: Final = tuple(product(range(101), range(1, 101), _OPERATIONS))

_ROWS = ((0, 1, 2), (3, 4, 5), (6, 7, 8))
_COLUMNS = ((0, 3, 6), (1, 4, 7), (2, 5, 8))
_DIAGONALS = ((0, 4, 8), (2, 4, 6))
_LINES = tuple(sum(1 << square for square in line) for line in (*_ROWS, *_COLUMNS, *_DIAGONALS))
_EMPTY_BOARD = " ".join("_" * 9)


@dataclass(frozen=True, slots=True)
class Task:
    """One kind of record.

    Attributes:
        outcomes: how many there are, all equally likely.
        record: outcome to text; records follow each other without anything between.
        alphabet: every character that occurs.
        characters: mean length of a record.
        floor: nats a character that no model of the stream can go below: entropy of a record over
            its mean length.
    """

    outcomes: int
    record: Callable[[int], str]
    alphabet: str
    characters: float
    floor: float


def expression(outcome: int) -> str:
    """``a op b = r `` with ``a`` in 0..100, ``b`` in 1..100 and ``/`` rounding down."""
    left, right, sign = _EXPRESSIONS[outcome]
    return f"{left} {sign} {right} = {_OPERATIONS[sign](left, right)} "


def game(outcome: int) -> str:
    """A game of tic-tac-toe between two random players, as text.

    Uniform random play is a uniformly random order of the nine squares, cut where somebody wins;
    ``outcome`` is the number of that order among the 9! = 362,880.
    """
    free, boards, moves = list(range(9)), [0, 0], [_EMPTY_BOARD]
    for turn in range(9):
        outcome, chosen = divmod(outcome, 9 - turn)
        square, player = free.pop(chosen), turn % 2
        boards[player] |= 1 << square
        moves.append(f" | {'XO'[player]}:{square}")
        if any(boards[player] & line == line for line in _LINES):
            return "".join([*moves, f" | Result: {'XO'[player]} wins "])
    return "".join([*moves, " | Result: draw "])


TASKS: Final = {
    "arithmetic": Task(len(_EXPRESSIONS), expression, "0123456789+-*/= ", 13.1996, 0.8036),
    "tictactoe": Task(362_880, game, "012345678XO_|: Resultwindra", 80.5032, 0.1510),
}
"""Name to task. The figures are those of an enumeration of all outcomes."""

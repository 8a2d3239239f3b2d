"""Finds the documentation strings in a Python source without importing it."""

from __future__ import annotations

import ast
import inspect
import re
import warnings
from collections.abc import Iterator

SHORTEST = 240
"""Characters below which a docstring is a label rather than a document."""

_QUOTED = re.compile(r'"""(.*?)"""', re.DOTALL)


def quoted_share(source: str) -> float:
    """Rough share of a source that is documentation, found without parsing it."""
    return sum(len(text) for text in _QUOTED.findall(source)) / max(1, len(source))


def docstrings_of(source: str) -> list[str]:
    """Documentation strings of a module in the order of their appearance.

    Besides docstrings proper these are long strings passed to a call, which is how C extensions
    get their documentation. A source that this Python cannot parse has none.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    cleaned = (inspect.cleandoc(text) for text in _strings(tree))
    return [text for text in cleaned if len(text) >= SHORTEST]


def _strings(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr):
            yield from _constants([node.value])
        elif isinstance(node, ast.Call):
            yield from _constants(node.args)


def _constants(nodes: list[ast.expr]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value

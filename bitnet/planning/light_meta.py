"""Keeps torch's compiler and sympy out of a process that only looks at shapes.

Many of torch's meta kernels are Python functions. They ask torch's compiler for a mark ("not for
the compiler") and its symbolic sizes and sympy whether a number is a symbol; importing these takes
half of the three seconds that a plan may take. While nothing is compiled and no size is a symbol,
none of it has any use; so stand-ins answer these few questions, and everything is put back as it
was. Asked for anything else, a stand-in makes way for the real module.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import Any

_MARK = "__dynamo_disable"
_GUARDS = (
    *("guard_or_false", "guard_or_true", "guard_size_oblivious"),
    *("expect_true", "statically_known_true"),
)


class _StandIn(ModuleType):
    """A module of the few names it is given."""

    def __init__(self, name: str, **names: Any) -> None:
        super().__init__(name)
        self.__dict__.update(names)
        self._names = list(names)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        self.leave()
        return getattr(importlib.import_module(self.__name__), name)

    def enter(self) -> None:
        """Take the place of a module that is still to be imported."""
        sys.modules.setdefault(self.__name__, self)

    def leave(self) -> None:
        """Make room for the real one, also for whoever holds this object."""
        for name in self._names:
            del self.__dict__[name]
        self._names = []
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]


def _equal(left: Any, right: Any) -> bool:
    """Of numbers, or of sizes of whatever sequence type."""
    if isinstance(left, Sequence) and isinstance(right, Sequence):
        return tuple(left) == tuple(right)
    return bool(left == right)


@contextmanager
def light_meta() -> Iterator[None]:
    """Within it, meta kernels run without importing the compiler or sympy, if not yet imported."""
    marked: list[Any] = []

    def disable(function: Callable[..., Any], *_: Any, **__: Any) -> Callable[..., Any]:
        marked.append(function)
        return function

    stand_ins = [
        _StandIn("torch._dynamo", disable=disable),
        _StandIn("sympy", Basic=type("Basic", (), {})),
        _StandIn(
            "torch.fx.experimental.symbolic_shapes",
            is_nested_int=lambda _: False,
            **dict.fromkeys(("has_guarding_hint", "has_hint"), lambda _: True),
            **dict.fromkeys(("guarding_hint_or_throw", "size_hint"), int),  # 2.11 has the latter
            sym_and=lambda *each: all(each),
            sym_or=lambda *each: any(each),
            sym_eq=_equal,
            **dict.fromkeys(_GUARDS, bool),
        ),
    ]
    for each in stand_ins:
        each.enter()
    try:
        yield
    finally:
        for each in stand_ins:
            each.leave()
        for function in marked:  # the real compiler will mark them when they next run
            if getattr(function, _MARK, None) is function:
                delattr(function, _MARK)

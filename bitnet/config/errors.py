"""Faults of a configuration as one line: the full path, what was wrong, what is valid.

Hydra and OmegaConf wrap the cause several layers deep and never suggest a name. Here the cause is
dug out and the nearest valid key is looked up in the schema itself.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
from collections.abc import Callable
from typing import Any

from hydra.errors import HydraException, OverrideParseException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

Choices = Callable[[str], list[str]]
"""Config group to the names of its options."""


class ConfigError(ValueError):
    """A configuration cannot be used; the message is for people, one line a problem."""


def nearest(name: str, valid: list[str]) -> str:
    """``; did you mean 'x'?`` with the closest of ``valid``, or nothing."""
    # Compare case-insensitively, answer in the spelling that is valid.
    spelled = {each.lower(): each for each in valid}
    close = difflib.get_close_matches(name.lower(), list(spelled), n=1, cutoff=0.5)
    return f"; did you mean '{spelled[close[0]]}'?" if close else ""


def explain(error: BaseException, schema: Any, choices: Choices | None = None) -> str:
    """One line for an exception that was raised while composing.

    Args:
        error: what was raised, by Hydra or OmegaConf.
        schema: the composed default config (or a schema instance), to know which keys exist.
        choices: the options of a config group.
    """
    chain = list(_causes(error))
    key_error = next((e for e in chain if isinstance(e, OmegaConfBaseException)), None)
    if key_error is not None and key_error.full_key:
        return _explain_key(key_error, schema)
    if any(isinstance(e, OverrideParseException) for e in chain):
        return _explain_syntax(chain)
    text = " ".join(str(chain[0] if chain else error).split())
    match = re.search(r"Could not find '([^']+)'", text)
    if match:
        return _explain_choice(match.group(1), choices or (lambda group: []))
    match = re.search(r"Could not override '([^']+)'", text)
    if match:
        name = match.group(1)
        return f"{name}: there is no such group{nearest(name, _keys_of(schema))}"
    return text


def _causes(error: BaseException | None) -> Any:
    while error is not None:
        if isinstance(error, HydraException | OmegaConfBaseException):
            yield error
        error = error.__cause__ or error.__context__


def _explain_key(error: OmegaConfBaseException, schema: Any) -> str:
    path = str(error.full_key)
    first = str(error.msg or error).splitlines()[0]
    if "not in" in first or "is not in struct" in first:
        parent, _, leaf = path.rpartition(".")
        siblings = _keys_at(error, schema, parent)
        listing = f" (valid: {', '.join(siblings)})" if siblings else ""
        return f"{path}: there is no such key{nearest(leaf, siblings)}{listing}"
    if "could not be converted" in first:
        value = re.search(r"Value '(.*?)'(?: of type '(\w+)')?", first)
        wanted = first.rsplit(" to ", 1)[-1].strip()
        given = f"'{value.group(1)}'" if value else "the value"
        return f"{path}: {given} is not {_TYPE_NAMES.get(wanted, wanted)}"
    if "is not a subclass" in first:
        keys = _keys_at(error, schema, path)
        return f"{path}: is a section, not a value; set one of its keys ({', '.join(keys)})"
    if "MISSING" in first or "Missing mandatory value" in first:
        return f"{path}: a value is required; set it with {path}=…"
    return f"{path}: {first}"


_TYPE_NAMES = {
    "Integer": "a whole number",
    "Float": "a number",
    "Boolean": "true or false",
    "String": "text",
}


def _keys_at(error: OmegaConfBaseException, schema: Any, parent: str) -> list[str]:
    """Valid keys beside the wrong one: of the typed node if known, else of the default config."""
    kind = error.object_type
    if isinstance(kind, type) and dataclasses.is_dataclass(kind) and parent != error.full_key:
        return sorted(each.name for each in dataclasses.fields(kind))
    try:
        return _keys_of(OmegaConf.select(schema, parent) if parent else schema)
    except OmegaConfBaseException:
        return []


def _keys_of(node: Any) -> list[str]:
    return sorted(str(key) for key in node) if OmegaConf.is_dict(node) else []


def _explain_choice(name: str, choices: Choices) -> str:
    """``model/bitnet/7b`` names no file: which group it is of, and what there is."""
    group, _, choice = name.rpartition("/") if name.startswith("hydra/") else name.partition("/")
    options = choices(group)
    listing = f" (valid: {', '.join(options)})" if options else ""
    return f"{group}={choice}: there is no such choice{nearest(choice, options)}{listing}"


def _explain_syntax(chain: list[BaseException]) -> str:
    given = next((e.override for e in chain if isinstance(e, OverrideParseException)), None)
    return (
        f"'{given}' cannot be read; write key=value, and quote values that hold spaces or commas "
        "for the shell as well: 'key=\"a, b\"'"
    )

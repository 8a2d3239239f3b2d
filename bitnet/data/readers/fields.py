"""Looks a value up by a dotted name, so that nested fields can be named in a config.

SlimPajama keeps the subset of a document in `meta.redpajama_set_name`, other corpora keep the text
itself one level down. A dot always separates: a key that contains one cannot be named.
"""

from __future__ import annotations


def field_at(fields: object, path: str) -> tuple[bool, object]:
    """The value that stands at a dotted name.

    Args:
        fields: what a record was parsed to; anything but an object holds no fields.
        path: key, or keys of nested objects with dots between them.

    Returns:
        Whether there is such a field, and its value (None if there is not).
    """
    for key in path.split("."):
        if not isinstance(fields, dict) or key not in fields:
            return False, None
        fields = fields[key]
    return True, fields

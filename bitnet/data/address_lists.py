"""Reads lists of addresses: text files with the place of one file a line."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from bitnet.data.errors import DataError
from bitnet.data.remote import NetworkSpec
from bitnet.data.sources import StoredFile

_LONGEST_LIST = 1 << 28


def read_addresses(lists: list[str], template: str, network: NetworkSpec) -> list[str]:
    """Addresses of all files in some lists, each once, sorted.

    Args:
        lists: places of the lists; a list that is a path may name files relative to itself.
        template: what a line stands for; `{}` is the line.
        network: how remote lists are read; what was read stays in its cache.

    Raises:
        DataError: a list cannot be read, is no list, or is empty.
    """
    found = {
        _resolved(template.replace("{}", line), place)
        for place in lists
        for line in _lines(place, network)
    }
    return sorted(found)


def _lines(place: str, network: NetworkSpec) -> list[str]:
    path = place if "://" in place else str(Path(place).expanduser())
    with closing(StoredFile(place, path, network=network).open()) as stored:
        try:
            content = stored.read(_LONGEST_LIST).decode()
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"{place}: is not a list of addresses ({error})") from error
    lines = [line.strip() for line in content.splitlines() if line.strip()]
    if not lines:
        raise DataError(f"{place}: the list of addresses is empty")
    for number, line in enumerate(lines, 1):
        if len(line.split()) > 1 or line.startswith(("<", "{")):
            raise DataError(f"{place}:{number}: '{line[:60]}' is not an address; is this a list?")
    return lines


def _resolved(address: str, place: str) -> str:
    """An address as it stands, or a path relative to the list that names it."""
    if "://" in address or "://" in place:
        return address
    return str(Path(place).expanduser().parent / address)

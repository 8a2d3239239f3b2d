"""Collects the seven subsets and writes them in the schema of RedPajama.

A source file is used either as code or for its documentation, never for both, and equal texts are
kept once over all subsets: validation documents must not be known from another subset.
"""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Iterator
from pathlib import Path

import zstandard

from bitnet.data.pocket.docstrings import docstrings_of, quoted_share
from bitnet.data.pocket.installation import installation_files, project_pages, read_text
from bitnet.data.pocket.prose import (
    chapters_of,
    clean_prose,
    has_examples,
    has_maths,
    sections_of,
)

HARVEST_VERSION = 2
"""Part of the cache folder's name; raise it when the harvest changes."""

SUBSETS = ("arxiv", "book", "c4", "common_crawl", "github", "stackexchange", "wikipedia")
MANIFEST = "manifest.json"

_LONG_PAGE = 16_000
_CHAPTER = 4_000
_PAGE = 2_500
_TOPIC = 1_200
_SHORTEST_CODE = 400
_SHORTEST_PAGE = 200
_LONGEST_CODE = 60_000
_DOCUMENTED = 0.4
_PARSED_PER_CAPACITY = 12
_PAGE_SUFFIXES = (".md", ".rst", ".txt")
_LEVEL = 9


class Harvest:
    """Documents by subset, capped in size and without repetition."""

    def __init__(self, capacity: int) -> None:
        """Keep at most about `capacity` bytes of text for each subset."""
        self.documents: dict[str, list[tuple[str, str]]] = {name: [] for name in SUBSETS}
        self._sizes = dict.fromkeys(SUBSETS, 0)
        self._capacity = capacity
        self._parsing = _PARSED_PER_CAPACITY * capacity
        self._seen: set[bytes] = set()

    def is_full(self, subset: str) -> bool:
        """Whether a subset takes no more documents."""
        return self._sizes[subset] >= self._capacity

    def is_complete(self) -> bool:
        """Whether no Python source can add anything any more."""
        return all(self.is_full(name) for name in ("arxiv", "c4", "github", "stackexchange"))

    def spend_parsing(self, size: int) -> bool:
        """Take `size` characters from the allowance of parsing for prose; false if it is used."""
        self._parsing -= size
        return self._parsing > 0

    def add(self, subset: str, origin: str, text: str) -> None:
        """Keep a document, unless it is known, binary, or the subset is full."""
        digest = hashlib.blake2b(text.encode(errors="replace")).digest()
        if self.is_full(subset) or digest in self._seen or not _is_text(text):
            return
        self._seen.add(digest)
        self.documents[subset].append((origin, text))
        self._sizes[subset] += len(text)


def harvest(folder: Path, capacity: int) -> None:
    """Fill `folder` with a file for each subset and a manifest.

    Args:
        folder: an empty folder.
        capacity: bytes of text at which a subset is full.
    """
    found = Harvest(capacity)
    _add_language_reference(found)
    _add_pages(found)
    _add_sources(found)
    _write(found, folder)


def _add_language_reference(found: Harvest) -> None:
    from pydoc_data.topics import topics  # half a megabyte that only the first run needs

    for name, text in sorted(topics.items()):
        for part in sections_of(text, _TOPIC):
            found.add("wikipedia", f"pydoc_data/topics/{name}", part)


def _add_pages(found: Harvest) -> None:
    """Long pages are the books, the others the web.

    Both are cut, so that even a bare installation has documents to hold out and for every stream.
    """
    for origin, text in _pages():
        is_book = len(text) >= _LONG_PAGE
        for part in chapters_of(text, _CHAPTER if is_book else _PAGE):
            if len(part) >= _SHORTEST_PAGE:
                found.add("book" if is_book else "common_crawl", origin, part)


def _pages() -> Iterator[tuple[str, str]]:
    yield from ((f"metadata/{name}", text) for name, text in project_pages())
    for name, path in installation_files(_PAGE_SUFFIXES):
        text = read_text(path)
        if text:
            yield name, text.strip()


def _add_sources(found: Harvest) -> None:
    """Every fourth file without maths is code; of the others, what they document is taken."""
    for place, (name, path) in enumerate(installation_files((".py",))):
        if found.is_complete():
            return
        source = read_text(path)
        if not source:
            continue
        if place % 4 == 0 and not has_maths(source):
            if _SHORTEST_CODE <= len(source) <= _LONGEST_CODE:
                found.add("github", name, source)
        elif _is_worth_parsing(found, source):
            for text in docstrings_of(source):
                _add_docstring(found, name, text)


def _is_worth_parsing(found: Harvest, source: str) -> bool:
    """Whether parsing a source, the slow part of a harvest, can add to a subset."""
    if has_maths(source) and not found.is_full("arxiv"):
        return True
    wanted = not found.is_full("c4") or not found.is_full("stackexchange")
    if not wanted or quoted_share(source) < _DOCUMENTED:
        return False
    return found.spend_parsing(len(source))


def _add_docstring(found: Harvest, origin: str, text: str) -> None:
    if has_maths(text):
        found.add("arxiv", origin, text)
    elif has_examples(text):
        found.add("stackexchange", origin, text)
    else:
        prose = clean_prose(text)
        if prose:
            found.add("c4", origin, prose)


def _is_text(text: str) -> bool:
    try:
        return b"\0" not in text.encode()
    except UnicodeEncodeError:
        return False


def _write(found: Harvest, folder: Path) -> None:
    subsets: dict[str, dict[str, int | str]] = {}
    for name, documents in found.documents.items():
        lines = [
            json.dumps({"text": text, "meta": {"source": "pocket", "path": origin}})
            for origin, text in documents
        ]
        content = "".join(f"{line}\n" for line in lines).encode()
        stored = zstandard.ZstdCompressor(level=_LEVEL).compress(content)
        (folder / f"{name}.jsonl.zst").write_bytes(stored)
        subsets[name] = {
            "documents": len(documents),
            "bytes": sum(len(text.encode()) for _, text in documents),
            "stored_bytes": len(stored),
            "sha256": hashlib.sha256(content).hexdigest(),
        }
    digests = "".join(str(subset["sha256"]) for subset in subsets.values())
    manifest = {
        "version": HARVEST_VERSION,
        "python": platform.python_version(),
        "fingerprint": hashlib.sha256(digests.encode()).hexdigest(),
        "subsets": subsets,
    }
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")

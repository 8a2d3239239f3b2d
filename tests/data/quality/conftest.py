"""A corpus for the tests of the whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from bitnet.data import Source
from tests.data.quality.prose import corpus, documents


@pytest.fixture
def mixed(tmp_path: Path) -> dict[str, Source]:
    """Two sources of several units, with copies, near copies, empty and short documents."""
    texts = documents(160)
    # Twelve sentences each: a copy that lacks the last words is about 0.93 of the whole.
    near = [text.rsplit(" ", 10)[0] for text in texts[20:40]]
    first = texts[:80] + texts[:10] + ["", "short"] + near
    return corpus(tmp_path / "corpus", {"a": first, "b": texts[80:] + texts[5:15]})

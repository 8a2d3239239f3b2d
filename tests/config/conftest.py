"""A folder with every source that an experiment or a sweep names, a few lines each."""

import json
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

SOURCES = (
    *("arxiv", "book", "c4", "common_crawl", "github", "stackexchange", "wikipedia"),
    *("dolma", "fineweb_edu", "pile", "pile_deduped", "redpajama", "tinystories"),
)
WORDS = "the of model and token weight learns ternary a source mix int scale to from loss".split()


@pytest.fixture(scope="session")
def every_source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder."""
    root = tmp_path_factory.mktemp("sources")
    for name in SOURCES:
        draw = random.Random(name)
        texts = (f"{name} " + " ".join(draw.choices(WORDS, k=40)) for _ in range(40))
        lines = "".join(json.dumps({"text": text}) + "\n" for text in texts)
        (root / f"{name}.jsonl").write_text(lines, "utf-8")
    return root


@pytest.fixture(autouse=True, scope="package")
def one_thread(peaks_timed_once: None) -> Iterator[None]:
    """Shrunken models are faster on one thread than on several that wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)

"""English-like documents made on the spot, and copies of them with small changes."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Mapping
from pathlib import Path

from bitnet.data import LocalCorpus, Source

STOP = "the of and to a in that it is was for with as his on be at by have from".split()
STEMS = (
    "form work stat port grow light mark turn build read sign press town river paper stone".split()
)
ENDS = ["", "s", "ed", "ing", "er", "ly", "ness", "able"]
WORDS = [stem + end for stem in STEMS for end in ENDS]

OUTSIDE = Path(__file__).parents[3] / ".." / "shared" / "data"
"""Where larger real texts lie on some machines."""


def sentence(draw: random.Random) -> str:
    words = [
        draw.choice(STOP if draw.random() < 0.45 else WORDS) for _ in range(draw.randint(8, 16))
    ]
    return " ".join(words).capitalize() + "."


def document(draw: random.Random, sentences: int = 12) -> str:
    lines = [sentence(draw) for _ in range(sentences)]
    return "\n".join(" ".join(lines[n : n + 3]) for n in range(0, sentences, 3))


def documents(count: int, seed: int = 0, sentences: int = 12) -> list[str]:
    draw = random.Random(seed)
    return [document(draw, sentences) for _ in range(count)]


def edited(text: str, kind: str, draw: random.Random) -> str:
    """A near copy: other words here and there, the end cut off, or other case and white space."""
    words = text.split(" ")
    if kind == "words":
        for _ in range(max(1, len(words) // 150)):
            words[draw.randrange(len(words))] = draw.choice(("zebra", "quickly", "eleven"))
        return " ".join(words)
    if kind == "tail":
        return " ".join(words[: int(len(words) * 0.93)])
    return "  ".join(words).upper().replace("\n", "\n\n")


def corpus(root: Path, texts: Mapping[str, Iterable[str]]) -> dict[str, Source]:
    """The texts as JSON lines, opened."""
    root.mkdir(parents=True, exist_ok=True)
    for name, some in texts.items():
        lines = [json.dumps({"text": text}) + "\n" for text in some]
        (root / f"{name}.jsonl").write_text("".join(lines), "utf-8")
    return LocalCorpus(root=str(root)).open()

"""What the model wrote while it learned: ``samples.md``, a section a look.

Text is set as indented code blocks. So Markdown shows it as the model wrote it, and no line of it
can pass for a section heading, which is what cutting back to a step relies on.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from bitnet.runs.atomic import write_text

_HEADING = re.compile(r"^## [\d,]+ tokens \(step (\d+)\)$", re.MULTILINE)


class SamplesFile:
    """Appends sections to a Markdown file and cuts them off again.

    Args:
        path: the file; made by the first section.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, step: int, tokens: int, samples: Sequence[tuple[str, str]]) -> None:
        """Add a section: for each ``(prompt, continuation)`` both texts, verbatim."""
        parts = [f"## {tokens:,} tokens (step {step})\n"]
        for prompt, continuation in samples:
            parts += ["Prompt:\n", _verbatim(prompt), "Continuation:\n", _verbatim(continuation)]
        text = "\n".join(parts) + "\n"
        # Byte-level models write half characters; they are shown, not fatal.
        with self.path.open("ab", buffering=0) as stream:
            stream.write(text.encode("utf-8", "backslashreplace"))

    def truncate_after(self, step: int) -> int:
        """Keep the sections up to and with ``step``.

        Returns:
            How many sections went.
        """
        if not self.path.exists():
            return 0
        text = self.path.read_bytes().decode("utf-8", "backslashreplace")
        late = [match for match in _HEADING.finditer(text) if int(match[1]) > step]
        if late:
            write_text(self.path, text[: late[0].start()])
        return len(late)


def _verbatim(text: str) -> str:
    """``text`` as an indented code block; an empty text is said to be so."""
    if not text:
        return "*(nothing)*\n"
    return "".join(f"    {line}\n" for line in text.splitlines() or [""])

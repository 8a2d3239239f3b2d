"""What is measured once for each contender: its preparation, its shares, and going on."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.data.launch import launch
from benchmarks.data.roster import CONTENDERS
from benchmarks.data.task import Task


def once(task: Task, say: Callable[[str], None]) -> dict[str, Any]:
    """Prepare if that is needed, then count the shares and go on at `task.samples`.

    Returns:
        prepare_tokens_per_second, disk_bytes, share_error, share_samples, resume_seconds,
        resume_note, as far as they apply; `error` if the contender cannot be used.
    """
    if CONTENDERS[task.contender].kind == "ceiling":
        return {}
    say(f"{task.contender}: preparation, shares, resuming")
    found = _prepared(task)
    if "error" in found:
        return found
    shares = launch("shares", replace(task, tagged=True))
    resumed = launch("resume", task)
    found |= {key: shares[key] for key in ("share_error", "share_samples") if key in shares}
    details = resumed.get("resume", {"seconds": None, "note": resumed.get("error", "")})
    found["resume_seconds"], found["resume_note"] = details["seconds"], details["note"]
    return found


def _prepared(task: Task) -> dict[str, Any]:
    """Prepare, unless an earlier run left the same behind in a folder that is kept."""
    record = Path(task.folder) / f"{task.own_folder().name}.json"
    asked = {"root": task.root, "tokenizer": task.tokenizer, "subsets": task.subsets}
    if record.is_file():
        known = json.loads(record.read_text())
        if known["asked"] == asked:
            found: dict[str, Any] = known["found"]
            return found
    shutil.rmtree(task.own_folder(), ignore_errors=True)
    found = launch("prepare", task)
    if found and "error" not in found:
        record.parent.mkdir(parents=True, exist_ok=True)
        record.write_text(json.dumps({"asked": asked, "found": found}))
    return found

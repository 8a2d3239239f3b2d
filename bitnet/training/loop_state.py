"""Lightning's loop counters, made to say what really was trained.

A checkpoint may be written between two batches or while an exception flies, when Lightning's
counters stand at "one batch begun". Resuming from those would shift gradient accumulation against
the data. The optimizer step is the only unit that is never half done, so the counters are set from
it: as if the checkpoint had been written right after that step and its validation.
"""

from __future__ import annotations

from typing import Any

_PROGRESS = "epoch_loop.batch_progress"


def align_loop_state(checkpoint: dict[str, Any], trained_batches: int) -> None:
    """Set the batch counters of ``checkpoint`` to ``trained_batches`` micro-batches, all done."""
    progress = checkpoint["loops"]["fit_loop"][_PROGRESS]
    for span in ("total", "current"):
        for stage in ("ready", "started", "processed", "completed"):
            progress[span][stage] = trained_batches
    progress["is_last_batch"] = False

"""What ``run.json`` may say: its fields and the states a run passes through."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from typing import Any

from bitnet.runs.errors import RunError, nearest

STATES = ("created", "running", "finished", "pruned", "failed", "interrupted")

FIELDS = {
    "id": "short random name of this run",
    "name": "what people call it",
    "state": " | ".join(STATES),
    "error": "one line: why it failed",
    "created": "when, ISO 8601 with time zone",
    "ended": "when it finished, was pruned, failed or was interrupted",
    "command": "the command line that started it",
    "overrides": "the Hydra overrides on it",
    "kinds": "which kind each config section with several kinds is of",
    "config_id": "hash of the config, by which resume=auto finds it",
    "asked_id": "hash of the config as it was asked for, by which a sweep finds its jobs",
    "pruned_at": "tokens after which the search that it is a trial of stopped it",
    "wandb_id": "its id at W&B",
    "git": "commit and whether the tree differed from it",
    "versions": "of Python and packages",
    "machine": "host, processor, memory, accelerators",
    "data": "fingerprint of corpus, tokenizer and mix",
    "data_notes": "what must be said about the corpus, such as a subset that stands in for another",
    "data_expected": "passes over each source that the budget asks for, worked out beforehand",
    "data_read": "what each source really gave: samples, tokens, epochs, unusable records",
    "parameters": "counts of the model's parameters",
    "engine": "how the products of quantised weights are computed; null for a dense model",
    "arithmetic": "operations a token, the device's peaks, and what mfu and peak_share are of them",
    "init_from": "whose weights it began with: {place, fresh_parameters}; null for random ones",
    "tokens_total": "the token budget",
    "resumes": "for each time it was resumed: {time, overrides, …}",
}


def timestamp() -> str:
    """Now, as this file writes it: UTC, ISO 8601, to the microsecond."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


def new_record(name: str, given: dict[str, Any]) -> dict[str, Any]:
    """A record in the order of :data:`FIELDS`; what is not ``given`` has a default or is null."""
    defaults: dict[str, Any] = {
        "id": secrets.token_hex(4),
        "name": name,
        "state": "created",
        "created": timestamp(),
        "overrides": [],
        "resumes": [],
    }
    return updated(dict.fromkeys(FIELDS) | defaults, given)


def updated(record: dict[str, Any], fields: dict[str, Any]) -> dict[str, Any]:
    """``record`` with ``fields`` changed.

    Raises:
        RunError: a field is not one of :data:`FIELDS`, or the state not one of :data:`STATES`.
    """
    for field in fields:
        if field not in FIELDS:
            raise RunError(f"run.json: has no field '{field}'{nearest(field, FIELDS)}")
    state = fields.get("state", record["state"])
    if state not in STATES:
        raise RunError(f"run.json: state '{state}' is none of {', '.join(STATES)}")
    return record | fields

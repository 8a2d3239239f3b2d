"""Corpora that need no file: documents made of records whose statistics are known exactly."""

from bitnet.data.generated.corpus import GeneratedCorpus
from bitnet.data.generated.tasks import TASKS

__all__ = ["TASKS", "GeneratedCorpus"]

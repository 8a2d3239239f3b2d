"""Weights across the border: models of other projects become ours.

What comes in is checked against the model it is meant for, field by field and tensor by tensor,
before a single value is copied: a model that loads but computes something else is the worst fault
a converter can have.
"""

from bitnet.export.errors import WeightsError
from bitnet.export.hugging_face import open_hugging_face
from bitnet.export.place import find_folder, is_hub_name
from bitnet.export.stored import StoredWeights, check_fits, take_over

__all__ = [
    "StoredWeights",
    "WeightsError",
    "check_fits",
    "find_folder",
    "is_hub_name",
    "open_hugging_face",
    "take_over",
]

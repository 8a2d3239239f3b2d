"""Using a trained model: sampling and generation."""

from bitnet.inference.generate import generate, stream
from bitnet.inference.sampling import SamplingSpec, probabilities

__all__ = ["SamplingSpec", "generate", "probabilities", "stream"]

"""muP: hyper-parameters found on a narrow model that hold for a wide one.

With the base width ``b`` and the width ``d``, against a plain model: initial weights of hidden
matrices have variance ``init_std^2 * b / d``, Adam's rate for them is multiplied by ``b / d``,
logits by ``logit_scale * b / d``, embeddings by ``embedding_scale``, and attention divides by the
width of a head instead of its root. The feed-forward width must grow with ``d``.

Source: Tensor Programs V (arXiv 2203.03466), in the form of Cerebras-GPT (arXiv 2304.03208,
appendix G).
"""

from __future__ import annotations

from bitnet.nn.shape import ModelShape


def width_ratio(shape: ModelShape) -> float:
    """``base width / width``; 1 without muP."""
    return 1.0 if shape.mup_base_dim is None else shape.mup_base_dim / shape.dim


def logit_multiplier(shape: ModelShape) -> float:
    """What the input of the output projection is multiplied by."""
    return shape.logit_scale * width_ratio(shape)

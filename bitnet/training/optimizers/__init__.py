"""Optimizers as specs: which there are, what decays, and how gradients are clipped."""

from bitnet.training.optimizers.adamw import AdamW, DecoupledAdamW
from bitnet.training.optimizers.base import Optimizer, parameter_groups, scales_of, set_rates
from bitnet.training.optimizers.lion import DecoupledLion, Lion
from bitnet.training.optimizers.muon import Combined, Muon

__all__ = [
    "AdamW",
    "Combined",
    "DecoupledAdamW",
    "DecoupledLion",
    "Lion",
    "Muon",
    "Optimizer",
    "parameter_groups",
    "scales_of",
    "set_rates",
]

"""Which format computes: bf16 where the hardware has it, else fp32. Masters are always fp32.

Ternary training needs fp32 masters (small updates vanish in bf16 latents), so there is no
``bf16-true`` here. Lightning stays at ``32-true``: the model itself casts for its products, which
keeps the quantisers in fp32 and the twins comparable.
"""

from dataclasses import dataclass

import torch

_DTYPES = {"bf16": torch.bfloat16, "fp32": torch.float32}


@dataclass
class Precision:
    """``compute``: ``bf16``, ``fp32`` or ``auto`` (bf16 if this machine multiplies it natively)."""

    compute: str = "auto"

    def problems(self) -> list[str]:
        """Human-readable faults of the values, empty when they make sense."""
        if self.compute in (*_DTYPES, "auto"):
            return []
        return [f"compute: '{self.compute}' is unknown; valid are auto, bf16, fp32"]


def resolve_compute(compute: str, device: str) -> str:
    """``auto`` made definite for ``device`` (``cpu`` or ``cuda``); others pass unchanged."""
    if compute != "auto":
        return compute
    return "bf16" if _has_native_bf16(device) else "fp32"


def compute_dtype(compute: str) -> torch.dtype:
    """The torch dtype of a resolved name."""
    return _DTYPES[compute]


def _has_native_bf16(device: str) -> bool:
    if device == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    # Absent from the oldest torch that is supported: there, auto means fp32.
    capabilities: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()
    return any(capabilities.get(name, False) for name in ("avx512_bf16", "amx_bf16", "bf16"))

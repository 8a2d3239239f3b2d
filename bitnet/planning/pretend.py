"""A model on the meta device that believes it stands on the planned one.

Nothing is allocated or computed on meta, so a 65B model costs milliseconds. But code asks tensors
where they are (the int8 engine does, to know whether it can run), and attention has no fused form
on meta: it would show the T x T scores that no real device keeps. This mode answers the first and
names a fused kernel for the second.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from torch.overrides import TorchFunctionMode

_META = torch.device("meta")
_GET_DEVICE = Tensor.device.__get__
_GET_IS_CUDA = Tensor.is_cuda.__get__  # type: ignore[attr-defined]
_DRAWS = ("normal_", "uniform_", "trunc_normal_", "kaiming_normal_", "kaiming_uniform_")


class Pretend(TorchFunctionMode):
    """Within it, tensors say they are on ``device``, and new ones are made on meta.

    Args:
        device: ``cuda`` or ``cpu``; it need not exist here.
        compiled: the model would be.
    """

    def __init__(self, device: str, compiled: bool = False) -> None:
        super().__init__()
        self.device = torch.device(device)
        self.compiled = compiled

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Answer for the device, or do the work on meta."""
        kwargs = dict(kwargs or {})
        if func == _GET_DEVICE:
            return self.device
        if func == _GET_IS_CUDA:
            return self.device.type == "cuda"
        if getattr(func, "__name__", "") in _DRAWS:
            return args[0] if args else kwargs["tensor"]  # values are nobody's business here
        if func is scaled_dot_product_attention:
            return self._attention(*args, **kwargs)
        args = tuple(_META if isinstance(each, torch.device) else each for each in args)
        if kwargs.get("device") is not None:
            kwargs["device"] = _META
        return func(*args, **kwargs)

    def _attention(
        self,
        q_BHTK: Tensor,
        k_BHSK: Tensor,
        v_BHSK: Tensor,
        attn_mask: Tensor | None = None,
        dropout_p: float = 0.0,
        is_causal: bool = False,
        **options: Any,
    ) -> Tensor:
        """The kernel that would be taken; fused ones keep inputs, output and a number a row."""
        aten = torch.ops.aten
        on_cpu = self.device.type == "cpu"
        if on_cpu and self.compiled:
            attn_mask = None  # blocked_attention makes it anew, row by row
        if on_cpu and attn_mask is not None and attn_mask.ndim == 3:
            # The fused CPU kernel takes masks of 2 or 4 dimensions only; torch goes without it.
            y_BHTK: Tensor = aten._scaled_dot_product_attention_math(
                q_BHTK, k_BHSK, v_BHSK, attn_mask, dropout_p, is_causal
            )[0]
            return y_BHTK
        kernel = aten._scaled_dot_product_flash_attention_for_cpu  # on any device: names are alike
        y_BHTK = kernel(q_BHTK, k_BHSK, v_BHSK, dropout_p, is_causal, attn_mask=attn_mask)[0]
        return y_BHTK

"""Hours and money: operations over what devices really do, from an MFU or from a measured speed.

MFU (model FLOPs utilisation, PaLM, arXiv 2204.02311, appendix B) is the share of the devices' peak
that goes into the model's own operations. No run has more than 1, so a speed that implies more is a
mistake in the speed, in the model or in the device, and is refused.
"""

from __future__ import annotations

from dataclasses import dataclass

from bitnet.planning.devices import Device

DEFAULT_MFU = 0.4


class PlanError(ValueError):
    """A plan cannot be made of these numbers; one line for the user, beginning with the key."""


@dataclass(frozen=True)
class Duration:
    """How long a run takes.

    Attributes:
        mfu: share of the peak; ``None``: the device's peak is unknown.
        mfu_from: ``assumed``, ``given``, or ``measured`` (from tokens a second).
        tokens_per_second: of all devices together; ``None``: unknown.
        hours: of wall clock.
        device_hours: hours times devices.
        money: in the currency of the price; ``None``: no price.
    """

    mfu: float | None
    mfu_from: str
    tokens_per_second: float | None
    hours: float | None
    device_hours: float | None
    money: float | None


@dataclass(frozen=True)
class Pace:
    """What a user says about speed and price.

    Attributes:
        mfu: expected, or ``None`` for the default.
        tokens_per_second: measured on all devices, instead of an MFU.
        price: of one device for an hour.
    """

    mfu: float | None = None
    tokens_per_second: float | None = None
    price: float | None = None

    def problems(self) -> list[str]:
        """One line for each unusable value."""
        found = []
        if self.mfu is not None and self.tokens_per_second is not None:
            found.append("mfu: follows from tokens_per_second; give one of the two")
        for name in ("mfu", "tokens_per_second"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                found.append(f"{name}: {value} must be above 0")
        if self.mfu is not None and self.mfu > 1:
            found.append(f"mfu: {self.mfu:g} is more than the devices can do; valid is up to 1")
        if self.price is not None and not self.price >= 0:
            found.append(f"price: {self.price} is negative")
        return found


def duration(
    pace: Pace, device: Device, devices: int, compute: str, flops_per_token: float, tokens: float
) -> Duration:
    """Time and money for ``tokens`` on ``devices`` devices.

    Raises:
        PlanError: the values of ``pace`` make no sense, or imply an MFU above 1.
    """
    problems = pace.problems()
    if problems:
        raise PlanError("\n".join(problems))
    peak = device.peak(compute)
    rate, mfu, mfu_from = pace.tokens_per_second, pace.mfu or DEFAULT_MFU, "given"
    if rate is not None:
        mfu, mfu_from = (
            (0.0 if peak is None else rate * flops_per_token / (devices * peak)),
            "measured",
        )
    elif pace.mfu is None:
        mfu_from = "assumed"
    if mfu > 1:
        raise PlanError(_too_fast(rate or 0.0, mfu, device, devices, compute, flops_per_token))
    if rate is None and peak is not None:
        rate = mfu * devices * peak / flops_per_token
    hours = None if rate is None else tokens / rate / 3600
    device_hours = None if hours is None else hours * devices
    money = None if device_hours is None or pace.price is None else device_hours * pace.price
    known = None if peak is None else mfu
    return Duration(known, mfu_from, rate, hours, device_hours, money)


def _too_fast(
    rate: float, mfu: float, device: Device, devices: int, compute: str, flops: float
) -> str:
    peak = (device.peak(compute) or 0.0) * devices
    return (
        f"tokens_per_second: {rate:,.0f} needs {rate * flops / 1e12:,.0f} TFLOP/s and an MFU of "
        f"{mfu:.0%}; {devices} x {device.name} do at most {peak / 1e12:,.0f} in {compute}, "
        f"which is {peak / flops:,.0f} tokens a second"
    )

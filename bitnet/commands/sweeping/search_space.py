"""What a search varies, out of Hydra's own words for it: ``choice``, ``range``, ``interval``.

>>> axes, fixed = split(OptunaSpec(), ["optimizer.eps=tag(log, interval(1e-9, 1e-7))", "seed=1"])
>>> axes
[Axis(key='optimizer.eps', low=1e-09, high=1e-07, whole=False, log=True, step=None, choices=())]
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep, ValueType

from bitnet.config import ConfigError
from bitnet.config.compose import parse_overrides
from bitnet.config.sweeping import OptunaSpec

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution


@dataclass(frozen=True)
class Axis:
    """One thing that is varied: numbers from ``low`` to ``high``, both included, or ``choices``.

    Attributes:
        key: of the override.
        low: the smallest number.
        high: the largest number.
        whole: whole numbers only.
        log: drawn evenly in the logarithm.
        step: between neighbouring numbers, if they lie on a grid.
        choices: as they are written in an override.
    """

    key: str
    low: float = 0.0
    high: float = 0.0
    whole: bool = False
    log: bool = False
    step: float | None = None
    choices: tuple[str, ...] = ()

    @property
    def ends(self) -> tuple[str, ...]:
        """The values furthest out, as overrides write them; of choices all."""
        return self.choices or (self.written(self.low), self.written(self.high))

    @property
    def values(self) -> tuple[str | float, ...] | None:
        """All values, if they can be counted."""
        if self.choices:
            return self.choices
        if self.step is None:
            return None
        count = round((self.high - self.low) / self.step)
        return tuple(self._exact(self.low + n * self.step) for n in range(count + 1))

    def written(self, value: str | float) -> str:
        """``value`` as an override writes it."""
        return value if isinstance(value, str) else repr(self._exact(value))

    def distribution(self) -> BaseDistribution:
        """In Optuna's words."""
        from optuna.distributions import (
            CategoricalDistribution,
            FloatDistribution,
            IntDistribution,
        )

        if self.choices:
            return CategoricalDistribution(self.choices)
        if self.whole:
            step = int(self.step or 1)
            return IntDistribution(int(self.low), int(self.high), log=self.log, step=step)
        return FloatDistribution(self.low, self.high, log=self.log, step=self.step)

    def _exact(self, value: float) -> float:
        return int(value) if self.whole else float(value)


def split(spec: OptunaSpec, overrides: list[str]) -> tuple[list[Axis], list[str]]:
    """What is varied, and the other overrides; of a key that is given twice, the later counts.

    Raises:
        ConfigError: a range cannot be searched, or nothing is varied.
    """
    lines = [f"{key}={value}" for key, value in spec.params.items()] + overrides
    parsed = {each.get_key_element(): each for each in parse_overrides(lines)}
    axes = [_axis(key, each) for key, each in parsed.items() if each.is_sweep_override()]
    if not axes:
        raise ConfigError(
            "hydra.sweeper.params: nothing is varied; give a key a range, such as "
            "'optimizer.eps=tag(log, interval(1e-9, 1e-7))' or linear=bitnet,dense"
        )
    if spec.sampler == "grid" and (endless := [a.key for a in axes if a.values is None]):
        raise ConfigError(
            f"{endless[0]}: an interval has no grid; use range(…) or choice(…), or another "
            "hydra.sweeper.sampler"
        )
    fixed = [each for each in parsed.values() if not each.is_sweep_override()]
    return axes, [str(each.input_line) for each in fixed]


def probes(spec: OptunaSpec, overrides: list[str]) -> list[list[str]]:
    """Jobs that together have every end of every axis, to check a search before it starts."""
    axes, fixed = split(spec, overrides)
    first = {axis.key: axis.ends[0] for axis in axes}
    jobs = [first] + [first | {axis.key: end} for axis in axes for end in axis.ends[1:]]
    return [[*fixed, *(f"{key}={value}" for key, value in job.items())] for job in jobs]


def _axis(key: str, override: Override) -> Axis:
    """One override that sweeps, as an axis."""
    if override.value_type == ValueType.GLOB_CHOICE_SWEEP:
        raise ConfigError(f"{key}: a search takes choice, range and interval, not glob")
    value = override.value()
    if isinstance(value, IntervalSweep):
        assert value.start is not None and value.end is not None
        axis = _interval(key, value.start, value.end, "log" in value.tags)
    elif isinstance(value, RangeSweep):
        axis = _range(key, value, "log" in value.tags)
    else:
        return Axis(key, choices=tuple(override.sweep_string_iterator()))
    if axis.low >= axis.high:
        raise ConfigError(f"{key}: the range is empty ({axis.low} to {axis.high})")
    if axis.log and (axis.low <= 0 or axis.step not in (None, 1)):
        raise ConfigError(f"{key}: a logarithmic range starts above 0 and has no step")
    return axis


def _interval(key: str, low: float, high: float, log: bool) -> Axis:
    whole = isinstance(low, int) and isinstance(high, int)
    # On a logarithm Optuna knows no grid; whole numbers are rounded to.
    return Axis(key, low, high, whole, log, step=1 if whole and not log else None)


def _range(key: str, value: RangeSweep, log: bool) -> Axis:
    """Hydra's range leaves its stop out; an axis has both its ends."""
    numbers = sorted(value.range())
    if not numbers:
        raise ConfigError(f"{key}: the range is empty")
    whole = all(isinstance(each, int) for each in numbers)
    return Axis(key, numbers[0], numbers[-1], whole, log, step=abs(value.step))

"""Numbers the way people read them: 1.5M tokens, 2h 05m, 3.142."""

from __future__ import annotations

_UNITS = ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k"))


def short(number: float) -> str:
    """Three digits and a unit: ``1234567`` is ``1.23M``."""
    for size, unit in _UNITS:
        # 999.6k would be rounded to 1e+03k; it belongs to the next unit up.
        if abs(number) >= size * 0.9995:
            return f"{number / size:.3g}{unit}"
    return f"{number:.3g}"


def duration(seconds: float) -> str:
    """The two largest units: ``3d 04h``, ``2h 05m``, ``3m 07s``, ``8s``."""
    whole = round(seconds)
    for size, unit, below, small in ((86400, "d", 3600, "h"), (3600, "h", 60, "m")):
        if whole >= size:
            return f"{whole // size}{unit} {whole % size // below:02d}{small}"
    return f"{whole // 60}m {whole % 60:02d}s" if whole >= 60 else f"{whole}s"


def digits(value: float | None, places: int = 3) -> str:
    """A measured value, or a dash where there is none."""
    return "–" if value is None else f"{value:.{places}f}"


def brief(written: str) -> str:
    """A written value, a long fraction cut to four digits: ``6.824078e-09`` is ``6.824e-09``."""
    try:
        number = float(written)
    except ValueError:
        return written
    short_form = f"{number:.4g}"
    return short_form if len(short_form) < len(written) and not written.isdecimal() else written

"""Numbers as people read them; shared by the progress bar and the step line."""

from __future__ import annotations


def short(number: float) -> str:
    """1234567 as 1.23M."""
    for size, unit in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:.3g}{unit}"
    return f"{number:.0f}"


def clock(seconds: float) -> str:
    """Seconds as 1h02m or 3m07s."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes:02d}m" if hours else f"{minutes}m{rest:02d}s"


def speed(row: dict[str, float], total_tokens: int) -> list[str]:
    """Speed, MFU and time left, as far as ``row`` (a metrics row with ``tokens``) tells."""
    rate = row.get("tokens_per_second")
    if not rate:
        return []
    parts = [f"{short(rate)} tok/s"]
    if "mfu" in row:
        parts.append(f"MFU {row['mfu']:.0%}")
    return [*parts, f"ETA {clock(max(0.0, total_tokens - row['tokens']) / rate)}"]

"""Runs the cases of the Triton kernels in a process of their own.

Triton decides at its import whether kernels are compiled or interpreted, and other tests may have
imported it before. Where there is no GPU the cases run in its interpreter.
"""

import os
import subprocess
import sys
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

HERE = Path(__file__).parent


def _numpy() -> tuple[int, ...]:
    return tuple(int(part) for part in version("numpy").split(".")[:2])


@pytest.mark.skipif(find_spec("triton") is None, reason="Triton is not installed")
@pytest.mark.parametrize(
    ("cases", "runs"),
    [("cases_products.py", True), ("cases_rows.py", True), ("cases_hopper.py", False)],
)
def test_cases(cases: str, runs: bool, tmp_path: Path) -> None:
    """``runs``: whether the cases run kernels, or only compile them."""
    environment = {**os.environ, "TRITON_INTERPRET": "0", "TRITON_CACHE_DIR": str(tmp_path)}
    if runs and not torch.cuda.is_available():
        if version("triton").startswith("3.6.") and _numpy() >= (2, 4):
            pytest.skip("the interpreter of Triton 3.6 does not run with NumPy 2.4")
        environment["TRITON_INTERPRET"] = "1"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", str(HERE / cases)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout

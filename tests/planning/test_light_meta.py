"""A trace leaves torch's compiler alone: not imported by it, and whole afterwards."""

import subprocess
import sys

CODE = """
import sys, torch
from bitnet.nn import LinearSpec, ModelShape
from bitnet.planning import Place, trace
shape = ModelShape(dim=32, layers=2, heads=2, ffn_dim=64, vocab_size=64, max_sequence_length=16)
trace(shape, LinearSpec("bitnet"), Place("cuda", torch.bfloat16, True, 1, 16))
heavy = {"torch._dynamo", "sympy", "torch.fx.experimental.symbolic_shapes"}
print(sorted(heavy & set(sys.modules)))
import sympy
assert sympy.Symbol("x").is_symbol
print(torch.compile(lambda x: x.square() + 1, backend="eager")(torch.ones(2)).tolist())
"""


def test_it_imports_no_compiler_and_hinders_none() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["[]", "[2.0, 2.0]"]

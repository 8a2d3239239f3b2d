"""Small models of every family that the trace has to follow."""

from dataclasses import replace

from bitnet.nn import LinearSpec, ModelShape, StageSpec

LLAMA = ModelShape(dim=64, layers=3, heads=4, ffn_dim=176, vocab_size=320, max_sequence_length=64)
SHAPES = {
    "bitnet": LLAMA,
    "llama": replace(LLAMA, sub_norm=False, tie_embeddings=False),
    "grouped": replace(LLAMA, kv_heads=2, activation="relu2", fused_qkv=True, fused_gate_up=True),
    "pythia": replace(
        LLAMA,
        norm="layer",
        bias=True,
        residual="parallel",
        rotary_fraction=0.25,
        gated=False,
        activation="gelu",
        sub_norm=False,
        tie_embeddings=False,
    ),
    "mosaic": replace(
        LLAMA, position="alibi", norm="layer", gated=False, activation="gelu", qk_norm=True
    ),
    "cerebras": replace(
        LLAMA, position="learned", norm="layer", bias=True, gated=False, activation="gelu"
    ),
    "wide_table": replace(LLAMA, embedding_dim=96),
}
LINEARS = {
    "dense": LinearSpec("dense"),
    "bitnet": LinearSpec("bitnet"),
    "reference": LinearSpec("bitnet", "reference"),
    "inside": LinearSpec("bitnet", norm="inside"),
    "binary": LinearSpec("binary"),
    "stage": LinearSpec("stage", stage=StageSpec(dim=32, heads=2, ffn_dim=64)),
}
CASES = [
    *((shape, linear) for shape in SHAPES for linear in ("dense", "bitnet")),
    *(("bitnet", linear) for linear in ("reference", "inside", "binary")),
    ("llama", "stage"),
]

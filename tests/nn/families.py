"""Small members of every family, for tests that hold for all of them."""

from bitnet.nn import LinearSpec, ModelShape, StageSpec

_SIZES = {"dim": 64, "layers": 2, "heads": 4, "ffn_dim": 96, "vocab_size": 101}
_PLAIN = {"gated": False, "activation": "gelu", "sub_norm": False, "norm": "layer"}

SHAPES = {
    "bitnet": ModelShape(**_SIZES),
    "llama": ModelShape(**_SIZES, kv_heads=2, sub_norm=False, tie_embeddings=False),
    "pythia": ModelShape(
        **_SIZES,
        **_PLAIN,
        bias=True,
        residual="parallel",
        rotary_fraction=0.25,
        tie_embeddings=False,
        init="small",
    ),
    "mosaic": ModelShape(**_SIZES, **_PLAIN, position="alibi", qk_norm=True, init="kaiming"),
    "cerebras": ModelShape(**_SIZES, **_PLAIN, position="learned", bias=True, init="truncated"),
    "mup": ModelShape(
        **_SIZES,
        **_PLAIN,
        position="learned",
        bias=True,
        init="mup",
        init_std=0.08,
        mup_base_dim=32,
        embedding_scale=10.0,
    ),
    "wide table": ModelShape(**_SIZES, sub_norm=False, embedding_dim=160),
    "glort2": ModelShape(**_SIZES, sub_norm=False, fused_qkv=True),
    "dcgrigsby": ModelShape(
        **_SIZES, kv_heads=2, activation="relu2", fused_qkv=True, fused_gate_up=True
    ),
}
STAGE = StageSpec(dim=32, heads=2, ffn_dim=64)
LINEARS = {
    "dense": LinearSpec("dense"),
    "bitnet": LinearSpec("bitnet"),
    "binary": LinearSpec("binary"),
    "inside": LinearSpec("bitnet", norm="inside"),
    "both": LinearSpec("bitnet", norm="both"),
    "stage": LinearSpec("stage", stage=STAGE),
    "stage of bitnet": LinearSpec("stage", stage=StageSpec("bitnet", 32, 1, 2, 64)),
}

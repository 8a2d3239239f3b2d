"""``bitnet bench train``: a training step of ternary models, of their dense twin and of peers."""

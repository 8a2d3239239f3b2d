"""BitNet b1.58 language models: train them, study them, ship them.

This file is the face of the package and stays light on purpose: importing ``bitnet``
loads neither torch nor Lightning, so ``bitnet --help`` and shell completion answer at once.
"""

__version__ = "0.1.0"

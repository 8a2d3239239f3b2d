"""The command line: ``bitnet <verb> [overrides]``, with Hydra's grammar after the verb."""

from __future__ import annotations

import gc
import logging
import os
import sys
import warnings
from collections.abc import Callable

VERBS = {
    "train": "train a model, or with -m a sweep of them",
    "eval": "loss, perplexity and bits per byte of a run or checkpoint, by source",
    "generate": "complete a prompt with a trained model",
    "plan": "parameters, memory, time and money of a run, before it starts",
    "status": "how far a run is, its last losses and the time left",
    "prepare": "tokenise a corpus once into shards that are trained from at memory speed",
    "data": "list, inspect, at, verify, score: corpora, and what a run saw of them",
    "bench": "train, data: time and memory beside the dense twin, and beside peers",
}

WITH_HELP = ("train", "eval", "generate", "prepare", "data", "plan")

_USAGE = """bitnet <verb> [key=value ...]

{verbs}

After the verb come Hydra overrides: bitnet train model=bitnet/700m linear=dense seed=2
A sweep:                             bitnet train -m linear=bitnet,dense seed=1,2
The whole configuration of a run:    bitnet train --cfg job
Help for a verb:                     bitnet train --help
"""


def main(arguments: list[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: what follows ``bitnet`` on the command line; ``None``: take it from there.

    Returns:
        The exit code: 0; 1 after failed jobs of a sweep; 2 for a fault that was explained in lines.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(_usage())
        return 0
    verb, rest = arguments[0], arguments[1:]
    if verb in ("train", "eval", "generate", "data", "prepare", "plan") and {"-h", "--help"} & set(
        rest
    ):
        from bitnet.commands.help import show_help

        show_help("score" if rest[0] == "score" else verb)
        return 0
    if verb in ("-V", "--version"):
        from bitnet import __version__

        print(__version__)
        return 0
    return _guarded(verb, rest)


def _usage() -> str:
    width = max(map(len, VERBS))
    return _USAGE.format(
        verbs="\n".join(f"  {verb:<{width}}  {text}" for verb, text in VERBS.items())
    )


def _guarded(verb: str, rest: list[str]) -> int:
    """Run a verb; the user's faults end in lines on stderr, ours in a stack trace."""
    if verb == "plan":
        gc.disable()  # it lives for seconds and is mostly imports, of which nothing is garbage
    # Before torch and tokenizers are imported, which read these.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    from bitnet.commands import verbs
    from bitnet.commands.faults import USER_FAULTS, SweepError

    known: dict[str, Callable[[list[str]], None]] = verbs.TABLE
    if verb not in known:
        from bitnet.config.errors import nearest

        hint = nearest(verb, list(known))
        print(f"bitnet: '{verb}' is no verb{hint} (valid: {', '.join(known)})", file=sys.stderr)
        return 2
    # Lightning uses a torch name that is on its way out; nothing a user could do about it.
    warnings.filterwarnings("ignore", message=".*LeafSpec.*", category=FutureWarning)
    logging.captureWarnings(True)
    try:
        known[verb](rest)
    except USER_FAULTS as fault:
        for line in str(fault).splitlines():
            print(f"bitnet {verb}: {line}", file=sys.stderr)
        return 1 if isinstance(fault, SweepError) else 2
    except KeyboardInterrupt:
        print(f"bitnet {verb}: interrupted", file=sys.stderr)
        return 130
    finally:
        if verb == "plan":
            gc.freeze()  # nor need the end of the process look for any
            gc.enable()
    return 0


if __name__ == "__main__":
    sys.exit(main())

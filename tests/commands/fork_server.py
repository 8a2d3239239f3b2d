"""A process that has imported everything, and becomes a ``bitnet`` command at every request.

    python -m tests.commands.fork_server SOCKET

Most of a short command's time is its imports. Here they are made once, and each request is
answered by a fork: a process and a session of its own that may be killed like any other. It runs
``bitnet.cli`` as ``python -m`` would, so that ranks and workers which it starts are the usual ones.
Everything here runs on one thread, without which a fork were not safe.
"""

from __future__ import annotations

import gc
import json
import os
import random
import runpy
import select
import signal
import socket
import sys
import time
from functools import cache
from typing import Any


def warm() -> None:
    """Import what training imports, and time the products of this CPU where one thread does it."""
    import torch

    import bitnet.commands.evaluate
    import bitnet.commands.generate
    import bitnet.commands.hydra_verb
    import bitnet.commands.prepare
    import bitnet.commands.train  # noqa: F401
    from bitnet.training import peak

    if torch.get_num_threads() == 1:
        timed = cache(peak._measure)
        for dtype in (torch.float32, torch.int8):
            timed(dtype)
        peak._measure = timed
    threads = os.listdir("/proc/self/task")
    assert len(threads) == 1, f"{len(threads)} threads: no fork is safe"
    gc.collect()
    gc.freeze()


def serve(path: str) -> dict[str, Any] | None:
    """Answer requests until our input closes; the request, in the process that is to become it."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the guardians
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen()
        while True:
            ready, _, _ = select.select([listening, sys.stdin], [], [])
            if sys.stdin in ready:
                return None
            client, _ = listening.accept()
            with client:
                if os.fork() == 0:
                    listening.close()
                    return guard(client)


def guard(client: socket.socket) -> dict[str, Any]:
    """Start the command, tell its number, wait for its end and tell that; the request, in it."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    message, streams, _, _ = socket.recv_fds(client, 1 << 20, 2)
    request: dict[str, Any] = json.loads(message)
    child = os.fork()
    if child == 0:
        client.close()
        os.setsid()
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        for number, stream in enumerate(streams, start=1):
            os.dup2(stream, number)
            os.close(stream)
        return request
    client.sendall(f"{child}\n".encode())
    _, status = os.waitpid(child, 0)
    client.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())
    os._exit(0)


def become(request: dict[str, Any]) -> None:
    """Run the command, as unlike its siblings in its draws as two processes are."""
    import numpy as np

    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    random.seed()
    np.random.seed(time.time_ns() % 2**32)
    sys.argv = ["bitnet", *request["arguments"]]
    runpy.run_module("bitnet.cli", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    warm()
    asked = serve(sys.argv[1])
    if asked is not None:
        become(asked)

"""Starts ``bitnet`` as a process of its own that need not import anything first."""

from __future__ import annotations

import atexit
import contextlib
import itertools
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from functools import cache
from pathlib import Path
from typing import IO


class Server:
    """A warm process that forks."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="forks")
        self._socket = Path(self._folder.name) / "socket"
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.commands.fork_server", str(self._socket)],
            stdin=subprocess.PIPE,
            # OpenBLAS of numpy starts its threads at once.
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
        )
        atexit.register(self.close)

    def connect(self) -> socket.socket:
        """A connection, once it is warm."""
        deadline = time.monotonic() + 120
        client = socket.socket(socket.AF_UNIX)
        while True:
            try:
                client.connect(str(self._socket))
                return client
            except (FileNotFoundError, ConnectionRefusedError):
                assert self._process.poll() is None, "the fork server could not start"
                assert time.monotonic() < deadline, "the fork server is too slow"
                time.sleep(0.02)

    def close(self) -> None:
        """Its input ends, and so does it."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(30)
        self._folder.cleanup()


@cache
def _server(number: int) -> Server:
    return Server()


_next = itertools.cycle(range(2))


def finish(*arguments: object, timeout: float = 400) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, which has to come within ``timeout`` seconds."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        process = Forked(*arguments, stdout=out, stderr=err)
        try:
            code = process.wait(timeout)
        finally:
            process.kill()
        told = [(stream.seek(0), stream.read().decode())[1] for stream in (out, err)]
    return subprocess.CompletedProcess(["bitnet", *map(str, arguments)], code, *told)


class Forked:
    """A running command, with the part of ``subprocess.Popen`` that tests need.

    Two servers take turns: what depends on the order of a set, which is another one in every
    process that is started but not in one that is forked, differs between two commands in a row.
    """

    def __init__(self, *arguments: object, stdout: IO[bytes], stderr: IO[bytes]) -> None:
        self._client = _server(next(_next)).connect()
        self._told = self._client.makefile("rb", buffering=0)
        request = {
            "arguments": [str(each) for each in arguments],
            "folder": os.getcwd(),
            "environment": dict(os.environ),
        }
        streams = [stdout.fileno(), stderr.fileno()]
        socket.send_fds(self._client, [json.dumps(request).encode()], streams)
        self.pid = int(self._told.readline())
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Its exit if it has ended."""
        return self._collect(0)

    def wait(self, timeout: float) -> int:
        """Its exit, once it has ended."""
        code = self._collect(timeout)
        if code is None:
            raise subprocess.TimeoutExpired(f"process {self.pid}", timeout)
        return code

    def kill(self) -> None:
        """End it, with all that it started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)

    def _collect(self, timeout: float) -> int | None:
        if self.returncode is None and select.select([self._client], [], [], timeout)[0]:
            self.returncode = int(self._told.readline())
            self._told.close()
            self._client.close()
        return self.returncode

"""Which allocator the tensors of a run on a CPU come from, said in the log."""

from __future__ import annotations

import logging

from bitnet.native import KernelUnavailableError, page_pool

_log = logging.getLogger(__name__)


def allocate(name: str, device: str) -> None:
    """Let tensors of this process come from ``pages``, if that is the name and the device a CPU."""
    if device != "cpu" or name == "system":
        page_pool.use_system()
        return
    try:
        page_pool.use_pages()
    except (KernelUnavailableError, OSError) as error:
        _log.info("memory: the C library's, not a pool of pages: %s", error)
        return
    _log.info("memory: tensors come from a pool of pages")

"""Memory of tensors on a CPU: pages that are moved between blocks instead of made anew.

A step of training allocates and frees the same gigabytes every time. The C library either keeps a
freed block in its heap, where larger ones find no place between the holes (up to a fifth of a
process's memory), or gives it back to the system, which zeroes every page of the next one. The
pool here does neither; see ``pages.h``.
"""

from bitnet.native.page_pool.pool import Counts, counts, use_pages, use_system, uses_pages, why_not

__all__ = ["Counts", "counts", "use_pages", "use_system", "uses_pages", "why_not"]

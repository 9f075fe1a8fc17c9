"""Memory that tensors on a CPU have freed, for the tensors that follow."""

import ctypes

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of malloc.h
_MOST = 1 << 30  # bytes


def keep_freed_memory() -> None:
    """Let this process keep what is freed from now on, up to a gigabyte, where its C library can.

    glibc gives large pieces back at once, and the kernel clears each page before the next tensor
    has it: a tenth of a plan of a large model. Call it once weights are loaded, whose pieces are
    not needed again.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _MOST)
        mallopt(_M_TRIM_THRESHOLD, _MOST)

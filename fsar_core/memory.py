"""Memory of this process that nobody uses any more."""

import ctypes
import gc


def give_back() -> None:
    """Returns it to the system where the C library can (glibc).

    The library keeps freed tensors for later ones, and runs of different shapes can seldom use what others left: a
    process that trains one run after another would grow until the machine has no memory.
    """
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)

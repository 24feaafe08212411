"""Randomness as a pure function of (seed, purpose, counters): no generator is carried from one draw to the next."""

import hashlib

import numpy as np


def derived_seed(seed: int, purpose: str, *counters: int) -> int:
    """A 63-bit seed, for generators that take one number (torch)."""
    text = "/".join([str(seed), purpose, *map(str, counters)])
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little") >> 1


def generator(seed: int, purpose: str, *counters: int) -> np.random.Generator:
    """A fresh NumPy generator; the same arguments give the same draws on every machine."""
    return np.random.Generator(np.random.PCG64(derived_seed(seed, purpose, *counters)))

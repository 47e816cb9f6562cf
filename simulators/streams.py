"""Random streams: one generator per subsystem, all from one seed, so that a change in one disturbs no other."""

import zlib

import numpy as np


def random_stream(seed: int, name: str) -> np.random.Generator:
    """Return the generator of one subsystem.

    Args:
        seed: The day's seed.
        name: The subsystem. The same seed and name give the same numbers on every machine.

    Returns:
        A generator that shares nothing with those of other names.
    """
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, zlib.crc32(name.encode())])))

"""How the location kernels are compiled.

`kernel` differs from `numba.njit` in three things. What it compiles is kept on disk. A division by zero gives infinity,
as everywhere else in arrays, and is not looked out for. And array references are not counted (`_nrt`): a kernel
makes no arrays, it fills those that its caller holds on to, and counting took half of the time where views of a few
dozen numbers are all there is. One that makes an array does not compile; it has to be a `numba.njit`.
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

Function = TypeVar("Function", bound=Callable[..., Any])

_OPTIONS: dict[str, Any] = {"cache": True, "error_model": "numpy", "_nrt": False}


def kernel(function: Function) -> Function:
    """Compile a function when it is first called. Of its type nothing changes."""
    return cast("Function", numba.njit(**_OPTIONS)(function))

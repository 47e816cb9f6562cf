"""How the location kernels are compiled.

`kernel` differs from `numba.njit` in four things. What it compiles is kept on disk. A division by zero gives infinity,
as everywhere else in arrays, and is not looked out for. And array references are not counted (`_nrt`): a kernel
makes no arrays, it fills those that its caller holds on to, and counting took half of the time where views of a few
dozen numbers are all there is. One that makes an array does not compile; it has to be a `numba.njit`. And a kernel
becomes part of the kernel that calls it: a law or a track is handed over as some forty numbers, and writing them down
for each call took an eighth of the time of a read.
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
from llvmlite import ir  # type: ignore[import-untyped]  # numba's own dependency
from numba.core import cgutils, types
from numba.extending import intrinsic

Function = TypeVar("Function", bound=Callable[..., Any])

_CACHE_LINE_BYTES = 64
_OPTIONS: dict[str, Any] = {"cache": True, "error_model": "numpy", "_nrt": False, "forceinline": True}


def kernel(function: Function) -> Function:
    """Compile a function when it is first called. Of its type nothing changes."""
    return cast("Function", numba.njit(**_OPTIONS)(function))


def _ask_for(_: Any, array: Any, index: Any) -> Any:
    """Say how `prefetch` is compiled: one instruction for each cache line of the element."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind = signature.args[0]
        where = context.make_array(kind)(context, builder, arguments[0])
        width = context.get_abi_sizeof(context.get_data_type(kind.dtype))
        start = builder.ptrtoint(where.data, ir.IntType(64))
        at = builder.add(start, builder.mul(builder.sext(arguments[1], ir.IntType(64)), ir.IntType(64)(width)))
        pointer, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        call = ir.FunctionType(ir.VoidType(), [pointer, number, number, number])
        ask = cgutils.get_or_insert_function(builder.module, call, "llvm.prefetch.p0")  # type: ignore[no-untyped-call]
        for line in range(0, width, _CACHE_LINE_BYTES):
            element = builder.inttoptr(builder.add(at, ir.IntType(64)(line)), pointer)
            builder.call(ask, [element, number(0), number(3), number(1)])  # to read, to keep, data
        return context.get_dummy_value()

    return types.void(array, index), generate


prefetch = cast("Callable[[Any, Any], None]", intrinsic(_ask_for))
"""In kernels: `prefetch(array, index)` asks for an element of a one-dimensional array (a record of some hundred bytes,
say) that will be needed soon; the index is not below 0. Where there are more items than a cache holds, waiting for
their tracks would take a quarter of the time, and waiting for the table of EPCs most of a look-up."""


def _bits_to_float(_: Any, bits: Any) -> Any:  # noqa: ARG001 - numba calls it by the number of arguments
    """Say how `float_of_bits` is compiled: not at all, a register is looked at differently."""

    def generate(_: Any, builder: Any, __: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.FloatType())

    return types.float32(types.int32), generate


float_of_bits = cast("Callable[[Any], Any]", intrinsic(_bits_to_float))
"""In kernels: `float_of_bits(bits)` is the float32 that is written with the bits of an int32."""

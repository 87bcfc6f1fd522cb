"""Four machine instructions that numba does not offer: unaligned 8-byte load, bit counts from either end, popcount.

With them a kernel reads eight bytes of text at a time; a word of up to eight ASCII characters, nine words in ten of
English, is then found, classified and hashed without a loop. Little-endian machines only, as all that numba supports.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

MIX_1 = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio, odd
MIX_2 = np.uint64(0xC2B2AE3D27D4EB4F)  # a prime from xxHash
SHIFT_32 = np.uint64(32)
SHIFT_29 = np.uint64(29)
WORD_64 = ir.IntType(64)


@intrinsic
def load_eight(typing_context: Any, data: Any, index: Any) -> Any:
    """load_eight(data, index): data[index:index + 8] as one uint64; the caller answers for index + 8 <= len(data)."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        address = builder.gep(builder.bitcast(array.data, ir.IntType(8).as_pointer()), [arguments[1]])
        return builder.load(builder.bitcast(address, WORD_64.as_pointer()), align=1)

    return types.uint64(data, types.int64), generate


@intrinsic
def zeros_below(typing_context: Any, value: Any) -> Any:
    """zeros_below(value): the number of zero bits below the lowest set bit; 64 for zero."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 0))

    return types.int64(types.uint64), generate


@intrinsic
def zeros_above(typing_context: Any, value: Any) -> Any:
    """zeros_above(value): the number of zero bits above the highest set bit; 64 for zero."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.ctlz(arguments[0], ir.Constant(ir.IntType(1), 0))

    return types.int64(types.uint64), generate


@intrinsic
def ones_in(typing_context: Any, value: Any) -> Any:
    """ones_in(value): the number of set bits."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return types.int64(types.uint64), generate


@njit(inline="always")
def absorb(state: Any, value: Any) -> Any:
    """Return a 64-bit hash state that has taken in 64 more bits; one to one in `value` for a given state."""
    mixed = (state ^ value) * MIX_1
    return mixed ^ (mixed >> SHIFT_32)


@njit(inline="always")
def finish(state: Any, length: Any) -> Any:
    """Return the hash of a byte string of this length whose 8-byte groups `state` has absorbed."""
    mixed = (state ^ np.uint64(length)) * MIX_2
    return mixed ^ (mixed >> SHIFT_29)

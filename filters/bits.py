"""Machine operations that numba cannot spell, as LLVM intrinsics for kernels that work on addresses.

Loads and stores at an address, the classification of 64 bytes into one bit mask, trailing zeros, and the 64 x 64 ->
128 bit multiplication folded to 64 bits. Why addresses: numba counts references to every array handed to a helper
inside a loop, two atomic operations each; the word scanner ran at 120 MB/s with arrays and 4 times that without.
LLVM lowers each operation to a few instructions on AVX-512, AVX2 and NEON with the same results (little-endian
machines only, as are Arrow's buffers here). Nothing is checked: the caller stays inside its array.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

_BYTE = ir.IntType(8)
_WORD = ir.IntType(64)
_DOUBLE_WORD = ir.IntType(128)


def _load(builder: Any, address: Any, kind: Any) -> Any:
    return builder.load(builder.inttoptr(address, kind.as_pointer()), align=1)


@intrinsic
def load_byte(typing_context: Any, address: Any) -> Any:
    """Return the byte at `address` as int64."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.zext(_load(builder, arguments[0], _BYTE), _WORD)

    return types.int64(types.int64), generate


@intrinsic
def load_half(typing_context: Any, address: Any) -> Any:
    """Return the little-endian uint32 at `address` as int64."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.zext(_load(builder, arguments[0], ir.IntType(32)), _WORD)

    return types.int64(types.int64), generate


@intrinsic
def load_word(typing_context: Any, address: Any) -> Any:
    """Return the 8 bytes at `address` as one little-endian uint64."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _load(builder, arguments[0], _WORD)

    return types.uint64(types.int64), generate


@intrinsic
def store_word(typing_context: Any, address: Any, value: Any) -> Any:
    """Write a uint64 to the 8 bytes at `address`."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        builder.store(arguments[1], builder.inttoptr(arguments[0], _WORD.as_pointer()), align=1)
        return context.get_dummy_value()

    return types.void(types.int64, types.uint64), generate


@intrinsic
def word_byte_mask(typing_context: Any, address: Any) -> Any:
    """Return a uint64 whose bit i says that the byte at `address + i` is an ASCII letter or digit, or not ASCII."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        lanes = ir.VectorType(_BYTE, 64)

        def all_lanes(value: int) -> Any:
            return ir.Constant(lanes, [value] * 64)

        block = _load(builder, arguments[0], lanes)
        letter = builder.sub(builder.or_(block, all_lanes(0x20)), all_lanes(ord("a")))
        digit = builder.sub(block, all_lanes(ord("0")))
        found = builder.or_(
            builder.icmp_unsigned("<", letter, all_lanes(26)), builder.icmp_unsigned("<", digit, all_lanes(10))
        )
        found = builder.or_(found, builder.icmp_unsigned(">=", block, all_lanes(0x80)))
        return builder.bitcast(found, _WORD)

    return types.uint64(types.int64), generate


@intrinsic
def trailing_zeros(typing_context: Any, value: Any) -> Any:
    """Return the number of zero bits below the lowest set bit of a uint64 that is not zero."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(types.uint64), generate


@intrinsic
def fold_product(typing_context: Any, left: Any, right: Any) -> Any:
    """Return the upper XOR the lower half of the 128-bit product of two uint64: the mixing step of wyhash."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        wide = [builder.zext(argument, _DOUBLE_WORD) for argument in arguments]
        product = builder.mul(*wide)
        upper = builder.trunc(builder.lshr(product, ir.Constant(_DOUBLE_WORD, 64)), _WORD)
        return builder.xor(upper, builder.trunc(product, _WORD))

    return types.uint64(types.uint64, types.uint64), generate

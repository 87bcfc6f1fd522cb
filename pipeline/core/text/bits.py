"""Machine operations that numba cannot spell, as LLVM intrinsics for kernels that work on addresses; and word mixing.

Loads and stores at an address, the classification of 64 bytes into one bit mask, bit counts, and the 64 x 64 ->
128 bit multiplication folded to 64 bits. Why addresses: numba counts references to every array handed to a helper
inside a loop, two atomic operations each; a word scanner ran at 120 MB/s with arrays and 4 times that without.
LLVM lowers each operation to a few instructions on AVX-512, AVX2 and NEON with the same results (little-endian
machines only, as are Arrow's buffers here). Nothing is checked: the caller stays inside its array.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir

from pipeline.core.process.kernels import cgutils, intrinsic, njit, types

MIX_1 = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio, odd
MIX_2 = np.uint64(0xC2B2AE3D27D4EB4F)  # a prime from xxHash
SHIFT_32 = np.uint64(32)
SHIFT_29 = np.uint64(29)
LOW_HALF = np.uint64(0xFFFFFFFF)
ONE_BIT, ALL_BITS = np.uint64(1), np.uint64(0xFFFFFFFFFFFFFFFF)

_BYTE = ir.IntType(8)
_HALF = ir.IntType(32)
_WORD = ir.IntType(64)
_DOUBLE_WORD = ir.IntType(128)


def has_feature(context: Any, feature: str) -> bool:
    """Tell whether kernels are compiled for processors with this feature; numba's cache asks that too."""
    return f"+{feature}" in context.codegen().magic_tuple()[2].split(",")


def _place(builder: Any, address: Any, offset: int, kind: Any) -> Any:
    return builder.inttoptr(builder.add(address, _WORD(offset)), kind.as_pointer())


def _load(builder: Any, address: Any, kind: Any) -> Any:
    return builder.load(builder.inttoptr(address, kind.as_pointer()), align=1)


@njit(cache=True, nogil=True)
def address_of(array: Any) -> Any:
    """Return the address of an array's first byte."""
    return np.int64(array.ctypes.data)


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
        return builder.zext(_load(builder, arguments[0], _HALF), _WORD)

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
def copy_bytes(typing_context: Any, target: Any, source: Any, size: Any) -> Any:
    """Copy `size` bytes from `source` to `target`, which do not overlap."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        target, source = (builder.inttoptr(address, _BYTE.as_pointer()) for address in arguments[:2])
        cgutils.raw_memcpy(builder, target, source, arguments[2], 1)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64), generate


@intrinsic
def copy_16(typing_context: Any, target: Any, source: Any) -> Any:
    """Copy the 16 bytes at `source` to `target`."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        block = _load(builder, arguments[1], ir.VectorType(_BYTE, 16))
        builder.store(block, builder.inttoptr(arguments[0], block.type.as_pointer()), align=1)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), generate


@intrinsic
def prefetch(typing_context: Any, address: Any) -> Any:
    """Begin to fetch the cache line of `address`, which may lie outside any array."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer = _BYTE.as_pointer()
        kind = ir.FunctionType(ir.VoidType(), [pointer, _HALF, _HALF, _HALF])
        fetch = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        builder.call(fetch, [builder.inttoptr(arguments[0], pointer), _HALF(0), _HALF(3), _HALF(1)])
        return context.get_dummy_value()

    return types.void(types.int64), generate


def _all_lanes(builder: Any, value: Any, lanes: Any) -> Any:
    single = builder.insert_element(ir.Constant(lanes, ir.Undefined), value, _HALF(0))
    return builder.shuffle_vector(single, single, ir.Constant(ir.VectorType(_HALF, lanes.count), [0] * lanes.count))


def _in_range(builder: Any, arguments: Any, num_lanes: int) -> Any:
    address, fold, first, count = arguments
    lanes = ir.VectorType(_BYTE, num_lanes)

    def all_lanes(value: Any) -> Any:
        return _all_lanes(builder, builder.trunc(value, _BYTE), lanes)

    block = builder.or_(_load(builder, address, lanes), all_lanes(fold))
    found = builder.icmp_unsigned("<", builder.sub(block, all_lanes(first)), all_lanes(count))
    return builder.bitcast(found, ir.IntType(num_lanes))


@intrinsic
def range_mask_64(typing_context: Any, address: Any, fold: Any, first: Any, count: Any) -> Any:
    """Return a uint64 whose bit i says that (byte at `address + i`) | fold is one of `count` values from `first` on."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _in_range(builder, arguments, 64)

    return types.uint64(types.int64, types.int64, types.int64, types.int64), generate


@njit(cache=True, nogil=True, forceinline=True)
def range_mask(at: Any, end: Any, limit: Any, fold: Any, first: Any, count: Any) -> Any:
    """Return range_mask_64 of the bytes from `at` to `end`, 64 at most; reads nothing at or beyond `limit`."""
    if at + 64 <= limit:
        mask = range_mask_64(at, fold, first, count)
    else:
        mask = np.uint64(0)
        for index in range(min(end - at, 64)):
            if ((load_byte(at + index) | fold) - first) & 0xFF < count:
                mask |= ONE_BIT << np.uint64(index)
    if end - at < 64:
        mask &= (ONE_BIT << np.uint64(end - at)) - ONE_BIT
    return mask


def _lower(builder: Any, arguments: Any, first: int, num_vectors: int) -> None:
    """Lower 16 minima per vector, which stay in registers until the last key."""
    lanes = ir.VectorType(_HALF, 16)
    vectors = range(first, first + num_vectors)
    minima, factors, addends = ([_place(builder, at, 64 * index, lanes) for index in vectors] for at in arguments[:3])
    before, *family = ([builder.load(at, align=4) for at in part] for part in (minima, factors, addends))
    start, end = arguments[3], builder.add(arguments[3], builder.shl(arguments[4], _WORD(2)))
    entry, body, done = builder.block, builder.append_basic_block("keys"), builder.append_basic_block("done")
    builder.cbranch(builder.icmp_unsigned("<", start, end), body, done)
    builder.position_at_end(body)
    at, *lowest = (builder.phi(kind) for kind in (_WORD, *[lanes] * num_vectors))
    key = _all_lanes(builder, _load(builder, at, _HALF), lanes)
    after = []
    for minimum, factor, addend in zip(lowest, *family, strict=True):
        value = builder.add(builder.mul(factor, key), addend)
        after.append(builder.select(builder.icmp_unsigned("<", value, minimum), value, minimum))
    beyond = builder.add(at, _WORD(4))
    for phi, initial, later in zip((at, *lowest), (start, *before), (beyond, *after), strict=True):
        phi.add_incoming(initial, entry)
        phi.add_incoming(later, body)
    builder.cbranch(builder.icmp_unsigned("<", beyond, end), body, done)
    builder.position_at_end(done)
    results = [builder.phi(lanes) for _ in minima]
    for result, place, initial, later in zip(results, minima, before, after, strict=True):
        result.add_incoming(initial, entry)
        result.add_incoming(later, body)
        builder.store(result, place, align=4)


@intrinsic
def lower_16(typing_context: Any, minima: Any, factors: Any, addends: Any, keys: Any, num_keys: Any) -> Any:
    """Lower 16 uint32 to the least of factor * key + addend over uint32 keys; takes addresses and a number of keys."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _lower(builder, arguments, 0, 1)
        return context.get_dummy_value()

    return types.void(*[types.int64] * 5), generate


@intrinsic
def lower_112(typing_context: Any, minima: Any, factors: Any, addends: Any, keys: Any, num_keys: Any) -> Any:
    """Do the same for 112 uint32; all at once where there are registers for it, so that each key is read once."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        at_once = 7 if has_feature(context, "avx512f") else 1
        for first in range(0, 7, at_once):
            _lower(builder, arguments, first, at_once)
        return context.get_dummy_value()

    return types.void(*[types.int64] * 5), generate


@intrinsic
def zeros_below(typing_context: Any, value: Any) -> Any:
    """Return the number of zero bits below the lowest set bit of a uint64; 64 for zero."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 0))

    return types.int64(types.uint64), generate


@intrinsic
def zeros_above(typing_context: Any, value: Any) -> Any:
    """Return the number of zero bits above the highest set bit of a uint64; 64 for zero."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.ctlz(arguments[0], ir.Constant(ir.IntType(1), 0))

    return types.int64(types.uint64), generate


@intrinsic
def ones_in(typing_context: Any, value: Any) -> Any:
    """Return the number of set bits of a uint64."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return types.int64(types.uint64), generate


@intrinsic
def store_ones(typing_context: Any, target: Any, value: Any, base: Any) -> Any:
    """Write 32 int64 to `target`: `base` + i for the set bits i of a uint64, lowest first, then anything."""
    bytes_64, words_8 = ir.VectorType(_BYTE, 64), ir.VectorType(_WORD, 8)

    def compressed(builder: Any, target: Any, value: Any, base: Any) -> None:
        mask = ir.VectorType(ir.IntType(1), 64)
        kind = ir.FunctionType(bytes_64, [bytes_64, mask, bytes_64])
        compress = cgutils.get_or_insert_function(builder.module, kind, "llvm.experimental.vector.compress.v64i8")
        every, none = ir.Constant(bytes_64, list(range(64))), ir.Constant(bytes_64, ir.Undefined)
        packed = builder.call(compress, [every, builder.bitcast(value, mask), none])
        bases = _all_lanes(builder, base, words_8)
        for first in range(0, 32, 8):
            chosen = ir.Constant(ir.VectorType(_HALF, 8), list(range(first, first + 8)))
            places = builder.add(builder.zext(builder.shuffle_vector(packed, packed, chosen), words_8), bases)
            builder.store(places, _place(builder, target, 8 * first, words_8), align=8)

    def one_by_one(builder: Any, target: Any, value: Any, base: Any) -> None:
        for index in range(32):
            place = builder.add(builder.cttz(value, ir.Constant(ir.IntType(1), 0)), base)
            builder.store(place, _place(builder, target, 8 * index, _WORD), align=8)
            value = builder.and_(value, builder.sub(value, _WORD(1)))

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        (compressed if has_feature(context, "avx512vbmi2") else one_by_one)(builder, *arguments)
        return context.get_dummy_value()

    return types.void(types.int64, types.uint64, types.int64), generate


@intrinsic
def fold_product(typing_context: Any, left: Any, right: Any) -> Any:
    """Return the upper XOR the lower half of the 128-bit product of two uint64: the mixing step of wyhash."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        wide = [builder.zext(argument, _DOUBLE_WORD) for argument in arguments]
        product = builder.mul(*wide)
        upper = builder.trunc(builder.lshr(product, ir.Constant(_DOUBLE_WORD, 64)), _WORD)
        return builder.xor(upper, builder.trunc(product, _WORD))

    return types.uint64(types.uint64, types.uint64), generate


@njit(cache=True, nogil=True, forceinline=True)
def fold_product_wide(left: Any, right: Any) -> Any:
    """Return `fold_product` by products of 32 bits, which LLVM makes vector instructions of in a loop."""
    low, high = left & LOW_HALF, left >> SHIFT_32
    right_low, right_high = right & LOW_HALF, right >> SHIFT_32
    lowest = low * right_low
    middle = high * right_low + (lowest >> SHIFT_32)  # at most 2^64 - 2^32
    second = low * right_high + (middle & LOW_HALF)
    upper = high * right_high + (middle >> SHIFT_32) + (second >> SHIFT_32)
    return upper ^ (second << SHIFT_32 | lowest & LOW_HALF)


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


@njit(cache=True, nogil=True, forceinline=True)
def first_bits(count: Any) -> Any:
    """Return a uint64 whose lowest `count` bits are set: all from 64 on, none below 1."""
    return ALL_BITS if count >= 64 else (ONE_BIT << np.uint64(max(count, 0))) - ONE_BIT


@njit(inline="always")
def readable(at: Any, size: Any, limit: Any, room: Any) -> Any:
    """Return `at` where `size` bytes can be read there, else where those before `limit` lie in the array `room`."""
    block = at
    if at + size > limit:
        block = address_of(room)
        for index in range(size):
            room[index] = load_byte(at + index) if at + index < limit else 0
    return block

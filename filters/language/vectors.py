"""Rows of language weights, and numbers one per column, as vector instructions: what LLVM does not find by itself.

The sums over a text's rows stay in registers until the last row: with loops over arrays LLVM stored and loaded them
for every eight rows, and a row cost 12 ns from the second cache and 17 from the third, here 5 and 8 (one Sapphire
Rapids core). All numbers are those of the plain loops, in their order, so that no bit depends on the machine. Like the
operations of `pipeline.core.text.bits` these work on addresses and check nothing; rows are WIDTH int16, numbers WIDTH
float32.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from llvmlite import ir

from pipeline.core.process.kernels import cgutils, intrinsic, types
from pipeline.core.text.bits import has_feature

WIDTH = 160  # int16 weights in a row: five cache lines, of which the languages fill 142 places
ROWS_AT_ONCE = 8  # whose sum fits in int16: no weight is further than LARGEST from the middle of its row
LARGEST = 4095
ROWS_FILLED = 4  # lists of rows are so long or a multiple of it
LANES = 16  # float32 or int32 of a vector
SQUARINGS = 4  # exp(x) is taken as exp(x / 16) to the 16th power

_BIT, _BYTE, _SHORT, _HALF, _WORD = (ir.IntType(size) for size in (1, 8, 16, 32, 64))
_REAL = ir.FloatType()
_LINE = ir.VectorType(_SHORT, 2 * LANES)
_WHOLES, _REALS, _BITS = (ir.VectorType(kind, LANES) for kind in (_HALF, _REAL, _BIT))
_ZEROS = ir.Constant(_REALS, [ir.Constant(_REAL, 0.0)] * LANES)
_LINES = WIDTH // (2 * LANES)
_PARTS = WIDTH // LANES


def _load(builder: Any, address: Any, kind: Any, *, offset: int = 0) -> Any:
    place = builder.inttoptr(builder.add(address, _WORD(offset)), kind.as_pointer())
    return builder.load(place, align=2 if kind is _LINE else 4)


def _store(builder: Any, value: Any, address: Any, *, offset: int) -> None:
    place = builder.inttoptr(builder.add(address, _WORD(offset)), value.type.as_pointer())
    builder.store(value, place, align=4)


def _everywhere(builder: Any, value: Any) -> Any:
    lanes = ir.VectorType(value.type, LANES)
    single = builder.insert_element(ir.Constant(lanes, ir.Undefined), value, _HALF(0))
    return builder.shuffle_vector(single, single, ir.Constant(_WHOLES, [0] * LANES))


def _part(builder: Any, vector: Any, first: int, size: int) -> Any:
    return builder.shuffle_vector(
        vector, vector, ir.Constant(ir.VectorType(_HALF, size), list(range(first, first + size)))
    )


def _floats(builder: Any, line: Any) -> list[Any]:
    """Return the halves of a vector of int16 as float32."""
    halves = (_part(builder, line, first, LANES) for first in (0, LANES))
    return [builder.sitofp(builder.sext(half, _WHOLES), _REALS) for half in halves]


def _in_pairs(builder: Any, values: Sequence[Any], add: Callable[[Any, Any], Any]) -> Any:
    while len(values) > 1:
        values = [add(one, other) for one, other in zip(values[::2], values[1::2], strict=True)]
    return values[0]


def _row_at(builder: Any, weights: Any, rows: Any, index: int) -> Any:
    return builder.add(weights, builder.mul(_load(builder, rows, _WORD, offset=8 * index), _WORD(2 * WIDTH)))


def _loop(builder: Any, first: Any, past: Any, step: int, sums: list[Any], body: Callable[..., list[Any]]) -> list[Any]:
    """Add to the sums what `body(at, sums)` makes of them, for places from `first` to `past`; return them."""
    entry = builder.block
    again, done = builder.append_basic_block("again"), builder.append_basic_block("done")
    builder.cbranch(builder.icmp_unsigned("<", first, past), again, done)
    builder.position_at_end(again)
    at, *before = (builder.phi(kind) for kind in (_WORD, *[_REALS] * len(sums)))
    after = body(at, before)
    beyond = builder.add(at, _WORD(step))
    for phi, initial, later in zip((at, *before), (first, *sums), (beyond, *after), strict=True):
        phi.add_incoming(initial, entry)
        phi.add_incoming(later, builder.block)
    builder.cbranch(builder.icmp_unsigned("<", beyond, past), again, done)
    last = builder.block
    builder.position_at_end(done)
    results = [builder.phi(_REALS) for _ in sums]
    for result, initial, later in zip(results, sums, after, strict=True):
        result.add_incoming(initial, entry)
        result.add_incoming(later, last)
    return results


def _lines_at_once(context: Any) -> int:
    """Return how many cache lines of sums there are registers for."""
    return _LINES if has_feature(context, "avx512bw") else 1


@intrinsic
def sum_rows(typing_context: Any, total: Any, weights: Any, rows: Any, num_rows: Any) -> Any:
    """Set float32 `total` to the sum of the rows of `weights` that uint64 `rows` names, a multiple of ROWS_FILLED."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        total, weights, rows, num_rows = arguments
        at_once = _lines_at_once(context)
        eights = builder.add(rows, builder.shl(builder.and_(num_rows, _WORD(-ROWS_AT_ONCE)), _WORD(3)))
        end = builder.add(rows, builder.shl(num_rows, _WORD(3)))
        for first in range(0, _LINES, at_once):

            def add(at: Any, sums: list[Any], size: int, first: int = first) -> list[Any]:
                places = [_row_at(builder, weights, at, index) for index in range(size)]
                found = []
                for line in range(first, first + at_once):
                    lines = [_load(builder, place, _LINE, offset=64 * line) for place in places]
                    found += _floats(builder, _in_pairs(builder, lines, builder.add))
                return [builder.fadd(before, new) for before, new in zip(sums, found, strict=True)]

            sums = [_ZEROS] * (2 * at_once)
            sums = _loop(builder, rows, eights, 8 * ROWS_AT_ONCE, sums, partial(add, size=ROWS_AT_ONCE))
            sums = _loop(builder, eights, end, 8 * ROWS_FILLED, sums, partial(add, size=ROWS_FILLED))
            for index, found in enumerate(sums):
                _store(builder, found, total, offset=128 * first + 64 * index)
        return context.get_dummy_value()

    return types.void(*[types.int64] * 4), generate


@intrinsic
def add_weighted(typing_context: Any, total: Any, weights: Any, rows: Any, factors: Any, num_rows: Any) -> Any:
    """Add to float32 `total` rows of `weights`, four or a multiple of it, each times its float32 factor."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        total, weights, rows, factors, num_rows = arguments
        at_once = _lines_at_once(context)
        end = builder.shl(num_rows, _WORD(3))
        for first in range(0, _LINES, at_once):

            def body(at: Any, sums: list[Any], first: int = first) -> list[Any]:
                here = builder.add(rows, at)
                places = [_row_at(builder, weights, here, index) for index in range(4)]
                beside = builder.add(factors, builder.lshr(at, _WORD(1)))
                scales = [_everywhere(builder, _load(builder, beside, _REAL, offset=4 * index)) for index in range(4)]
                found = []
                for line in range(first, first + at_once):
                    halves = [_floats(builder, _load(builder, place, _LINE, offset=64 * line)) for place in places]
                    for half in zip(*halves, strict=True):
                        scaled = [builder.fmul(scale, row) for scale, row in zip(scales, half, strict=True)]
                        found.append(_in_pairs(builder, scaled, builder.fadd))
                return [builder.fadd(before, new) for before, new in zip(sums, found, strict=True)]

            places = range(128 * first, 128 * (first + at_once), 64)
            sums = [_load(builder, total, _REALS, offset=offset) for offset in places]
            for offset, found in zip(places, _loop(builder, _WORD(0), end, 32, sums, body), strict=True):
                _store(builder, found, total, offset=offset)
        return context.get_dummy_value()

    return types.void(*[types.int64] * 5), generate


def _larger(builder: Any, one: Any, other: Any) -> Any:
    return builder.select(builder.fcmp_ordered(">", one, other), one, other)


@intrinsic
def highest_of(typing_context: Any, values: Any) -> Any:
    """Return the highest of WIDTH float32."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        found = [_load(builder, arguments[0], _REALS, offset=64 * part) for part in range(_PARTS)]
        while len(found) > 1:
            pairs = zip(found[: len(found) // 2], found[len(found) // 2 :], strict=False)
            found = [_larger(builder, *pair) for pair in pairs] + found[2 * (len(found) // 2) :]
        (lanes,), size = found, LANES
        while size > 1:
            size //= 2
            lanes = _larger(builder, _part(builder, lanes, 0, size), _part(builder, lanes, size, size))
        return builder.extract_element(lanes, _HALF(0))

    return types.float32(types.int64), generate


@intrinsic
def place_of(typing_context: Any, values: Any, value: Any) -> Any:
    """Return where of WIDTH float32 the first stands that is not below `value`; one is not."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        every = ir.IntType(WIDTH)
        wanted, found = _everywhere(builder, arguments[1]), every(0)
        for part in range(_PARTS):
            lanes = builder.fcmp_ordered(">=", _load(builder, arguments[0], _REALS, offset=64 * part), wanted)
            bits = builder.zext(builder.bitcast(lanes, ir.IntType(LANES)), every)
            found = builder.or_(found, builder.shl(bits, every(LANES * part)))
        return builder.trunc(builder.cttz(found, _BIT(1)), _WORD)

    return types.int64(types.int64, types.float32), generate


@intrinsic
def exponentials(typing_context: Any, values: Any, highest: Any, unit: Any, lowest: Any, out: Any) -> Any:
    """Store exp((value - highest) * scale) of WIDTH float32, not below exp(lowest): return their sum.

    By a polynomial of x = (value - highest) * unit and its 16th power; so `unit` and `lowest` are the 16th part of the
    scale and of the least exponent.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        values, *plain, out = arguments
        top, scale, least = (_everywhere(builder, value) for value in plain)
        factors = [_everywhere(builder, _REAL(1 / number)) for number in (1, 2, 6, 24, 120, 720, 5040)]
        sums = [ir.Constant(ir.VectorType(_REAL, 8), [_REAL(0.0)] * 8)]
        for part in range(_PARTS):
            x = builder.fmul(builder.fsub(_load(builder, values, _REALS, offset=64 * part), top), scale)
            x = _larger(builder, x, least)
            power = factors[-1]
            for factor in (*factors[-2::-1], factors[0]):
                power = builder.fadd(factor, builder.fmul(x, power))
            for _ in range(SQUARINGS):
                power = builder.fmul(power, power)
            _store(builder, power, out, offset=64 * part)
            for first in (0, 8):  # eight running sums
                sums.append(builder.fadd(sums[-1], _part(builder, power, first, 8)))
        lanes = [builder.extract_element(sums[-1], _HALF(lane)) for lane in range(8)]
        return _in_pairs(builder, lanes, builder.fadd)

    return types.float32(types.int64, types.float32, types.float32, types.float32, types.int64), generate


@intrinsic
def keep_marked(typing_context: Any, states: Any, num_states: Any, out: Any) -> Any:
    """Store those uint32 that have bit 31 set, and up to 15 more; return how many. Reads up to 15 beyond the last."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        states, num_states, out = arguments
        kind = ir.FunctionType(_WHOLES, [_WHOLES, _BITS, _WHOLES])
        compress = cgutils.get_or_insert_function(builder.module, kind, "llvm.experimental.vector.compress.v16i32")
        kept = cgutils.alloca_once_value(builder, _WORD(0))
        none, zeros = ir.Constant(_WHOLES, ir.Undefined), ir.Constant(_WHOLES, [0] * LANES)
        with cgutils.for_range_slice(builder, _WORD(0), num_states, _WORD(LANES), _WORD) as (index, _):
            block = _load(builder, builder.add(states, builder.shl(index, _WORD(2))), _WHOLES)
            left = builder.sub(num_states, index)
            marked = builder.bitcast(builder.icmp_signed("<", block, zeros), ir.IntType(LANES))
            whole = builder.icmp_unsigned(">=", left, _WORD(LANES))
            within = builder.sub(builder.shl(_WORD(1), builder.and_(left, _WORD(LANES - 1))), _WORD(1))
            within = builder.select(whole, _WORD(-1), within)
            marked = builder.and_(marked, builder.trunc(within, marked.type))
            packed = builder.call(compress, [block, builder.bitcast(marked, _BITS), none])
            so_far = builder.load(kept)
            _store(builder, packed, builder.add(out, builder.shl(so_far, _WORD(2))), offset=0)
            builder.store(builder.add(so_far, builder.zext(builder.ctpop(marked), _WORD)), kept)
        return builder.load(kept)

    return types.int64(types.int64, types.int64, types.int64), generate

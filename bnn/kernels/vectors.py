"""Vectors of bytes for compiled loops: eight channels of 64 positions at a time.

Numba has no type for such; the operations here become one instruction a channel, or a few, of a processor with AVX-512
and its permutations of bytes (VBMI; Intel from Ice Lake on, AMD from Zen 4 on). Whether the processor at hand has them
says `has_byte_permutations`. Arrays are flat, and places in them are counted in elements.
"""

import functools
from typing import Any

from llvmlite import ir
from numba.core import types

from prcim.bnn.kernels.emitter import (
    BLOCK,
    BYTE,
    BYTES,
    CHANNELS,
    LANES,
    LONG,
    LONGS,
    WORD,
    Emitter,
    intrinsic,
    operation,
)

#: Numbers that are looked up in memory at a time.
SCALARS = 16
#: Side of a square of numbers that is turned over.
_SIDE = 16


@intrinsic
def zeros(typing: Any) -> Any:
    """Zero in all bytes."""
    return operation(BLOCK, [], lambda to: to.block([ir.Constant(BYTES, [0] * LANES)] * CHANNELS))


@intrinsic
def loaded(typing: Any, array: Any, at: Any) -> Any:
    """Bytes of an array."""

    def emit(to: Emitter) -> Any:
        return to.block([to.load(0, to.after(to.arguments[1], LANES * c), BYTES) for c in range(CHANNELS)])

    return operation(BLOCK, [array, types.intp], emit)


@intrinsic
def stored(typing: Any, array: Any, at: Any, values: Any) -> Any:
    """Writes bytes."""

    def emit(to: Emitter) -> None:
        for c, value in enumerate(to.channels(to.arguments[2])):
            to.store(0, to.after(to.arguments[1], LANES * c), value)

    return operation(types.void, [array, types.intp, BLOCK], emit)


@intrinsic
def added(typing: Any, array: Any, at: Any, values: Any) -> Any:
    """Adds to bytes of an array."""

    def emit(to: Emitter) -> None:
        for c, value in enumerate(to.channels(to.arguments[2])):
            place = to.after(to.arguments[1], LANES * c)
            to.store(0, place, to.build.add(to.load(0, place, BYTES), value))

    return operation(types.void, [array, types.intp, BLOCK], emit)


@intrinsic
def differences(typing: Any, sums: Any, words: Any, at: Any, others: Any, first: Any, step: Any, together: Any) -> Any:
    """Adds the number of bits in which the words of 64 positions differ from those of each channel.

    Words lie so that number 8 j + l belongs to position 8 l + j: eight vectors of counts, one beside the other in the
    bytes of a word, are then in order.

    Args:
        sums: what to add to.
        words, at: words of the positions, and the place of the first.
        others, first, step: those of the channels, the place of the first, and the distance to the next.
        together: a tuple of as many numbers as words are counted before their counts are put side by side.
    """

    def emit(to: Emitter) -> Any:
        kind = ir.FunctionType(LONGS, [LONGS])
        count = to.build.module.declare_intrinsic("llvm.ctpop.v8i64", fnty=kind)
        there = [
            [to.load(1, to.after(to.arguments[2], LANES * v + 8 * j), LONGS) for j in range(8)]
            for v in range(len(together))
        ]
        place, found = to.arguments[4], []
        for before in to.channels(to.arguments[0]):
            same = [to.every(to.load(3, to.after(place, v), LONG)) for v in range(len(together))]
            side_by_side = ir.Constant(LONGS, [0] * 8)
            for j in range(8):
                ones = [to.build.call(count, [to.build.xor(there[v][j], same[v])]) for v in range(len(together))]
                total = functools.reduce(to.build.add, ones)
                shifted = to.build.shl(total, ir.Constant(LONGS, [8 * j] * 8))
                side_by_side = to.build.or_(side_by_side, shifted)
            found.append(to.build.add(before, to.build.bitcast(side_by_side, BYTES)))
            place = to.build.add(place, to.arguments[5])
        return to.block(found)

    return operation(BLOCK, [BLOCK, words, types.intp, others, types.intp, types.intp, together], emit)


@intrinsic
def looked_up(typing: Any, tables: Any, offset: Any, places: Any, first: Any, index: Any, parts: Any) -> Any:
    """Entries of tables of 64 bytes a part, two parts or four.

    Args:
        tables, offset: the tables, and the place that others are counted from.
        places, first: where the table of each channel begins, and the place of the first channel in that; None: the
            table at 0 is that of all.
        index: which entry.
        parts: a tuple, whose length is known to the compiler.
    """

    def emit(to: Emitter) -> Any:
        permute = to.build.module.declare_intrinsic(
            "llvm.x86.avx512.vpermi2var.qi.512", fnty=ir.FunctionType(BYTES, [BYTES] * 3)
        )
        begin = to.arguments[1]
        found: list[Any] = []
        table: list[Any] = []
        for c, channel in enumerate(to.channels(to.arguments[4])):
            if not isinstance(places, types.NoneType):
                begin = to.build.add(to.arguments[1], to.load(2, to.after(to.arguments[3], c), LONG))
            if not table or not isinstance(places, types.NoneType):
                table = [to.load(0, to.after(begin, LANES * j), BYTES) for j in range(len(parts))]
            entries = [to.build.call(permute, [table[j], channel, table[j + 1]]) for j in range(0, len(parts), 2)]
            if len(parts) == 4:
                top = to.build.icmp_signed("<", channel, ir.Constant(BYTES, [0] * LANES))
                entries = [to.build.select(top, entries[1], entries[0])]
            found.append(entries[0])
        return to.block(found)

    return operation(BLOCK, [tables, types.intp, places, types.intp, BLOCK, parts], emit)


@intrinsic
def any_from_128(typing: Any, values: Any) -> Any:
    """Whether any byte is 128 or more."""

    def emit(to: Emitter) -> Any:
        together = ir.Constant(BYTES, [0] * LANES)
        for value in to.channels(to.arguments[0]):
            together = to.build.or_(together, value)
        top = to.build.icmp_signed("<", together, ir.Constant(BYTES, [0] * LANES))
        return to.build.icmp_unsigned("!=", to.build.bitcast(top, LONG), ir.Constant(LONG, 0))

    return operation(types.boolean, [BLOCK], emit)


@intrinsic
def one_more_above(typing: Any, sums: Any, values: Any, limits: Any) -> Any:
    """Adds one where a value is above its limit."""

    def emit(to: Emitter) -> Any:
        found = []
        for before, value, limit in zip(*(to.channels(block) for block in to.arguments), strict=True):
            above = to.build.icmp_unsigned(">", value, limit)
            found.append(to.build.sub(before, to.build.sext(above, BYTES)))
        return to.block(found)

    return operation(BLOCK, [BLOCK, BLOCK, BLOCK], emit)


@intrinsic
def stored_masks(typing: Any, array: Any, codes: Any) -> Any:
    """Writes for each channel a word with a bit for each position, one where a byte is not 1."""

    def emit(to: Emitter) -> None:
        one = ir.Constant(BYTES, [1] * LANES)
        for c, code in enumerate(to.channels(to.arguments[1])):
            to.store(0, c, to.build.bitcast(to.build.icmp_unsigned("!=", code, one), LONG))

    return operation(types.void, [array, BLOCK], emit)


@intrinsic
def stored_pairs(typing: Any, array: Any, low: Any, high: Any) -> Any:
    """Writes numbers of 16 bits, given by their low and high bytes."""

    def emit(to: Emitter) -> None:
        for c, both in enumerate(zip(*(to.channels(block) for block in to.arguments[1:]), strict=True)):
            to.store(0, LANES * c, to.interleaved(*both))

    return operation(types.void, [array, BLOCK, BLOCK], emit)


@intrinsic
def looked_up_in_memory(typing: Any, array: Any, table: Any, pairs: Any, at: Any) -> Any:
    """Writes what a table of bytes says of sixteen neighbouring numbers of 16 bits."""

    def emit(to: Emitter) -> None:
        for k in range(SCALARS):
            place = to.after(to.arguments[3], k)
            index = to.build.zext(to.load(2, place, ir.IntType(16)), LONG)
            to.store(0, place, to.load(1, index, BYTE))

    return operation(types.void, [array, table, pairs, types.intp], emit)


@intrinsic
def turned_over(typing: Any, array: Any, at: Any, step: Any, sums: Any, first: Any, scale: Any) -> Any:
    """Writes numbers of 16 bits, 16 positions each of 16 channels, as floats with the channels of a position together.

    Args:
        array, at, step: where to, the place of the first position, and the distance to the next.
        sums, first: the numbers, 64 of a channel after those of the one before, and the place of the first.
        scale: what to take off, to multiply by, and to add.
    """

    def emit(to: Emitter) -> None:
        floats = ir.VectorType(ir.FloatType(), _SIDE)
        numbers = []
        for k in range(3):
            one = to.build.insert_element(ir.Constant(floats, ir.Undefined), to.load(5, k, ir.FloatType()), WORD(0))
            numbers.append(to.shuffled(one, one, [0] * _SIDE))
        rows = []
        for c in range(_SIDE):
            there = to.load(3, to.after(to.arguments[4], LANES * c), ir.VectorType(ir.IntType(16), _SIDE))
            value = to.build.fsub(to.build.uitofp(there, floats), numbers[0])
            rows.append(to.build.fadd(to.build.fmul(value, numbers[1]), numbers[2]))
        # What stands in the two halves is put one beside the other, four times: then rows are columns.
        low = [place for k in range(_SIDE // 2) for place in (k, _SIDE + k)]
        for _ in range(4):
            halves = zip(rows[: _SIDE // 2], rows[_SIDE // 2 :], strict=True)
            rows = [to.shuffled(a, b, [k + half for k in low]) for a, b in halves for half in (0, _SIDE // 2)]
        place = to.arguments[1]
        for row in rows:
            to.store(0, place, row)
            place = to.build.add(place, to.arguments[2])

    return operation(types.void, [array, types.intp, types.intp, sums, types.intp, scale], emit)


@intrinsic
def signs_taken_off(typing: Any, array: Any, at: Any, word: Any, value: Any) -> Any:
    """Subtracts a value from 64 floats where a bit of a word is set, adds it to the others."""

    def emit(to: Emitter) -> None:
        floats = ir.VectorType(ir.FloatType(), LANES)
        one = to.build.insert_element(ir.Constant(floats, ir.Undefined), to.arguments[3], WORD(0))
        plus = to.shuffled(one, one, [0] * LANES)
        zero = ir.Constant(floats, [0.0] * LANES)
        mask = to.build.bitcast(to.arguments[2], ir.VectorType(ir.IntType(1), LANES))
        value = to.build.select(mask, plus, to.build.fsub(zero, plus))
        before = to.load(0, to.arguments[1], floats)
        to.store(0, to.arguments[1], to.build.fsub(before, value))

    return operation(types.void, [array, types.intp, types.uint64, types.float32], emit)

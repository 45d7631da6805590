"""Vectors of bytes for compiled loops: eight channels of 64 positions at a time.

Numba has no type for such; the operations here become one instruction a channel, or a few, of a processor with AVX-512
and its permutations of bytes (VBMI; Intel from Ice Lake on, AMD from Zen 4 on). Whether the processor at hand has them
says `has_byte_permutations`. Arrays are flat, and places in them are counted in elements.
"""

import functools
import os
from collections.abc import Callable
from typing import Any

import llvmlite.binding
import numba
from llvmlite import ir
from numba.core import types
from numba.extending import models, register_model

#: Positions and channels of a block.
LANES, CHANNELS = 64, 8
#: Numbers that are looked up in memory at a time.
SCALARS = 16
#: Side of a square of numbers that is turned over.
_SIDE = 16
_BYTE, _WORD, _LONG = (ir.IntType(bits) for bits in (8, 32, 64))
_BYTES, _LONGS = ir.VectorType(_BYTE, LANES), ir.VectorType(_LONG, 8)
_BLOCK = ir.ArrayType(_BYTES, CHANNELS)


class Block(types.Type):
    """64 bytes for each of eight channels, in registers."""

    def __init__(self) -> None:
        super().__init__(name="Block")


BLOCK = Block()


@register_model(Block)
class _BlockModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, _BLOCK)  # type: ignore[no-untyped-call]


@functools.cache
def has_byte_permutations() -> bool:
    """Whether the processor that Numba compiles for permutes bytes of two registers in one instruction."""
    if any(os.environ.get(name) for name in ("NUMBA_CPU_NAME", "NUMBA_CPU_FEATURES")):  # compiled for another one
        return False
    features = llvmlite.binding.get_host_cpu_features()
    return all(features.get(name, False) for name in ("avx512f", "avx512bw", "avx512vbmi", "avx512vpopcntdq"))


class Emitter:
    """What an operation is written with: LLVM's builder, and arrays as its arguments have them."""

    def __init__(self, context: Any, builder: Any, signature: Any, arguments: Any) -> None:
        self.build, self.arguments = builder, arguments
        self._context, self._types = context, signature.args

    def load(self, argument: int, at: Any, kind: Any) -> Any:
        """A vector from an array."""
        found = self.build.load(self._pointer(argument, at, kind))
        found.align = 1
        return found

    def store(self, argument: int, at: Any, value: Any) -> None:
        """Writes a vector into an array."""
        self.build.store(value, self._pointer(argument, at, value.type), align=1)

    def _pointer(self, argument: int, at: Any, kind: Any) -> Any:
        array = self._context.make_array(self._types[argument])(self._context, self.build, self.arguments[argument])
        place = ir.Constant(_LONG, at) if isinstance(at, int) else at
        return self.build.bitcast(self.build.gep(array.data, [place]), kind.as_pointer())

    def after(self, at: Any, count: int) -> Any:
        """A later place."""
        return self.build.add(at, at.type(count))

    def channels(self, block: Any) -> list[Any]:
        """The vectors of a block."""
        return [self.build.extract_value(block, c) for c in range(CHANNELS)]

    def block(self, channels: list[Any]) -> Any:
        """Vectors as a block."""
        made = ir.Constant(_BLOCK, ir.Undefined)
        for c, channel in enumerate(channels):
            made = self.build.insert_value(made, channel, c)
        return made

    def every(self, value: Any) -> Any:
        """A number of 64 bits in all lanes."""
        one = self.build.insert_element(ir.Constant(_LONGS, ir.Undefined), value, _WORD(0))
        return self.shuffled(one, one, [0] * 8)

    def shuffled(self, a: Any, b: Any, order: list[int]) -> Any:
        """Lanes of two vectors in a new order."""
        return self.build.shuffle_vector(a, b, ir.Constant(ir.VectorType(_WORD, len(order)), order))

    def interleaved(self, a: Any, b: Any) -> Any:
        """First lane of both, second lane of both, ..."""
        lanes = a.type.count
        return self.shuffled(a, b, [place for j in range(lanes) for place in (j, lanes + j)])


def intrinsic(function: Callable[..., Any]) -> Any:
    """Makes an operation of compiled code of a function that says its signature and how it is written."""
    return numba.extending.intrinsic(function)


def operation(result: Any, given: list[Any], emit: Callable[[Emitter], Any]) -> Any:
    """Signature and code of an operation; without a result it only writes."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        found = emit(Emitter(context, builder, signature, arguments))
        return context.get_dummy_value() if result is types.void else found

    return result(*given), generate


@intrinsic
def zeros(typing: Any) -> Any:
    """Zero in all bytes."""
    return operation(BLOCK, [], lambda to: to.block([ir.Constant(_BYTES, [0] * LANES)] * CHANNELS))


@intrinsic
def loaded(typing: Any, array: Any, at: Any) -> Any:
    """Bytes of an array."""

    def emit(to: Emitter) -> Any:
        return to.block([to.load(0, to.after(to.arguments[1], LANES * c), _BYTES) for c in range(CHANNELS)])

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
            to.store(0, place, to.build.add(to.load(0, place, _BYTES), value))

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
        kind = ir.FunctionType(_LONGS, [_LONGS])
        count = to.build.module.declare_intrinsic("llvm.ctpop.v8i64", fnty=kind)
        there = [
            [to.load(1, to.after(to.arguments[2], LANES * v + 8 * j), _LONGS) for j in range(8)]
            for v in range(len(together))
        ]
        place, found = to.arguments[4], []
        for before in to.channels(to.arguments[0]):
            same = [to.every(to.load(3, to.after(place, v), _LONG)) for v in range(len(together))]
            side_by_side = ir.Constant(_LONGS, [0] * 8)
            for j in range(8):
                ones = [to.build.call(count, [to.build.xor(there[v][j], same[v])]) for v in range(len(together))]
                total = functools.reduce(to.build.add, ones)
                shifted = to.build.shl(total, ir.Constant(_LONGS, [8 * j] * 8))
                side_by_side = to.build.or_(side_by_side, shifted)
            found.append(to.build.add(before, to.build.bitcast(side_by_side, _BYTES)))
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
            "llvm.x86.avx512.vpermi2var.qi.512", fnty=ir.FunctionType(_BYTES, [_BYTES] * 3)
        )
        begin = to.arguments[1]
        found: list[Any] = []
        table: list[Any] = []
        for c, channel in enumerate(to.channels(to.arguments[4])):
            if not isinstance(places, types.NoneType):
                begin = to.build.add(to.arguments[1], to.load(2, to.after(to.arguments[3], c), _LONG))
            if not table or not isinstance(places, types.NoneType):
                table = [to.load(0, to.after(begin, LANES * j), _BYTES) for j in range(len(parts))]
            entries = [to.build.call(permute, [table[j], channel, table[j + 1]]) for j in range(0, len(parts), 2)]
            if len(parts) == 4:
                top = to.build.icmp_signed("<", channel, ir.Constant(_BYTES, [0] * LANES))
                entries = [to.build.select(top, entries[1], entries[0])]
            found.append(entries[0])
        return to.block(found)

    return operation(BLOCK, [tables, types.intp, places, types.intp, BLOCK, parts], emit)


@intrinsic
def any_from_128(typing: Any, values: Any) -> Any:
    """Whether any byte is 128 or more."""

    def emit(to: Emitter) -> Any:
        together = ir.Constant(_BYTES, [0] * LANES)
        for value in to.channels(to.arguments[0]):
            together = to.build.or_(together, value)
        top = to.build.icmp_signed("<", together, ir.Constant(_BYTES, [0] * LANES))
        return to.build.icmp_unsigned("!=", to.build.bitcast(top, _LONG), ir.Constant(_LONG, 0))

    return operation(types.boolean, [BLOCK], emit)


@intrinsic
def one_more_above(typing: Any, sums: Any, values: Any, limits: Any) -> Any:
    """Adds one where a value is above its limit."""

    def emit(to: Emitter) -> Any:
        found = []
        for before, value, limit in zip(*(to.channels(block) for block in to.arguments), strict=True):
            above = to.build.icmp_unsigned(">", value, limit)
            found.append(to.build.sub(before, to.build.sext(above, _BYTES)))
        return to.block(found)

    return operation(BLOCK, [BLOCK, BLOCK, BLOCK], emit)


@intrinsic
def stored_masks(typing: Any, array: Any, codes: Any) -> Any:
    """Writes for each channel a word with a bit for each position, one where a byte is not 1."""

    def emit(to: Emitter) -> None:
        one = ir.Constant(_BYTES, [1] * LANES)
        for c, code in enumerate(to.channels(to.arguments[1])):
            to.store(0, c, to.build.bitcast(to.build.icmp_unsigned("!=", code, one), _LONG))

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
            index = to.build.zext(to.load(2, place, ir.IntType(16)), _LONG)
            to.store(0, place, to.load(1, index, _BYTE))

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
            one = to.build.insert_element(ir.Constant(floats, ir.Undefined), to.load(5, k, ir.FloatType()), _WORD(0))
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
        one = to.build.insert_element(ir.Constant(floats, ir.Undefined), to.arguments[3], _WORD(0))
        plus = to.shuffled(one, one, [0] * LANES)
        zero = ir.Constant(floats, [0.0] * LANES)
        mask = to.build.bitcast(to.arguments[2], ir.VectorType(ir.IntType(1), LANES))
        value = to.build.select(mask, plus, to.build.fsub(zero, plus))
        before = to.load(0, to.arguments[1], floats)
        to.store(0, to.arguments[1], to.build.fsub(before, value))

    return operation(types.void, [array, types.intp, types.uint64, types.float32], emit)


@intrinsic
def drawn(typing: Any, draws: Any, counters: Any, c0: Any, c3: Any, keys: Any) -> Any:
    """Writes the sixteen draws of Philox at 64 positions, 64 of a channel after those of the one before.

    Args:
        draws: room for them.
        counters: of each position, what the first round makes of words 1 and 2 of its counter: the high half of
            0xCD9E8D57 times word 2, xor word 1; and then the low halves of all.
        c0, c3: words 0 and 3.
        keys: of the rounds, two each.
    """

    def emit(to: Emitter) -> None:
        _, _, first, read, _ = to.arguments
        key = [to.load(4, k, _LONG) for k in range(2 * 7)]
        quarters = []
        for start in (0, 32):
            # Four vectors side by side: a round waits for the one before it, other vectors do not.
            p0 = _product(to, first, 0xD2511F53)
            states = [
                (
                    to.build.xor(to.load(1, start + 8 * v, _LONGS), to.every(key[0])),
                    to.load(1, LANES + start + 8 * v, _LONGS),
                    _mixed(to, p0, read, key[1]),
                    p0,
                )
                for v in range(4)
            ]
            for turn in range(1, 7):
                products = [(_product(to, a, 0xD2511F53), _product(to, c, 0xCD9E8D57)) for a, _, c, _ in states]
                k0, k1 = key[2 * turn : 2 * turn + 2]
                states = [
                    (_mixed(to, p1, b, k0), p1, _mixed(to, p0, d, k1), p0)
                    for (_, b, _, d), (p0, p1) in zip(states, products, strict=True)
                ]
            quarters.append([_four_bytes(to, [state[w] for state in states]) for w in range(4)])
        for w, (low, high) in enumerate(zip(*quarters, strict=True)):
            for byte in range(4):
                order = [byte % 2 * 32 + other * 64 + k for other in (0, 1) for k in range(32)]
                place = LANES * (4 * w + byte)
                to.store(0, place, to.shuffled(low[byte // 2], high[byte // 2], order))

    return operation(types.void, [draws, counters, types.uint64, types.uint64, keys], emit)


def _wide(value: Any) -> bool:
    return isinstance(value.type, ir.VectorType)


def _same(value: Any, number: int) -> Any:
    return ir.Constant(value.type, [number] * 8 if _wide(value) else number)


def _product(to: Emitter, value: Any, factor: int) -> Any:
    """The low 32 bits times a factor; what is the same at all positions stays one number."""
    return to.build.mul(to.build.and_(value, _same(value, 0xFFFFFFFF)), _same(value, factor))


def _mixed(to: Emitter, product: Any, other: Any, key: Any) -> Any:
    """High half of a product, xor the two others."""
    values = [to.build.lshr(product, _same(product, 32)), other, key]
    if any(map(_wide, values)):
        values = [value if _wide(value) else to.every(value) for value in values]
    return to.build.xor(to.build.xor(*values[:2]), values[2])


def _four_bytes(to: Emitter, words: list[Any]) -> list[Any]:
    """From 32 words: bytes 0 and then bytes 1 of all, bytes 2 and then bytes 3."""
    bytes_ = [to.build.bitcast(word, _BYTES) for word in words]
    each = [8 * lane + byte for byte in range(4) for lane in range(16)]
    halves = [to.shuffled(bytes_[v], bytes_[v + 1], each) for v in (0, 2)]
    order = [16 * byte + 64 * other + k for byte in (0, 1) for other in (0, 1) for k in range(16)]
    return [to.shuffled(halves[0], halves[1], [place + shift for place in order]) for shift in (0, 32)]

"""Sums of 64 numbers side by side, each a sum of values with the signs that bits say, for compiled loops.

A one stands for +1. What is kept is the sum of the values whose bit is one: the signed sum is twice that, less the sum
of all values. So a word of bits takes an addition where a product would read 64 numbers.
"""

from typing import Any

from llvmlite import ir
from numba.core import types
from numba.extending import models, register_model

from prcim.bnn.kernels.emitter import Emitter, has_byte_permutations, intrinsic, operation

#: Sums side by side.
WIDTH = 64
_PARTS, _LANES = 4, 16
_WORD, _LONG = ir.IntType(32), ir.IntType(64)
_PART, _WORDS = ir.VectorType(ir.FloatType(), _LANES), ir.VectorType(_WORD, _LANES)
_SUMS = ir.ArrayType(_PART, _PARTS)


class Sums(types.Type):
    """64 numbers in single precision, in registers."""

    def __init__(self) -> None:
        super().__init__(name="Sums")


SUMS = Sums()


@register_model(Sums)
class _SumsModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, _SUMS)  # type: ignore[no-untyped-call]


@intrinsic
def no_sums(typing: Any) -> Any:
    """Zeros."""

    def emit(to: Emitter) -> Any:
        return ir.Constant(_SUMS, [ir.Constant(_PART, [0.0] * _LANES)] * _PARTS)

    return operation(SUMS, [], emit)


@intrinsic
def with_value(typing: Any, sums: Any, word: Any, value: Any) -> Any:
    """Adds a value where the bit of a word is one."""

    def emit(to: Emitter) -> Any:
        sums, word, value = to.arguments
        every = _every(to, value, _PART)
        for part in range(_PARTS):
            before = to.build.extract_value(sums, part)
            after = to.build.select(_mask(to, word, part), to.build.fadd(before, every), before)
            sums = to.build.insert_value(sums, after, part)
        return sums

    return operation(SUMS, [SUMS, types.uint64, types.float32], emit)


@intrinsic
def add_signed(typing: Any, array: Any, at: Any, sums: Any, total: Any) -> Any:
    """Adds the signed sums, of values whose sum is `total`, to what stands in a flat array from a place on."""

    def emit(to: Emitter) -> None:
        _, place, sums, total = to.arguments
        every = _every(to, total, _PART)
        for part in range(_PARTS):
            there, some = to.after(place, part * _LANES), to.build.extract_value(sums, part)
            signed = to.build.fsub(to.build.fadd(some, some), every)
            to.store(0, there, to.build.fadd(to.load(0, there, _PART), signed))

    return operation(types.void, [array, types.intp, SUMS, types.float32], emit)


def _every(to: Emitter, value: Any, kind: Any) -> Any:
    """A number in all lanes."""
    one = to.build.insert_element(ir.Constant(kind, ir.Undefined), value, _WORD(0))
    return to.shuffled(one, one, [0] * _LANES)


def _mask(to: Emitter, word: Any, part: int) -> Any:
    """Some bits of a word as a mask of lanes."""
    if has_byte_permutations():  # which come with masks in registers of their own
        bits = to.build.bitcast(word, ir.VectorType(ir.IntType(1), WIDTH))
        return to.shuffled(bits, bits, list(range(_LANES * part, _LANES * (part + 1))))
    first = _LANES * part
    half = to.build.trunc(to.build.lshr(word, _LONG(first // 32 * 32)), _WORD)
    bits = ir.Constant(_WORDS, [1 << (first % 32 + lane) for lane in range(_LANES)])
    there = to.build.and_(_every(to, half, _WORDS), bits)
    return to.build.icmp_unsigned("!=", there, ir.Constant(_WORDS, [0] * _LANES))

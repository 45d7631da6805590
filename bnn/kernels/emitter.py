"""How operations on vectors are written for compiled loops: LLVM's own instructions, which Numba has no words for."""

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
BYTE, WORD, LONG = (ir.IntType(bits) for bits in (8, 32, 64))
BYTES, LONGS = ir.VectorType(BYTE, LANES), ir.VectorType(LONG, 8)
_BLOCK = ir.ArrayType(BYTES, CHANNELS)


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
        place = ir.Constant(LONG, at) if isinstance(at, int) else at
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
        one = self.build.insert_element(ir.Constant(LONGS, ir.Undefined), value, WORD(0))
        return self.shuffled(one, one, [0] * 8)

    def shuffled(self, a: Any, b: Any, order: list[int]) -> Any:
        """Lanes of two vectors in a new order."""
        return self.build.shuffle_vector(a, b, ir.Constant(ir.VectorType(WORD, len(order)), order))

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

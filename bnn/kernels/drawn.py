"""The generator at 64 positions side by side; see `emitter` and `prcim.bnn.philox`."""

from typing import Any

from llvmlite import ir
from numba.core import types

from prcim.bnn.kernels.emitter import BYTES, LANES, LONG, LONGS, Emitter, intrinsic, operation


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
        key = [to.load(4, k, LONG) for k in range(2 * 7)]
        quarters = []
        for start in (0, 32):
            # Four vectors side by side: a round waits for the one before it, other vectors do not.
            p0 = _product(to, first, 0xD2511F53)
            states = [
                (
                    to.build.xor(to.load(1, start + 8 * v, LONGS), to.every(key[0])),
                    to.load(1, LANES + start + 8 * v, LONGS),
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
    bytes_ = [to.build.bitcast(word, BYTES) for word in words]
    each = [8 * lane + byte for byte in range(4) for lane in range(16)]
    halves = [to.shuffled(bytes_[v], bytes_[v + 1], each) for v in (0, 2)]
    order = [16 * byte + 64 * other + k for byte in (0, 1) for other in (0, 1) for k in range(16)]
    return [to.shuffled(halves[0], halves[1], [place + shift for place in order]) for shift in (0, 32)]

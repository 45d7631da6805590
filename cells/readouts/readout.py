"""Read-outs: what stands at the end of a bit line and turns its voltage into a number."""

from dataclasses import dataclass
from typing import Literal, final

import numpy as np
from numpy.typing import NDArray

from prcim.cells.mismatch import Mismatch
from prcim.errors import InputError


@final
@dataclass(frozen=True, kw_only=True)
class SenseAmplifier:
    """The comparator's input pair, whose mismatch is its offset.

    Attributes:
        w_m, l_m: gate width and length of each input transistor, m.

    Example:
        >>> round(SenseAmplifier(w_m=1e-6).offset_sigma_v(Mismatch()) * 1e3, 1)
        13.7
    """

    w_m: float = 1e-6
    l_m: float = 65e-9

    def offset_sigma_v(self, mismatch: Mismatch) -> float:
        """Spread of the offset, V: that of the pair's threshold difference. The latch behind it is left out."""
        return mismatch.pair_sigma_vt_v(self.w_m, self.l_m)


@final
@dataclass(frozen=True, kw_only=True)
class Majority:
    """One bit a column, and a majority over the columns of an output.

    The threshold of each column is the output of a reference DAC whose steps lie midway between neighbouring sums. A
    vote that ends in a tie is +1.

    Attributes:
        amplifier: the comparator.
        dac_bits: bits of the reference DAC; its step is 2 in S, its range is centred.
    """

    amplifier: SenseAmplifier = SenseAmplifier()
    dac_bits: int = 5

    def __post_init__(self) -> None:
        if not 0 <= self.dac_bits <= 10:
            raise InputError(f"dac_bits is {self.dac_bits}; a reference DAC has 0 to 10 bits")

    def threshold_range(self, n_used: int) -> tuple[int, int]:
        """Lowest and highest threshold in S; both midway between sums, of which S has the parity of `n_used`."""
        middle = -1 if n_used % 2 == 0 else 0
        half = 2**self.dac_bits // 2
        return middle - 2 * max(half - 1, 0), middle + 2 * half

    @property
    def decisions(self) -> int:
        """Decisions of a comparator in one read."""
        return 1

    @property
    def name(self) -> str:
        """Name in results."""
        return "majority"


@final
@dataclass(frozen=True, kw_only=True)
class Adc:
    """An n-bit code a column; the codes of an output are added digitally.

    Attributes:
        amplifier: the comparator, or each of them.
        bits: bits of the code.
        step: distance of neighbouring thresholds in S, even; 2 resolves every sum.
        kind: "sar" compares `bits` times with one comparator, whose offset shifts all thresholds of a column alike;
            "flash" has one for every threshold, each with an offset of its own, and counts those that are passed.

    Example:
        >>> Adc(bits=7, step=2).levels(64)[:3]
        (-128, -126, -124)
        >>> Adc(bits=4, kind="flash").comparators
        15
    """

    amplifier: SenseAmplifier = SenseAmplifier()
    bits: int = 5
    step: int = 4
    kind: Literal["sar", "flash"] = "sar"

    def __post_init__(self) -> None:
        if not 1 <= self.bits <= 12:
            raise InputError(f"bits is {self.bits}; an ADC has 1 to 12")
        if self.step < 2 or self.step % 2:
            raise InputError(f"step is {self.step}; it must be even and at least 2, since sums differ by 2")
        if self.kind not in ("sar", "flash"):
            raise InputError(f"kind is {self.kind!r}; an ADC is 'sar' or 'flash'")
        if self.kind == "flash" and self.bits > 8:
            raise InputError(f"bits is {self.bits}; a flash ADC has at most 8, that is 255 comparators")

    def first_threshold(self, n_used: int) -> int:
        """The threshold just below code number 0, in S; it lies midway between two sums, as do all the others."""
        return -1 if n_used % 2 == 0 else 0

    def levels(self, n_used: int) -> tuple[int, ...]:
        """Value of every code in S: the middle between its two thresholds."""
        half = 2**self.bits // 2
        first = self.first_threshold(n_used) + self.step // 2
        return tuple(first + self.step * k for k in range(-half, half))

    def thresholds(self, n_used: int) -> tuple[int, ...]:
        """The 2^bits - 1 thresholds in S, rising."""
        return tuple(level - self.step // 2 for level in self.levels(n_used)[1:])

    @property
    def comparators(self) -> int:
        """Number of comparators."""
        return 2**self.bits - 1 if self.kind == "flash" else 1

    @property
    def decisions(self) -> int:
        """Decisions of comparators in one read.

        Example:
            >>> Adc(bits=5).decisions, Adc(bits=5, kind="flash").decisions
            (5, 31)
        """
        return self.bits if self.kind == "sar" else self.comparators

    def draw_offsets_v(self, mismatch: Mismatch, columns: int, key: tuple[int, ...]) -> NDArray[np.float64]:
        """Offset that each threshold of each column sees, V, shape (columns, 2^bits - 1).

        Args:
            mismatch: the spreads.
            columns: number of columns.
            key: integers that name this draw.
        """
        normal = np.random.default_rng(key).standard_normal((columns, self.comparators))
        offsets_v = self.amplifier.offset_sigma_v(mismatch) * normal
        return np.array(np.broadcast_to(offsets_v, (columns, 2**self.bits - 1)))

    def codes(self, v_bl_v: NDArray[np.float64], thresholds_v: NDArray[np.float64]) -> NDArray[np.int_]:
        """Number of the code for a bit-line voltage, which falls as S rises.

        Args:
            v_bl_v: voltage, any shape.
            thresholds_v: voltage of every threshold in the order of `thresholds`, offset and noise included, V, shape
                (..., 2^bits - 1). Offsets can bring neighbours out of order: a flash then still counts, a SAR, whose
                comparator is one and the same, never sees that.
        """
        passed = np.asarray(v_bl_v)[..., None] < thresholds_v
        if self.kind == "flash":
            return np.asarray(passed.sum(axis=-1))
        code = np.zeros(passed.shape[:-1], dtype=np.int_)
        for bit in reversed(range(self.bits)):
            # The threshold below code number c is entry c - 1.
            trial = code + (1 << bit)
            reached = np.take_along_axis(passed, trial[..., None] - 1, axis=-1)[..., 0]
            code = np.where(reached, trial, code)
        return code

    @property
    def name(self) -> str:
        """Name in results."""
        return "adc"


Readout = Majority | Adc

"""Read-outs: what stands at the end of a bit line and turns its voltage into a number."""

from dataclasses import dataclass
from typing import final

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
    def name(self) -> str:
        """Name in results."""
        return "majority"


@final
@dataclass(frozen=True, kw_only=True)
class Adc:
    """An n-bit code a column; the codes of an output are added digitally.

    Attributes:
        amplifier: the comparator; one offset shifts all thresholds of a column.
        bits: bits of the code.
        step: distance of neighbouring thresholds in S, even; 2 resolves every sum.

    Example:
        >>> Adc(bits=7, step=2).levels(64)[:3]
        (-128, -126, -124)
    """

    amplifier: SenseAmplifier = SenseAmplifier()
    bits: int = 5
    step: int = 4

    def __post_init__(self) -> None:
        if not 1 <= self.bits <= 12:
            raise InputError(f"bits is {self.bits}; an ADC has 1 to 12")
        if self.step < 2 or self.step % 2:
            raise InputError(f"step is {self.step}; it must be even and at least 2, since sums differ by 2")

    def first_threshold(self, n_used: int) -> int:
        """The threshold just below code number 0, in S; it lies midway between two sums, as do all the others."""
        return -1 if n_used % 2 == 0 else 0

    def levels(self, n_used: int) -> tuple[int, ...]:
        """Value of every code in S: the middle between its two thresholds."""
        half = 2**self.bits // 2
        first = self.first_threshold(n_used) + self.step // 2
        return tuple(first + self.step * k for k in range(-half, half))

    @property
    def name(self) -> str:
        """Name in results."""
        return "adc"


Readout = Majority | Adc

"""How large a plan may be: what takes about 2 GiB of memory is the most.

A run that is killed at its end, after days, would be worse than one that never starts.
"""

from prcim.characterize.lut.error_lut import QUANTILES
from prcim.characterize.sections import SamplingPlan

#: Reads of columns that each of a plan's conditions may have, and reads of one column.
SHOTS_MAX, COLUMN_SHOTS_MAX = 20_000_000, 2**17
#: Conditions of a plan, and numbers that their tables may hold.
CONDITIONS_MAX, NUMBERS_MAX = 1000, 20_000_000


def check_size(sampling: SamplingPlan, *, conditions: int) -> None:
    """Refuses what would not fit.

    Args:
        sampling: what is simulated at each of the conditions.
        conditions: how many corners, supplies and temperatures there are.

    Raises:
        ValueError: it is too much; the message says of what, and what to do.
    """
    each = sampling.patterns * sampling.sums
    if each > COLUMN_SHOTS_MAX:
        raise ValueError(
            f"sampling asks for {sampling.patterns:,} patterns at {sampling.sums} sums; a column has at most"
            f" {COLUMN_SHOTS_MAX:,} reads. More columns say more than more patterns"
        )
    if sampling.columns * each > SHOTS_MAX:
        raise ValueError(
            f"sampling asks for {sampling.columns * each:,} reads of columns; a table is made from at most"
            f" {SHOTS_MAX:,}, for which 2 GiB of memory do. Fewer patterns lose least"
        )
    if conditions > CONDITIONS_MAX:
        raise ValueError(f"pvt asks for {conditions:,} conditions; a plan has at most {CONDITIONS_MAX:,}")
    # Curves of columns and dies, and two sets of quantiles.
    numbers = conditions * sampling.sums * (sampling.columns + sampling.chips + 2 * QUANTILES)
    if numbers > NUMBERS_MAX:
        raise ValueError(
            f"the tables of {conditions} conditions would hold {numbers:,} numbers; at most {NUMBERS_MAX:,} go into a"
            " file. Take fewer columns, or name some of the conditions in a plan of their own"
        )

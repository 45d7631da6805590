"""How far a bit line may fall before a read counts as one that disturbs its cells."""

import numpy as np

from prcim.cells.benches.disturb import disturb_deck, disturbed_bit, first_order, one_by_one, trip_voltages
from prcim.cells.cell import Cell
from prcim.cells.mismatch import Mismatch
from prcim.cells.technology import Technology
from prcim.errors import RunError
from prcim.spice.ngspice import Ngspice, run_twice

#: Standard deviations above the nominal trip voltage: 3 cells of 100,000 are lost there if the tail is normal.
SIGMAS = 4.0


def disturb_limit_v(
    technology: Technology,
    cell: Cell,
    mismatch: Mismatch,
    ngspice: Ngspice,
    *,
    v_wl_v: float,
    sigmas: float = SIGMAS,
    timeout_s: float = 60.0,
) -> float | None:
    """Bit-line voltage below which a read is refused, V: nominal trip voltage plus `sigmas` standard deviations.

    One deck, nothing random: the standard deviation is propagated from the shift of each transistor by its own. That
    is within 8 % of what draws give.

    Args:
        technology, cell, mismatch: the cell.
        ngspice: the simulator.
        v_wl_v: voltage of the word line, V.
        sigmas: standard deviations of margin.
        timeout_s: after this time the simulator counts as hanging, s.

    Returns:
        The limit; below ground where no read can disturb the cell. None where a read does not touch the latch.

    Raises:
        InputError: the word line is above the supply.
        RunError: the cell without mismatch holds no bit under these conditions, or cannot be simulated.
    """
    if disturbed_bit(cell) is None:
        return None
    shifts = one_by_one(cell, mismatch)
    outcome = run_twice(ngspice, disturb_deck(technology, cell, shifts, v_wl_v=v_wl_v), timeout_s)
    trip_v = trip_voltages(cell, outcome, cells=len(shifts[0]))
    if trip_v is None:
        raise RunError(f"read disturb of {cell.name} cannot be simulated: {outcome.status_or('the sweep stopped')}")
    if not np.isfinite(trip_v).all():
        raise RunError(
            f"{cell.name} does not hold its bit with a word line of {v_wl_v} V and its bit line at the supply"
        )
    nominal_v, sigma_v = first_order(trip_v)
    return nominal_v + sigmas * sigma_v

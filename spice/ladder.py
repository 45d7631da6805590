"""What to try when a circuit does not converge."""

from dataclasses import replace

from prcim.spice.deck import Deck
from prcim.spice.ngspice import Ngspice, run_twice
from prcim.spice.outcome import Outcome

#: Options that help a solver without making its answer any less precise: more iterations, finer continuation in gmin
#: and in the supplies, a stiffer integration. Each rung stands on those below it.
LADDER = ("itl1=1000 itl2=500 itl4=200", "gminsteps=50 srcsteps=50", "method=gear maxord=2 itl4=1000")


def climb(ngspice: Ngspice, deck: Deck, timeout_s: float) -> tuple[Outcome, Deck]:
    """Runs a deck with the options of each rung in turn, until one gives a result.

    Returns:
        The last outcome and the deck that gave it.

    Raises:
        RunError: the simulator was killed or hangs, twice in a row.
    """
    for rung in range(1, len(LADDER) + 1):
        # Of an option that is given twice the last one counts.
        options = "".join(f".options {line}\n" for line in LADDER[:rung])
        tried = replace(deck, netlist=f"{deck.netlist.rstrip()}\n{options}")
        outcome = run_twice(ngspice, tried, timeout_s)
        if outcome.ok and outcome.values:
            break
    return outcome, tried

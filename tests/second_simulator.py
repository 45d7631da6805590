"""neospice as a second simulator for the same decks, translated where it reads a line in another way.

Its reader of netlists, its matrix code and its time steps are its own. Its BSIM4 is version 4.7, where ngspice takes
the 4.5 that the cards ask for; both stem from the equations of Berkeley, so what is compared is not the physics of the
model but everything around it.
"""

import re
import tempfile
import time
from collections.abc import Mapping
from contextlib import chdir
from typing import Any

import neospice
import numpy as np
from numpy.typing import NDArray

from prcim.spice.deck import Deck
from prcim.spice.outcome import Outcome

#: The nodes of a transient are held at the operating point so long, s; nothing moves that early.
RELEASE_S = 1e-12

Vectors = Mapping[str, NDArray[np.float64]]


def run_in_neospice(deck: Deck) -> Outcome:
    """Runs a deck as `Ngspice.run` does; the vectors have the same names.

    Raises:
        RuntimeError: neospice cannot read the deck or finds no solution.
    """
    started = time.monotonic()
    # It leaves a file "bsim4.out" in the current folder.
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        plots = tuple(_analysis(deck, analysis) for analysis in deck.analyses)
    return Outcome(status="ok", plots=plots, seconds=time.monotonic() - started, log="")


def _analysis(deck: Deck, analysis: str) -> Vectors:
    """One analysis, before which sources may be altered."""
    *changes, command = analysis.split("\n")
    netlist = deck.netlist
    for change in changes:
        source, value = re.fullmatch(r"alter (\S+) dc = (\S+)", change).groups()  # type: ignore[union-attr]
        netlist, found = re.subn(rf"^({source} \S+ \S+) .*$", rf"\g<1> {value}", netlist, flags=re.I | re.M)
        assert found == 1, source
    name, *arguments = command.split()
    values = {"op": _point, "dc": _sweep, "tran": _transient}[name](netlist, arguments)
    return {vector: values[vector] for vector in (*deck.save, "time") if vector in values}


def translated(netlist: str, *, hold: str, start_v: Vectors | None = None) -> str:
    """The netlist as neospice wants it.

    It calls BSIM4 level 14. It takes a `.nodeset` for a first guess, which its transistors ignore, so that every latch
    ends in its metastable point; so a current source of 1 S, a thousand times what a cell conducts, holds each of these
    nodes for as long as the source `vhold` is 1.

    Args:
        netlist: as ngspice takes it.
        hold: value of the source `vhold`.
        start_v: where nodes are held instead of at their `.nodeset`, V.
    """
    starts = re.findall(r"^\.nodeset (v\(\S+\))=(\S+)$", netlist, re.MULTILINE)
    netlist = re.sub(r"^\.nodeset .*\n", "", netlist, flags=re.MULTILINE)
    netlist = re.sub(r"\blevel *= *54\b", "level = 14", netlist)
    # Only one version is there; asked for another, it takes its own and says so once a model.
    netlist = re.sub(r"\bversion *= *[\d.]+", "", netlist)
    holds = [f"vhold hold 0 {hold}"]
    for k, (vector, volts) in enumerate(starts):
        at_v = float(volts) if start_v is None else float(start_v[vector][0])
        holds.append(f"bhold{k} {vector[2:-1]} 0 i=v(hold)*({vector}-({at_v:.9g}))")
    return "\n".join([netlist.rstrip("\n"), *holds, ""])


def _point(netlist: str, _arguments: list[str]) -> Vectors:
    held_then_free = _run_sweep(translated(netlist, hold="1"), [_release()])
    return {name: vector[1:] for name, vector in held_then_free.items()}


def _sweep(netlist: str, arguments: list[str]) -> Vectors:
    source, *numbers = arguments
    # The inner parameter comes first: at each point of the sweep the nodes are held, then released.
    both = _run_sweep(translated(netlist, hold="1"), [_release(), _parameter(source, *map(float, numbers))])
    return {name: vector[1::2] for name, vector in both.items()}


def _transient(netlist: str, arguments: list[str]) -> Vectors:
    text = translated(netlist, hold=f"pwl(0 1 {RELEASE_S} 0)", start_v=_point(netlist, []))
    result = neospice.Simulator().run(_parsed(f"{text}.tran {' '.join(arguments)}\n")).transient
    return {"time": result.time, **_vectors(result)}


def _run_sweep(text: str, parameters: list[Any]) -> Vectors:
    return _vectors(neospice.Simulator().run_dc_sweep(_parsed(text), parameters))


def _parsed(text: str) -> Any:
    return neospice.Simulator().parse(f"{text}.end\n")


def _release() -> Any:
    return _parameter("vhold", 1.0, 0.0, -1.0)


def _parameter(source: str, start: float, stop: float, step: float) -> Any:
    parameter = neospice.DCSweepParam()
    parameter.source_name, parameter.start, parameter.stop, parameter.step = source, start, stop, step
    return parameter


def _vectors(result: Any) -> Vectors:
    """Every voltage and current of a result by ngspice's name."""
    values = {}
    for name in result.signal_names():
        inner = name[2:-1]
        values[name] = np.asarray(result.voltage(inner) if name.startswith("v(") else result.current(inner))
    return values

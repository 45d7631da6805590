"""Decks through the real ngspice: closed forms, several analyses, failures in the simulator's own words."""

import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from prcim.spice.deck import RESULT, Deck
from prcim.spice.ngspice import Ngspice, find_ngspice

DIVIDER = "* divider\nv1 a 0 dc 1 ac 1\nr1 a b 1k\nr2 b 0 3k\n"
LOW_PASS = "* low pass\nv1 a 0 dc 1 ac 1\nr1 a b 1k\nc1 b 0 1n\n"
#: An ideal switch of current that no solution satisfies: at 0.5 V it pulls up, above it pulls down.
NO_SOLUTION = (
    "* relaxation\nv1 a 0 pwl(0 0 1u 0 1.001u 1)\nr1 a b 1k\nb2 b 0 i= v(a) > 0.5 ? (v(b) > 0.3 ? 1 : -1) : 0\n"
)


@pytest.fixture(scope="module")
def ngspice() -> Ngspice:
    return find_ngspice()


def test_divider(ngspice: Ngspice) -> None:
    outcome = ngspice.run(Deck(netlist=DIVIDER, save=("v(b)", "i(v1)"), analyses=("dc v1 -2 2 0.25",)))
    source_v = np.arange(-2, 2.01, 0.25)
    assert outcome.ok
    assert not outcome.interrupted
    assert outcome.seconds > 0
    np.testing.assert_allclose(outcome.values["v(b)"], source_v * 3 / 4, atol=1e-9)
    np.testing.assert_allclose(outcome.values["i(v1)"], -source_v / 4e3, atol=1e-12)


def test_rc_discharge(ngspice: Ngspice) -> None:
    netlist = "* discharge\n.options reltol=1e-6\nr1 a 0 2k\nc1 a 0 3n ic=1.5\n"
    outcome = ngspice.run(Deck(netlist=netlist, save=("v(a)",), analyses=("tran 50n 30u uic",)))
    time_s = outcome.values["time"]
    assert time_s[-1] == pytest.approx(30e-6)
    np.testing.assert_allclose(outcome.values["v(a)"], 1.5 * np.exp(-time_s / 6e-6), atol=1e-3)


def test_each_analysis_gives_a_plot_in_order(ngspice: Ngspice) -> None:
    analyses = ("dc v1 0 2 1", "ac lin 5 50k 250k", "op", "tran 1n 100n", "dc v1 0 1 0.5")
    plots = ngspice.run(Deck(netlist=LOW_PASS, save=("v(b)",), analyses=analyses)).plots
    assert len(plots) == len(analyses)
    sweep, ac, point, wave, second = plots
    np.testing.assert_allclose(sweep["v(b)"], [0, 1, 2], atol=1e-6)
    np.testing.assert_allclose(ac["frequency"], np.linspace(50e3, 250e3, 5))
    # The real part of a first-order low pass.
    np.testing.assert_allclose(ac["v(b)"], 1 / (1 + (2 * np.pi * ac["frequency"] * 1e-6) ** 2), rtol=1e-5)
    np.testing.assert_allclose(point["v(b)"], [1], atol=1e-6)
    assert wave["time"][-1] == pytest.approx(100e-9)
    np.testing.assert_allclose(second["v(b)"], [0, 0.5, 1], atol=1e-6)


@pytest.mark.parametrize(
    ("netlist", "saved", "analysis", "words"),
    [
        ("* model\nv1 a 0 1\nm1 a a 0 0 nosuchcard w=1u l=1u\n", "v(a)", "op", "nosuchcard"),
        ("* loop\nv1 a 0 1\nv2 a 0 2\n", "v(a)", "op", "singular"),
        ("* none\nv1 a 0 1\nr1 a b 1k\nb2 b 0 i= v(b) > 0.5 ? 1 : -1\n", "v(b)", "op", "(?i)timestep too small"),
        (DIVIDER, "v(nowhere)", "op", "no data saved"),
        (DIVIDER, "v(b)", "dc vnope 0 1 1", "vnope"),
        (DIVIDER, "v(b)", "nonsense 1 2", "."),
    ],
    ids=["model", "loop", "convergence", "vector", "source", "command"],
)
def test_failed_run_says_why_and_has_no_values(
    ngspice: Ngspice, netlist: str, saved: str, analysis: str, words: str
) -> None:
    outcome = ngspice.run(Deck(netlist=netlist, save=(saved,), analyses=(analysis,)))
    assert not outcome.ok
    assert not outcome.interrupted
    assert not outcome.values
    with pytest.raises(AssertionError, match=words):
        raise AssertionError(outcome.status)
    kind, _, reason = outcome.status.partition(": ")
    assert kind == "failed"
    # The simulator's own words, not ours.
    assert reason in outcome.log or reason == "ngspice wrote no result and no reason"
    assert outcome.status_or("other") == outcome.status


def test_failed_analysis_is_not_replaced_by_an_older_plot(ngspice: Ngspice) -> None:
    analyses = ("op", "dc vnope 0 1 1", "dc v1 0 4 4")
    outcome = ngspice.run(Deck(netlist=DIVIDER, save=("v(b)",), analyses=analyses))
    assert "vnope" in outcome.status
    assert [len(plot["v(b)"]) for plot in outcome.plots] == [1, 2]
    np.testing.assert_allclose(outcome.plots[-1]["v(b)"], [0, 3])


def test_analysis_that_stops_half_way_keeps_its_points(ngspice: Ngspice) -> None:
    outcome = ngspice.run(Deck(netlist=NO_SOLUTION, save=("v(b)",), analyses=("tran 10n 2u",)))
    time_s, b_v = outcome.values["time"], outcome.values["v(b)"]
    assert 0.9e-6 < time_s[-1] < 1.1e-6
    assert "Timestep too small" in outcome.log
    np.testing.assert_allclose(b_v[time_s < 1e-6], 0, atol=1e-6)


def test_runs_beside_each_other_do_not_mix(ngspice: Ngspice) -> None:
    def half(volts: int) -> float:
        deck = Deck(netlist=f"* own\nv1 a 0 {volts}\nr1 a b 1k\nr2 b 0 1k\n", save=("v(b)",), analyses=("op",))
        return float(ngspice.run(deck).values["v(b)"][0])

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(half, range(1, 13))) == pytest.approx([volts / 2 for volts in range(1, 13)])


def test_run_leaves_no_file(ngspice: Ngspice, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    here = set(Path.cwd().iterdir())
    assert ngspice.run(Deck(netlist=DIVIDER, save=("v(b)",), analyses=("op",))).ok
    assert not list(tmp_path.iterdir())
    assert set(Path.cwd().iterdir()) == here
    assert not Path(RESULT).exists()

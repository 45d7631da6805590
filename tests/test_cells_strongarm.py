"""The sense amplifier and the search for its offset: closed cases, mirror images, a second way to look."""

import math
from dataclasses import FrozenInstanceError, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from prcim.cells.mismatch import Mismatch
from prcim.cells.readouts.offset_search import OffsetSearch
from prcim.cells.readouts.offsets import Offsets, catch
from prcim.cells.readouts.strongarm import StrongArm
from prcim.cells.technology import own_technology
from prcim.errors import InputError
from prcim.spice.deck import Deck
from prcim.spice.ngspice import find_ngspice
from prcim.spice.outcome import Outcome

CHEAP = settings(derandomize=True, deadline=None)
HP = own_technology(flavour="hp")
#: A shift that enters as a source at the gate is exactly a shift of the input.
SEARCH = OffsetSearch(technology=replace(HP, gate_sources=True), amplifier=StrongArm())
NAMES = [part.name for part in StrongArm().parts]


def shifts(*amplifiers: dict[str, float]) -> NDArray[np.float64]:
    """Threshold shifts by name, V, shape (amplifiers, parts)."""
    return np.array([[one.get(name, 0.0) for name in NAMES] for one in amplifiers])


def found(search: OffsetSearch, dvt_v: NDArray[np.float64], factor: NDArray[np.float64] | None = None) -> Offsets:
    factor = np.ones_like(dvt_v) if factor is None else factor
    return search.result(find_ngspice().run(search.deck(dvt_v, factor)), len(dvt_v))


# --- the circuit ---


def test_every_transistor_has_a_twin_and_a_role() -> None:
    amplifier = StrongArm(
        w_in_m=3e-6, l_in_m=100e-9, w_latch_n_m=2e-6, w_latch_p_m=0.7e-6, w_tail_m=0.4e-6, w_precharge_m=0.3e-6
    )
    assert sorted(name for names in amplifier.roles.values() for name in names) == sorted(NAMES)
    width = {part.name: part.w_m for part in amplifier.parts}
    assert [{width[name] for name in names} for names in amplifier.roles.values()] == [
        {3e-6},
        {2e-6},
        {0.7e-6},
        {0.3e-6},
        {0.4e-6},
    ]
    assert {part.name for part in amplifier.parts if part.l_m == 100e-9} == {"inp", "inn"}
    mirror = {"inp": "inn", "midn": "midp", "outn": "outp"}
    mirror |= {value: key for key, value in mirror.items()}
    ends = {(p.kind, p.drain, p.gate, p.source) for p in amplifier.parts}
    assert {(k, *(mirror.get(node, node) for node in nodes)) for k, *nodes in ends} == ends


def test_amplifiers_are_values() -> None:
    assert eval(repr(StrongArm())) == StrongArm()
    with pytest.raises(FrozenInstanceError, match="w_in_m"):
        StrongArm().w_in_m = 2e-6  # type: ignore[misc]


@pytest.mark.parametrize(("w_um", "sigma_mv"), [(0.5, 19), (1.0, 14), (2.0, 10)])
def test_pair_formula(w_um: float, sigma_mv: float) -> None:
    """Published: input pairs of 0.5, 1 and 2 um at 65 nm have offsets of 19, 14 and 10 mV."""
    sigma_v = StrongArm(w_in_m=w_um * 1e-6).pair_sigma_v(Mismatch())
    assert sigma_v == pytest.approx(sigma_mv * 1e-3, abs=0.5e-3)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"w_in_m": 0.0}, r"transistor inp: width 0\.0 m"),
        ({"w_latch_p_m": 1.0}, r"transistor lpn: width 1\.0 m"),
        ({"l_in_m": -65e-9}, r"length -6\.5e-08 m must lie in 0\.\.1 mm"),
        ({"c_out_f": 0.0}, r"c_out_f is 0\.0; the load of an output lies between 0 and 1 nF"),
        ({"c_out_f": math.nan}, "c_out_f is nan"),
    ],
)
def test_refused_sizes(wrong: dict[str, float], words: str) -> None:
    with pytest.raises(InputError, match=words):
        StrongArm(**wrong)


# --- the search, without a simulator ---


@CHEAP
@given(offset_v=st.floats(-0.099, 0.099), error=st.floats(-0.02, 0.02))
def test_a_bisection_with_inexact_steps_catches_every_offset(offset_v: float, error: float) -> None:
    search = replace(SEARCH, range_v=0.1)
    inputs, d = [], 0.0
    for cycle in range(search.cycles):
        inputs.append(d)
        d -= (1 if d > offset_v else -1) * search.range_v / 2 ** (cycle + 1) * (1 + error)
    inputs += [d + 0.01, d - 0.01]
    input_v = np.array(inputs)
    result = catch(input_v, np.where(input_v > offset_v, 1.1, -1.1), vdd_v=1.1, range_v=0.1, resolution_v=0.25e-3)
    # Steps that are too short leave out the ends of the range.
    if abs(offset_v) < 0.097:
        assert result.status == "ok"
    if result.status == "ok":
        assert abs(result.offset_v - offset_v) <= result.half_width_v + 1e-12
        assert result.half_width_v <= 0.125e-3
    else:
        assert result.status.startswith("out of range")


@pytest.mark.parametrize(
    ("input_mv", "apart_v", "status"),
    [
        ((8, 4, 2, 20, -20), (1.1, 1.1, 1.1, 1.1, -1.1), "out of range: the offset lies below -10 mV"),
        ((-8, -4, -2, 20, -20), (-1.1, -1.1, -1.1, 1.1, -1.1), "out of range: the offset lies above 10 mV"),
        ((3, 4, 2, 20, -20), (-1.1, 1.1, -1.1, 1.1, -0.4), "undecided at an input of -20.000 mV"),
        ((3, 4, 2, 20, -20), (-1.1, 1.1, -1.1, math.nan, -1.1), "undecided at an input of 20.000 mV"),
        ((8, 4, 2, 20, -20), (1.1, -1.1, -1.1, 1.1, -1.1), "inconsistent: - up to 4.000 mV, + from 8.000 mV"),
        ((2, 4, 3, 20, -20), (1.1, -1.1, -1.1, 1.1, -1.1), "inconsistent: - up to 4.000 mV, + from 2.000 mV"),
        ((3, 4, 2, 20, -20), (-1.1, 1.1, -1.1, -1.1, -1.1), "inconsistent: - up to 3.000 mV, + from 4.000 mV"),
        ((3, 4, 2, 20, -20), (-1.1, 1.1, -1.1, 1.1, 1.1), "inconsistent: - up to 3.000 mV, + from 4.000 mV"),
        ((3, 4, 2, 20, -20), (-1.1, 1.1, -1.1, 1.1, -1.1), "ok"),
    ],
)
def test_what_has_no_offset_says_why(input_mv: tuple[float, ...], apart_v: tuple[float, ...], status: str) -> None:
    caught = catch(np.array(input_mv) / 1e3, np.array(apart_v), vdd_v=1.1, range_v=0.01, resolution_v=1.2e-3)
    assert caught.status == status
    assert math.isnan(caught.offset_v) == (status != "ok")


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"vcm_v": 1.2}, r"vcm_v is 1\.2 V; the inputs lie between 0 and the supply, 1\.1 V"),
        ({"vcm_v": math.nan}, "vcm_v is nan V"),
        ({"resolution_v": 0.0}, r"resolution_v is 0\.0 V; it must lie between 10 uV and 10 mV"),
        ({"range_v": 0.9e-3}, r"range_v is 0\.0009 V; it must be four times resolution_v or more"),
        ({"range_v": 1.2}, r"range_v is 1\.2 V; .* at most the supply, 1\.1 V"),
        ({"overdrive_v": 0.5e-3}, r"overdrive_v is 0\.0005 V; it must be four times resolution_v"),
        ({"t_half_s": 1e-10}, r"t_half_s is 1e-10 s; half a clock period lies between 0\.4 and 100 ns"),
    ],
)
def test_refused_searches(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        replace(SEARCH, **wrong)


@pytest.mark.parametrize("points", [0, 5])
def test_a_simulation_that_breaks_off_leaves_a_row_for_every_amplifier(points: int) -> None:
    values = {"time": np.linspace(0, 0.5 * SEARCH.t_stop_s, points)} if points else {}
    plots = (values,) if points else ()
    result = SEARCH.result(Outcome(status="ok", plots=plots, seconds=0.0, log=""), 3)
    assert result.status == ("failed: the transient ended early",) * 3
    assert np.isnan(result.offset_v).all()
    killed = SEARCH.result(Outcome(status="timeout: x", plots=plots, seconds=0.0, log=""), 2)
    assert killed.status == ("timeout: x",) * 2


def test_an_input_without_a_decision_is_the_offset() -> None:
    input_v = np.array([8, 4, 4.01, 20, -20]) / 1e3
    for last_v in (0.2, -0.2):
        caught = catch(input_v, np.array([1.1, 0.3, last_v, 1.1, -1.1]), vdd_v=1.1, range_v=0.01, resolution_v=1e-4)
        assert caught.status == "ok"
        assert caught.offset_v == pytest.approx(4.005e-3)


# --- in ngspice ---


def test_offset_is_the_difference_of_the_input_thresholds() -> None:
    """And a common shift is none; without mismatch it is 0; more offset than the range has is said so."""
    pairs_mv = [(0, 0), (30, 0), (0, 30), (-17.3, 12.2), (25, 25), (0.4, 0), (200, 0), (0, 200)]
    result = found(SEARCH, shifts(*({"inp": p / 1e3, "inn": n / 1e3} for p, n in pairs_mv)))
    assert result.status[:6] == ("ok",) * 6
    for (p, n), offset_v in zip(pairs_mv[:6], result.offset_v[:6], strict=True):
        # A raised threshold at inp asks for more input there. 0.02 mV is what the time steps add.
        assert offset_v == pytest.approx((p - n) / 1e3, abs=0.15e-3)
    assert np.all(result.half_width_v[:6] <= SEARCH.resolution_v / 2)
    assert result.status[6:] == (
        "out of range: the offset lies above 150 mV",
        "out of range: the offset lies below -150 mV",
    )
    assert np.isnan(result.offset_v[6:]).all()


def test_other_transistors_count_less_and_common_ones_not_at_all() -> None:
    names = ("inp", "lnn", "lpn", "pin", "pon", "tail")
    result = found(SEARCH, shifts(*({name: 20e-3} for name in names)))
    gain = dict(zip(names, result.offset_v / 20e-3, strict=True))
    assert gain["inp"] == pytest.approx(1, abs=0.01)
    # Near the supply the pair leaves saturation early, so the N latch counts for much.
    assert 0.4 < gain["lnn"] < 0.9
    assert -0.15 < gain["lpn"] < -0.01
    for name in ("pin", "pon", "tail"):
        assert gain[name] == pytest.approx(0, abs=0.02)


def test_the_latch_counts_less_at_a_lower_common_mode() -> None:
    latch = shifts({"lnn": 20e-3})
    offsets_v = [found(replace(SEARCH, vcm_v=vcm_v), latch).offset_v[0] for vcm_v in (1.1, 0.9, 0.7)]
    assert offsets_v[0] > 2 * offsets_v[1] > 2.2 * offsets_v[2] > 0


def test_mobility_of_the_high_side_makes_up_for_input() -> None:
    factor = np.ones((1, len(NAMES)))
    factor[0, NAMES.index("inp")] = 1.1
    assert -20e-3 < found(SEARCH, np.zeros_like(factor), factor).offset_v[0] < -2e-3


def test_a_threshold_of_the_model_is_a_little_more_than_a_source_at_the_gate() -> None:
    """In BSIM4 a higher threshold raises the field in the channel too, and lowers the mobility."""
    result = found(replace(SEARCH, technology=HP), shifts({}, {"inp": 30e-3}, {"inn": 30e-3}))
    assert result.offset_v[0] == pytest.approx(0, abs=0.15e-3)
    assert result.offset_v[1] == pytest.approx(-result.offset_v[2], abs=0.2e-3)
    assert 1.03 < result.offset_v[1] / 30e-3 < 1.12


def test_a_mirrored_amplifier_has_the_opposite_offset() -> None:
    dvt_v, factor = Mismatch().draw_local(StrongArm().parts, 4, (31, 2))
    mirror = {"inp": "inn", "lnp": "lnn", "lpp": "lpn", "pop": "pon", "pip": "pin"}
    mirror |= {value: key for key, value in mirror.items()}
    order = [NAMES.index(mirror.get(name, name)) for name in NAMES]
    search = replace(SEARCH, technology=HP)
    result = found(search, np.concatenate((dvt_v, dvt_v[:, order])), np.concatenate((factor, factor[:, order])))
    assert result.status == ("ok",) * 8
    np.testing.assert_allclose(result.offset_v[:4], -result.offset_v[4:], atol=0.25e-3)
    assert np.ptp(result.offset_v[:4]) > 5e-3


def test_decisions_with_plain_sources_change_at_the_offset() -> None:
    """A second bench, without a search: constant inputs half a millivolt to either side of what was found."""
    dvt_v, factor = Mismatch().draw_local(StrongArm().parts, 6, (31, 3))
    search = replace(SEARCH, technology=HP)
    result = found(search, dvt_v, factor)
    lines = ["* plain sources", HP.preamble, str(StrongArm().subcircuit(HP)), "vdd vdd 0 1.1"]
    lines += ["vclk clk 0 pulse(0 1.1 1n 20p 20p 1n 3n)", ".options reltol=1e-5 trtol=1"]
    for k in range(6):
        given_p = " ".join(f"{key}={value}" for key, value in StrongArm().instance(dvt_v[k], factor[k]).items())
        for side, beyond_v in (("a", 0.5e-3), ("b", -0.5e-3)):
            d = result.offset_v[k] + beyond_v
            lines += [f"vp{side}{k} p{side}{k} 0 {1 + d / 2}", f"vn{side}{k} n{side}{k} 0 {1 - d / 2}"]
            lines += [f"x{side}{k} p{side}{k} n{side}{k} clk op{side}{k} on{side}{k} vdd 0 strongarm {given_p}"]
            lines += [f".nodeset v(op{side}{k})=1.1 v(on{side}{k})=1.1 v(x{side}{k}.midp)=1.1 v(x{side}{k}.midn)=1.1"]
    save = tuple(f"v({o}{side}{k})" for o in ("op", "on") for side in "ab" for k in range(6))
    values = (
        find_ngspice().run(Deck(netlist="\n".join([*lines, ""]), save=save, analyses=("tran 20p 1.9n 0 20p",))).values
    )
    for k in range(6):
        assert values[f"v(opa{k})"][-1] - values[f"v(ona{k})"][-1] > 1.0
        assert values[f"v(opb{k})"][-1] - values[f"v(onb{k})"][-1] < -1.0


def test_inputs_too_low_for_the_pair_are_no_decision() -> None:
    result = found(replace(SEARCH, vcm_v=0.1), shifts({}))
    assert result.status[0].startswith("undecided at an input of ")


def test_a_clock_that_leaves_too_little_time() -> None:
    result = found(replace(SEARCH, t_half_s=0.4e-9, amplifier=StrongArm(c_out_f=12e-15)), shifts({}))
    assert result.status[0].startswith("slow: needs 0.1")
    assert np.isnan([result.offset_v[0], result.t_decide_s[0]]).all()


def test_each_factor_of_overdrive_saves_the_same_time() -> None:
    """Regeneration: the difference of the outputs grows as exp(t / tau) from what the input leaves."""
    overdrives_v = (1e-3, 3e-3, 9e-3, 27e-3)
    times_s = [found(replace(SEARCH, overdrive_v=v), shifts({})).t_decide_s[0] for v in overdrives_v]
    saved_s = -np.diff(times_s)
    assert saved_s == pytest.approx(saved_s.mean(), rel=0.1, abs=0)
    assert 5e-12 < saved_s.mean() / math.log(3) < 50e-12
    heavy = replace(SEARCH, overdrive_v=9e-3, amplifier=StrongArm(c_out_f=10e-15))
    assert found(heavy, shifts({})).t_decide_s[0] > 1.2 * times_s[2]


def test_a_load_costs_its_charge_once_a_cycle() -> None:
    """One of the two outputs falls in each cycle and is charged again: C V^2 from the supply.

    With little overdrive the other one falls part of the way too.
    """
    none = shifts({}, {}, {})

    def energy_j(c_out_f: float, overdrive_v: float) -> float:
        amplifier = StrongArm(c_out_f=c_out_f)
        return found(replace(SEARCH, amplifier=amplifier, vcm_v=0.8, overdrive_v=overdrive_v), none).energy_j

    much, little = (energy_j(15e-15, v) - energy_j(5e-15, v) for v in (0.5, 5e-3))
    assert much == pytest.approx(10e-15 * 1.1**2, rel=0.05, abs=0)
    assert 1.1 * much < little < 2 * much
    # And the figure is that of one amplifier.
    assert found(SEARCH, none[:1]).energy_j == pytest.approx(found(SEARCH, none).energy_j, rel=0.02, abs=0)


def test_energy_is_that_of_supply_and_clock() -> None:
    """Recomputed from the currents: two cycles of what the supply gives and of what the clock takes as it rises."""
    none = shifts({}, {})
    outcome = find_ngspice().run(SEARCH.deck(none, np.ones_like(none)))
    time_s, supply_a, clock_a = (outcome.values[name] for name in ("time", "i(vdd)", "i(vclk)"))
    grid_s = np.linspace(SEARCH.t_stop_s - 4 * SEARCH.t_half_s, SEARCH.t_stop_s, 400_001)
    drawn_a = -np.interp(grid_s, time_s, supply_a) + np.clip(-np.interp(grid_s, time_s, clock_a), 0, None)
    by_hand_j = 1.1 * np.trapezoid(drawn_a, grid_s) / 4
    result = SEARCH.result(outcome, 2)
    assert result.energy_j == pytest.approx(by_hand_j, rel=0.01, abs=0)
    # The clock's part is the gates of five transistors, 1.2 um wide in all: 1 fF per um and volt, within a factor of 2.
    clock_j = 1.1 * np.trapezoid(np.clip(-np.interp(grid_s, time_s, clock_a), 0, None), grid_s) / 4
    assert 0.6e-15 * 1.1**2 < clock_j < 2.4e-15 * 1.1**2


def test_the_amplifier_works_with_slow_transistors_too() -> None:
    slow = own_technology(flavour="sram", corner="ss", temp_c=-40.0, vdd_v=1.0)
    search = OffsetSearch(technology=slow, amplifier=StrongArm(), vcm_v=0.9, t_half_s=3e-9)
    result = found(search, shifts({}, {"inp": 10e-3}))
    assert result.status == ("ok", "ok")
    assert result.offset_v == pytest.approx([0, 10.5e-3], abs=1e-3)

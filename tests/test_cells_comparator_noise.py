"""Noise of the sense amplifier: the sum by hand, the weight of a charge, and flips that are counted."""

import math
import re
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import norm

from prcim.cells.readouts.comparator_noise import CHARGE_C, ComparatorNoise
from prcim.cells.readouts.offset_search import LEAK_OHM, LOOK, OffsetSearch
from prcim.cells.readouts.strongarm import StrongArm
from prcim.cells.technology import own_technology
from prcim.errors import InputError
from prcim.spice.ngspice import find_ngspice
from prcim.spice.outcome import Outcome

HP = own_technology(flavour="hp")
NOISE = ComparatorNoise(search=OffsetSearch(technology=HP, amplifier=StrongArm()), window_s=105e-12)


def weight(place: str, noise: ComparatorNoise = NOISE) -> NDArray[np.float64]:
    return noise.weight_v_per_c(find_ngspice().run(noise.push_deck(place)))


@pytest.mark.parametrize("temp_c", [27.0, 125.0])
def test_white_noise_by_hand(temp_c: float) -> None:
    """Constant conductance g and weight h over T seconds: 2 x (4 k T g)/2 x h^2 x T for each pair."""
    technology = replace(HP, temp_c=temp_c)
    noise = replace(NOISE, search=replace(NOISE.search, technology=technology), window_s=50e-12)
    time_s = np.linspace(0, NOISE.search.t_stop_s, 50)
    values = {"time": time_s}
    for name in noise.sources:
        values |= {f"@m.x0.m{name}[gm]": np.full(50, 1e-3), f"@m.x0.m{name}[gds]": np.full(50, 0.5e-3)}
    weights = {"pair": np.full(16, 2e13), "latch": np.full(16, 1e13), "output": np.zeros(16)}
    sigma_v = noise.sigma_v(weights, Outcome(status="ok", plots=(values,), seconds=0.0, log=""))
    by_hand_v = math.sqrt(4 * 1.380649e-23 * (temp_c + 273.15) * 1.5e-3 * 100e-12) * 2e13
    assert sigma_v["inp"] == pytest.approx(by_hand_v, rel=1e-9)
    assert sigma_v["lnn"] == pytest.approx(by_hand_v / 2, rel=1e-9)
    assert sigma_v["pon"] == sigma_v["lpn"] == 0


def test_weight_of_a_charge(monkeypatch: pytest.MonkeyPatch) -> None:
    """A charge that lowers the output of the falling side helps inp, so the offset sinks; long before it is nothing."""
    output = weight("output")
    assert np.all(output < 0)
    most = np.max(-output)
    assert abs(output[0]) < 0.1 * most
    assert abs(output[-1]) < 0.1 * most
    # At the input it is less than the voltage that it makes on the load of the output.
    assert 0.1 / 5e-15 < most < 1 / 5e-15
    # Half the charge, half the offset.
    monkeypatch.setattr("prcim.cells.readouts.comparator_noise.CHARGE_C", CHARGE_C / 2)
    np.testing.assert_allclose(weight("output"), output, atol=0.05 * most)


@pytest.mark.parametrize(
    ("window_s", "points", "words"),
    [
        (1e-12, 16, "window_s is 1e-12 s; it must lie between 10 ps and half of t_half_s"),
        (0.6e-9, 16, "window_s is 6e-10 s"),
        (1e-10, 3, "points is 3; 8 to 100 moments show the weight"),
    ],
)
def test_refused(window_s: float, points: int, words: str) -> None:
    with pytest.raises(InputError, match=words):
        replace(NOISE, window_s=window_s, points=points)


@pytest.mark.slow
@pytest.mark.parametrize("place", ["output", "pair"])
def test_counted_flips_agree(place: str) -> None:
    """White currents of known density, drawn here, at an input of one predicted sigma: 16 % of decisions flip.

    500 decisions give the sigma to 6.6 % (one standard error); the draws are fixed. The band is 4 of these wide to
    each side, so 6 in 100,000 seeds would fail.
    """
    density, step_s = 4 * 1.38e-23 * 300 * 1e-3, 3e-12
    amplifiers, cycles, half_s = 20, 25, 0.6e-9
    sigma_v = math.sqrt(2 * np.trapezoid(density / 2 * weight(place) ** 2, NOISE.t_push_s))
    # The bench of the search, without its search: every other amplifier has the input of the other sign.
    search = replace(NOISE.search, t_half_s=half_s)
    shape = (amplifiers, len(search.amplifier.parts))
    deck = search.deck(np.zeros(shape), np.ones(shape))
    netlist = re.sub(r"(vstep step|vkick kick) 0 pwl\([^)]*\)", r"\1 0 0", deck.netlist)
    sign = np.where(np.arange(amplifiers) % 2, 1, -1)
    for k in range(amplifiers):
        netlist += f"iinput{k} 0 d{k} {sign[k] * sigma_v / LEAK_OHM:.6g}\n"
    moments_s = np.arange(-NOISE.window_s - 20e-12, NOISE.window_s + 20e-12, step_s)
    edges_s = half_s * (1 + 2 * np.arange(cycles)) + 10e-12
    rng = np.random.default_rng((41, 5))
    lines = []
    for k in range(amplifiers):
        for side in "pn":
            current_a = rng.standard_normal((cycles, len(moments_s))) * math.sqrt(density / 2 / step_s)
            current_a[:, [0, -1]] = 0.0
            points = zip((edges_s[:, None] + moments_s).ravel(), current_a.ravel(), strict=True)
            nodes = {"output": f"out{side}{k} vdd", "pair": f"x{k}.mid{side} x{k}.tail"}[place]
            text = "\n+ ".join(f"{t:.9g} {a:.5g}" for t, a in points)
            lines.append(f"inoise{side}{k} {nodes} pwl(0 0\n+ {text})")
    tran = f"tran {half_s / 20:.6g} {2 * half_s * cycles:.6g} 0 {half_s / 20:.6g}"
    noisy = replace(deck, netlist=netlist + "\n".join(lines) + "\n", analyses=(tran,))
    values = find_ngspice().run(noisy).values
    right = 0
    for k in range(amplifiers):
        apart_v = values[f"v(outp{k})"] - values[f"v(outn{k})"]
        looked_v = np.interp(edges_s + LOOK * half_s, values["time"], apart_v)
        assert np.all(np.abs(looked_v) > 0.55)
        right += int(np.sum(np.sign(looked_v) == sign[k]))
    counted_v = sigma_v / norm.ppf(right / (amplifiers * cycles))
    print(f"{place}: predicted {sigma_v * 1e3:.3f} mV, counted {counted_v * 1e3:.3f} mV")
    assert counted_v == pytest.approx(sigma_v, rel=0.26)

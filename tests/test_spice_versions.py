"""ngspice 34 to 45: what a version prints besides changes no value and no status.

A script stands in for each version. It runs the ngspice that is there and adds to its log, its raw file and its
terminal what that version prints, as seen in logs of users.
"""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from prcim.errors import InputError
from prcim.spice.deck import Deck
from prcim.spice.ngspice import find_ngspice

BANNER = "******\n** ngspice-{} : Circuit level simulation program\n** The U. C. Berkeley CAD Group\n******"
VERSIONS = [*map(str, range(34, 46)), "44.2", "45.2+"]

FAKE = '''#!{python} -SE
import re, subprocess, sys
from pathlib import Path

version, banner = {version!r}, {banner!r}
if sys.argv[1] == "--version":
    print(banner)
    sys.exit(0)
code = subprocess.run([{real!r}, *sys.argv[1:]]).returncode
major, log = int(version[:2]), Path("out.log").read_text()
start = "Note: can't find the initialization file spinit.\\n"
if major >= 43:
    start = start.replace("Note", "Warning")
    start += 'Error opening code model "/usr/lib/ngspice/spice2poly.cm"\\n'
    start += "Error: Library /usr/lib/ngspice/spice2poly.cm couldn't be loaded!\\n"
solver = ""
if major >= 42:
    solver = "Using " + ("KLU" if major % 2 else "SPARSE 1.3") + " as Direct Linear Solver\\n"
if "imestep too small" not in log:
    solver += """Warning: singular matrix:  check node x1.a

Note: Starting dynamic gmin stepping
Trying gmin =   1.0000E-03 Note: One successful gmin step
Trying gmin =   1.0000E-04 Warning: singular matrix:  check node x1.a
Warning: Dynamic gmin stepping failed
Note: Starting true gmin stepping
Trying gmin =   1.0000E-03 Note: One successful gmin step
Note: True gmin stepping completed
"""
elif major >= 44:
    log = re.sub("(Error: Transient op failed.*)", r"\\1\\n\\nError: The operating point could not be simulated"
        " successfully.\\n\\tAny of the following steps may fail.!", log)
if major < 36:
    log = log.replace("Note: No compatibility", "No compatibility")
log = re.sub("(Doing analysis at TEMP.*\\n)", lambda found: found[1] + solver, start + log)
log = log.replace("No. of Data Rows", " Reference value :  1.00000e-09\\rNo. of Data Rows")
Path("out.log").write_text(re.sub(r"ngspice-\\d+ done", "ngspice-" + version + " done", log))
raw = Path("out.raw")
if major >= 40 and raw.exists():
    command = "Command: ngspice-" + version + ", Build Fri Sep 12 11:58:13 UTC 2025"
    raw.write_bytes(raw.read_bytes().replace(b"\\nPlotname:", b"\\n" + command.encode() + b"\\nPlotname:"))
print(log)
print(log, file=sys.stderr)
# Newer ones end with 1 when an analysis of a control script did.
sys.exit(1 if major >= 44 and "aborted" in log else code)
'''

LOW_PASS = "* low pass\nv1 a 0 dc 1 ac 1\nr1 a b 1k\nc1 b 0 1n\n"
GOOD = Deck(
    netlist=LOW_PASS,
    save=("v(b)", "i(v1)"),
    analyses=("dc v1 0 2 1", "op", "tran 1n 100n", "ac lin 5 50k 250k"),
)
#: What is wrong -> netlist, vector, analysis.
BAD = {
    "model": ("* model\nv1 a 0 1\nm1 a a 0 0 nosuchcard w=1u l=1u\n", "v(a)", "op"),
    "loop": ("* loop\nv1 a 0 1\nv2 a 0 2\n", "v(a)", "op"),
    "no solution": ("* none\nv1 a 0 1\nr1 a b 1k\nb2 b 0 i= v(b) > 0.5 ? 1 : -1\n", "v(b)", "op"),
    "vector": (LOW_PASS, "v(nowhere)", "op"),
    "source": (LOW_PASS, "v(b)", "dc vnope 0 1 1"),
    "command": (LOW_PASS, "v(b)", "nonsense 1 2"),
    "no word": (LOW_PASS, "v(b)", "quit 3"),
}

Fake = Callable[..., None]


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    """Puts a version in ngspice's place."""
    real = find_ngspice().path

    def make(version: str, *, banner: str = BANNER) -> None:
        path = tmp_path / "fake-ngspice"
        text = FAKE.format(python=sys.executable, version=version, banner=banner.format(version), real=real)
        path.write_text(text)
        path.chmod(0o755)
        monkeypatch.setenv("PRCIM_NGSPICE", str(path))

    return make


@pytest.mark.parametrize("version", VERSIONS)
def test_values_status_and_version(fake: Fake, version: str) -> None:
    expected = find_ngspice().run(GOOD)
    fake(version)
    ngspice = find_ngspice()
    outcome = ngspice.run(GOOD)
    assert ngspice.version == version[:2]
    assert "True gmin stepping completed" in outcome.log
    assert outcome.status == expected.status == "ok"
    assert len(outcome.plots) == len(expected.plots) == len(GOOD.analyses)
    for ours, theirs in zip(outcome.plots, expected.plots, strict=True):
        assert list(ours) == list(theirs)
        for name, values in theirs.items():
            np.testing.assert_array_equal(ours[name], values)


@pytest.mark.parametrize("version", ["34", "42", "45.2"])
@pytest.mark.parametrize("wrong", BAD)
def test_reason_of_a_failure(fake: Fake, wrong: str, version: str) -> None:
    netlist, vector, analysis = BAD[wrong]
    deck = Deck(netlist=netlist, save=(vector,), analyses=(analysis,))
    expected = find_ngspice().run(deck)
    fake(version)
    outcome = find_ngspice().run(deck)
    assert expected.status.startswith("failed: ")
    assert outcome.log != expected.log
    assert outcome.status == expected.status
    assert not outcome.values


def test_folder_that_names_a_version(fake: Fake) -> None:
    fake("45", banner="starting /opt/ngspice-26/bin/ngspice\n" + BANNER)
    assert find_ngspice().version == "45"


@pytest.mark.parametrize(
    ("version", "banner"),
    [
        ("26", BANNER),
        ("33", BANNER),
        ("32", "ngspice compiled from ngspice revision {}\nWritten originally by Berkeley"),
    ],
)
def test_version_that_is_too_old(fake: Fake, version: str, banner: str) -> None:
    fake(version, banner=banner)
    with pytest.raises(InputError, match=f"is ngspice {version}; prcim needs 34 or newer"):
        find_ngspice()

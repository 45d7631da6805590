"""The loops as they are compiled for a processor without AVX-512."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
#: Between them: votes and codes of every model, linear and convolution, and their gradients, against the definition.
LAWS = (
    "test_bnn_positions.py::test_convolution_is_its_columns",
    "test_bnn_sum_gradients.py::test_those_of_convolutions_are_those_of_the_definition",
    "test_bnn_operator.py::test_gradients_are_those_of_the_definition",
)


@pytest.mark.slow
def test_avx2_gives_what_the_definition_gives(tmp_path: Path) -> None:
    """Compiled for Haswell (2013); `has_byte_permutations` says no where Numba is told to compile for another one."""
    settings = {
        "NUMBA_CPU_NAME": "haswell",
        "NUMBA_CPU_FEATURES": "+avx2,+fma,+bmi,+bmi2,+popcnt",
        "NUMBA_CACHE_DIR": str(tmp_path),
    }
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-o", "addopts="]
    run = subprocess.run(
        [*command, *(str(HERE / law) for law in LAWS)],
        env={**os.environ, **settings},
        cwd=HERE.parent,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert run.returncode == 0, run.stdout[-3000:]
    assert "passed" in run.stdout
    assert "skipped" not in run.stdout
    # What was compiled was kept where it was told to be.
    assert any(tmp_path.rglob("*.nbc"))

"""The GPU kernel where there may be no GPU: by Triton's interpreter, compiled for one, and without Triton."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from rooms import ROOT, python

CASES = Path(__file__).with_name("triton_cases.py")
WANTED = "the GPU kernel needs Triton, which is made for Linux: pip install 'prcim[gpu]'"


def run_cases(**environment: str) -> str:
    """What pytest says of the cases in a process of its own: Triton reads TRITON_INTERPRET when it is imported."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(CASES)]
    kept = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    run = subprocess.run(
        command, cwd=ROOT, env={**kept, **environment}, capture_output=True, text=True, timeout=600, check=False
    )
    assert run.returncode == 0, (run.stdout + run.stderr)[-5000:]
    return run.stdout


@pytest.mark.slow
def test_interpreted_loops_are_the_definition() -> None:
    pytest.importorskip("triton", reason=WANTED)
    assert " passed" in run_cases(TRITON_INTERPRET="1", OMP_NUM_THREADS="1")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")
def test_loops_on_a_gpu_are_the_definition() -> None:
    pytest.importorskip("triton", reason=WANTED)
    assert " passed" in run_cases()


def test_torch_knows_the_operator_on_gpus() -> None:
    import prcim.bnn.kernels.operator  # noqa: F401 - registers it

    for name in ("column_sum", "column_sum_gradients"):
        for device in ("CPU", "CUDA"):
            assert torch._C._dispatch_has_kernel_for_dispatch_key(f"prcim::{name}", device)


def test_triton_is_imported_only_when_a_gpu_is_met() -> None:
    code = """
import importlib.util, sys
find = importlib.util.find_spec
importlib.util.find_spec = lambda name, *more: None if name == "triton" else find(name, *more)
class Refused:
    def find_spec(self, name, *more):
        if name == "triton":
            raise ImportError(name)
sys.meta_path.insert(0, Refused())
import torch
from prcim.bnn.column_sum import majority_sum
print(majority_sum(torch.ones(1, 8), torch.ones(1, 8), -torch.ones(2, 1), None, None, fused=False).item())
"""
    assert python(code) == ["2.0"]
    everything = "import sys, prcim.bnn.train, prcim.bnn.evaluate, prcim.bnn.experiment; print('triton' in sys.modules)"
    assert python(everything) == ["False"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("capability", "product"), [(80, "mma.sync-s32.s8.s8"), (90, "wgmma.mma_async-s32.s8.s8")], ids=str
)
def test_launches_are_compiled_for_gpus(capability: int, product: str, tmp_path: Path) -> None:
    """The interpreter takes what the compiler refuses; this needs no GPU. The product is one of tensor cores."""
    pytest.importorskip("triton", reason=WANTED)
    script = Path(__file__).with_name("triton_launches.py")
    kept = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    command = [sys.executable, str(script), str(capability)]
    environment = {**kept, "TRITON_CACHE_DIR": str(tmp_path)}
    run = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert run.returncode == 0, run.stderr
    lines = [line.split() for line in run.stdout.splitlines()]
    # Votes, moments and gradients; codes, those that clip and gradients; flash.
    assert [mode for loop, mode, *_ in lines if loop == "columns"] == ["0", "5", "3", "1", "6", "4", "2"]
    assert {found for loop, _, _, found in lines if loop == "columns"} == {product}
    assert {loop for loop, *_ in lines} == {"pack", "digests", "columns"}
    # What one program may take of the smaller of the two GPUs.
    assert all(int(shared) <= 163 * 1024 for _, _, shared, _ in lines)

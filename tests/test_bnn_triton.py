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


#: Of the loop's arguments: those that are pointers, to what.
POINTERS = {
    **dict.fromkeys(("x", "weight"), "*i8"),
    **dict.fromkeys(("fresh", "residual", "curves"), "*i16"),
    **dict.fromkeys(("base", "below", "comparators", "patterns"), "*i32"),
    **dict.fromkeys(("arriving", "slope", "out"), "*fp32"),
    "images": "*i64",
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mode", "architecture", "n"), [(0, 90, 100), (1, 80, 64), (2, 90, 512), (3, 90, 64), (5, 90, 64)]
)
def test_the_loop_is_compiled_for_gpus(
    mode: int, architecture: int, n: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The interpreter takes what the compiler refuses; this needs no GPU. The product is one of tensor cores."""
    pytest.importorskip("triton", reason=WANTED)
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    code = f"""
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from prcim.bnn.kernels import triton_kernels
pointers = {POINTERS!r}
pointers["out"] = "*i64" if {mode} == 5 else "*fp32"
known = dict(MODE={mode}, N={n}, STEP=2, HALF=16, FRESH=True, RESIDUAL=True, CURVES=True, FRESH_BITS=16,
             RESIDUAL_BITS=32, CURVES_BITS=16, BASE=True, SPLIT=False, BM=64, NB=4, BK=64)
loop = triton_kernels.columns
kinds = {{p.name: "constexpr" if p.is_constexpr else pointers.get(p.name, "i32") for p in loop.params}}
source = ASTSource(fn=loop, signature=kinds, constexprs=known)
made = triton.compile(source, target=GPUTarget("cuda", {architecture}, 32))
print("wgmma" if "wgmma.mma_async.sync.aligned.m64n64k32.s32.s8.s8" in made.asm["ptx"] else "",
      "mma" if "mma.sync.aligned.m16n8k32.row.col.satfinite.s32.s8.s8.s32" in made.asm["ptx"] else "",
      made.metadata.shared < 160_000, len(made.asm["cubin"]) > 1000)
"""
    assert python(code) == ["wgmma" if architecture == 90 else "mma", "True", "True"]

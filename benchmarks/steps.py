"""Training steps of VGG-9 with and without noise: seconds, and the memory at its peak."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.gpu import timed_on_gpu
from benchmarks.layers import tables_for
from benchmarks.machine import ROOT
from benchmarks.measurement import median, timed
from prcim.bnn.binarize import sign
from prcim.bnn.models.chain import Chain
from prcim.bnn.models.vgg9 import Vgg9Spec
from prcim.bnn.noise import Reads, VirtualChip

SIZE, CLASSES = (3, 32, 32), 10


class NoiseFree(nn.Module):
    """VGG-9 with binary weights and activations in plain torch: convolution, pool, batch norm, sign."""

    def __init__(self) -> None:
        super().__init__()
        widths = [(3, 128), (128, 128), (128, 256), (256, 256), (256, 512), (512, 512)]
        shapes = [(outputs, inputs, 3, 3) for inputs, outputs in widths] + [(1024, 8192), (1024, 1024), (10, 1024)]
        self.weights = nn.ParameterList(torch.randn(shape) * 0.1 for shape in shapes)
        norms = [nn.BatchNorm2d(shape[0]) for shape in shapes[:6]], [nn.BatchNorm1d(shape[0]) for shape in shapes[6:]]
        self.norms = nn.ModuleList([*norms[0], *norms[1]])

    def forward(self, x: Tensor) -> Tensor:
        x = x.reshape(-1, *SIZE)
        for number, (weight, norm) in enumerate(zip(self.weights, self.norms, strict=True)):
            if weight.dim() == 4:
                x = nn.functional.conv2d(x, sign(weight), padding=1)
                x = nn.functional.max_pool2d(x, 2) if number % 2 else x
            else:
                x = x.flatten(1) @ sign(weight).t()
            x = norm(x) if number == 8 else sign(norm(x))
        return x


def _step(kind: str, rows: int, batch: int, device: str) -> Callable[[], None]:
    """A training step: forward, backward, Adam. `kind` is "none" or a read-out."""
    x = torch.randint(-255, 256, (batch, 3 * 32 * 32)).float().to(device)
    labels = torch.randint(0, CLASSES, (batch,)).to(device)
    if kind == "none":
        network: nn.Module = NoiseFree()
    else:
        # Thresholds of a majority follow the statistics of each column's sums, as in training.
        options: dict[str, Any] = {"readout": "adc"} if kind == "code" else {"readout": kind, "column_norm": True}
        spec = Vgg9Spec.for_images(SIZE, classes=CLASSES, rows=rows, n_used=rows, **options)
        network, tables = Chain(spec), tables_for(rows)
    network = network.to(device)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    numbers = iter(range(1 << 30))

    def step() -> None:
        if kind == "none":
            # The tensor cores' type; with noise nothing but the digital first and last layer would take it.
            with torch.autocast(device, torch.bfloat16, enabled=device == "cuda"):
                scores = network(x).float()
        else:
            chip = VirtualChip(tables=tables, model="iid", number=next(numbers), half="train")
            scores = network(x, chip, Reads(images=torch.arange(batch, device=device)))
        optimizer.zero_grad()
        nn.functional.cross_entropy(scores, labels).backward()
        optimizer.step()

    return step


def steps(rows: int, readout: str, count: int, *, batch: int, device: str) -> dict[str, Any]:
    """Seconds of a step with i.i.d. noise and without, in turn."""
    ways = [_step(kind, rows, batch, device) for kind in (readout, "none")]
    clock = timed_on_gpu if device == "cuda" else timed
    seconds: list[list[float]] = [[], []]
    for number in range(count + 1):
        for way, found in zip(ways, seconds, strict=True):
            spent = clock(way)
            if number:
                found.append(spent)
    a, b = (median(found) for found in seconds)
    return {"ratio": a / b, "a_s": a, "b_s": b, "n": count, "batch": batch, "threads": torch.get_num_threads()}


def peak_bytes(rows: int, readout: str, count: int, *, batch: int, device: str) -> dict[str, Any]:
    """What two steps add to the memory of a process that has everything loaded, each kind in processes of its own."""
    count = min(count, 3)
    found: list[list[float]] = [[], []]
    for _ in range(count):
        for kind, bytes_ in zip((readout, "none"), found, strict=True):
            command = [sys.executable, "-m", "benchmarks.steps", kind, str(rows), str(batch), device]
            answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
            bytes_.append(json.loads(answer.stdout))
    a, b = map(median, found)
    return {"ratio": a / b, "a_s": 0.0, "b_s": 0.0, "n": count, "batch": batch, "a_bytes": a, "b_bytes": b}


def _peak(device: str) -> int:
    """Largest resident memory so far, bytes; that of `getrusage` would begin with the process that started this one.

    On a GPU the largest that torch has had in use there.
    """
    if device == "cuda":
        return int(torch.cuda.max_memory_allocated())
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


if __name__ == "__main__":
    kind, rows, batch, device = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    # What compiling takes is no part of a step.
    _step(kind, rows, 2, device)()
    before = _peak(device)
    step = _step(kind, rows, batch, device)
    step()
    step()
    print(json.dumps(_peak(device) - before))

"""Prepares every launch of a GPU's loops, compilation included, for a GPU that need not be there.

`python tests/triton_launches.py 90` prints a line for each: loop, mode, bytes of shared memory, product.
"""

import contextlib
import re
import sys
from typing import Any

import torch
from triton.backends.compiler import GPUTarget
from triton.runtime import driver
from triton_cases import FLASH_ADC, layer_errors, signs, tables_for

from prcim.bnn.kernels import fused, triton_columns, triton_kernels
from prcim.bnn.kernels.columns import CODE, FLASH, MAJORITY
from prcim.bnn.kernels.prepared import Layout
from prcim.bnn.kernels.triton_columns import TritonColumns


class NoGpu:
    """What Triton asks a driver before it starts a kernel."""

    def __init__(self, capability: int) -> None:
        self._target = GPUTarget("cuda", capability, 32)

    def get_current_target(self) -> Any:
        return self._target

    def get_current_device(self) -> int:
        return 0

    def get_current_stream(self, device: int) -> int:
        return device


class Prepared:
    """A loop whose launches end before the start."""

    def __init__(self, loop: Any) -> None:
        self._loop = loop

    def __getitem__(self, grid: tuple[int, ...]) -> Any:
        def launch(*given: Any, **options: Any) -> None:
            made = self._loop.warmup(*given, grid=grid, **options)
            products = set(re.findall(r"(wgmma\.mma_async|mma\.sync)\.\S+\.(s32\.s8\.s8)", made.asm["ptx"]))
            product = "-".join("-".join(words) for words in products) or "none"
            print(self._loop.fn.__name__, options.get("MODE", "-"), made.metadata.shared, product)

        return launch


def bits_on_gpu(columns: TritonColumns) -> list[int]:
    return [8 * table.element_size() for table in columns._tables]


def main(capability: int) -> None:
    driver.set_active(NoGpu(capability))
    # Tensors lie on the CPU; the loops are made as for a GPU.
    setattr(triton_columns, "_on", lambda device: contextlib.nullcontext())  # noqa: B010
    setattr(TritonColumns, "_bits", property(bits_on_gpu))  # noqa: B010
    for name in ("pack", "digests", "columns"):
        setattr(triton_kernels, name, Prepared(getattr(triton_kernels, name)))
    for mode, n, programs in ((MAJORITY, 64, 1), (CODE, 100, 100), (FLASH, 512, 1)):
        errors = layer_errors(tables_for(n), "column", 4, 40, FLASH_ADC.comparators if mode == FLASH else 1)
        assert errors is not None
        terms = errors.terms
        tables = [fused._narrow(table, torch.device("cuda")) for table in (terms.fresh, terms.residual, terms.curves)]
        layout = Layout(groups=4, stride=1, mode=mode, bits=4, step=2, begin=-1, read=2**31 + 3, keys=terms.keys)
        threshold = signs(2, 4, 40) if mode == MAJORITY else torch.zeros(0)
        x, weight = signs(0, 70, 4 * n), signs(1, 40, 4 * n)
        more = (terms.column, terms.offsets, torch.arange(70), layout, programs)
        made = TritonColumns(x, weight, threshold, tables[0], tables[1], tables[2], *more)
        made.totals()
        if mode == MAJORITY:
            made.moments()
        if mode == CODE:
            # What is counted is not there where nothing is started.
            made.clipped(10)
        if mode != FLASH:
            made.gradients(torch.ones(70, 40), torch.ones(50 if mode == MAJORITY else 0), 3, 60)


if __name__ == "__main__":
    main(int(sys.argv[1]))

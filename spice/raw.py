"""ngspice's binary result file."""

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

MARK = b"Binary:\n"


def read_raw(path: Path) -> tuple[Mapping[str, NDArray[np.float64]], ...]:
    """All plots of a raw file.

    A run that was cut off leaves a header whose point count is not filled in; the points that are there are read.

    Args:
        path: the file; it may be missing or cut off.

    Returns:
        One mapping for each plot: lower-case vector name -> real values, shape (points,). Complex vectors (AC) keep
        their real part. Plots without a single point are left out, and so is ngspice's
        table of constants.
    """
    if not path.exists():
        return ()
    data = path.read_bytes()
    plots: list[Mapping[str, NDArray[np.float64]]] = []
    start = 0
    while (mark := data.find(MARK, start)) >= 0:
        header = data[start:mark].decode("ascii", errors="replace")
        names = re.findall(r"^\s+\d+\s+(\S+)\s+\S+", header.partition("\nVariables:")[2], re.MULTILINE)
        count = re.search(r"^No\. Points:\s*(\d+)", header, re.MULTILINE)
        is_complex = re.search(r"^Flags:.*complex", header, re.MULTILINE) is not None
        if not names or count is None:
            break
        width = len(names) * (2 if is_complex else 1)
        first = mark + len(MARK)
        there = (len(data) - first) // (8 * width)
        points = min(int(count.group(1)), there) or there
        table = np.frombuffer(data, dtype="<f8", count=points * width, offset=first).reshape(points, width)
        # After an analysis that failed at once ngspice has only its table of constants to write.
        if points and "Plotname: constants" not in header:
            step = 2 if is_complex else 1
            plots.append({name.lower(): table[:, step * i].copy() for i, name in enumerate(names)})
        start = first + 8 * points * width
    return tuple(plots)

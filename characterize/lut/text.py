"""A table as text: one line a sum, for spreadsheets and other programs."""

import csv
import io
import json
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from prcim.characterize.lut.dof import die_variance
from prcim.characterize.lut.error_lut import QUANTILES, ErrorLUT
from prcim.characterize.lut.total import total_moments

Floats = NDArray[np.float64]

#: Levels at which a table keeps quantiles.
KEPT = (np.arange(QUANTILES) + 0.5) / QUANTILES
#: Levels that one would like, percent, and those that the table has; beyond the first and last it keeps there are none.
WANTED = (0.1, 1, 5, 25, 50, 75, 95, 99, 99.9)
PERCENT = tuple(level for level in WANTED if KEPT[0] <= level / 100 <= KEPT[-1])
COLUMNS = {
    "mac": "partial sum S",
    "n_on": "products of +1 in it, (n_used + mac) / 2",
    "transfer_v": "mean bit-line voltage, V",
    "mean_error": "mean error of all columns, patterns and dies, S",
    "sigma_column": "standard deviation between columns, S",
    "sigma_pattern": "between the input patterns of a column, S",
    "sigma_read": "between reads, S",
    "sigma_die": "between dies, reference included, S",
    "sigma_total": "of everything together, S",
    "energy_j": "energy of a read, J",
    "count": "good shots",
    "failed": "failed shots",
}


def csv_columns(lut: ErrorLUT) -> dict[str, Floats]:
    """Columns of the long table, each of shape (M,).

    Quantiles are those of everything together, between the 256 that are kept by a straight line.

    Example:
        >>> from prcim.characterize.lut.file import open_lut
        >>> columns = csv_columns(open_lut("package:8t-64"))
        >>> list(columns)[-7:]
        ['q01', 'q05', 'q25', 'q50', 'q75', 'q95', 'q99']
    """
    mean, variance = total_moments(lut)
    figures = (
        lut.mac,
        (lut.n_used + lut.mac) / 2,
        lut.transfer_v,
        mean,
        np.sqrt(np.maximum(lut.v_col, 0.0)),
        np.sqrt(np.maximum(lut.v_res, 0.0)),
        lut.read_sigma,
        np.sqrt(die_variance(lut)),
        np.sqrt(np.maximum(variance, 0.0)),
        lut.energy_j,
        lut.count,
        lut.failed,
    )
    quantiles = [np.array([np.interp(level / 100, KEPT, row) for row in lut.total_q]) for level in PERCENT]
    names = [*COLUMNS, *(f"q{level:02d}" for level in PERCENT)]
    return dict(zip(names, (*figures, *quantiles), strict=True))


def as_csv(luts: Sequence[ErrorLUT]) -> str:
    """The long table: comments, a header, one line a sum; several tables have their conditions in front of each line.

    Numbers are the shortest that give the table's single precision back.
    """
    tables = [csv_columns(lut) for lut in luts]
    conditions = [lut.meta.get("conditions") if len(luts) > 1 else None for lut in luts]
    out = io.StringIO()
    for line in _comments(luts):
        out.write(f"# {line}\n")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*(("corner", "vdd_v", "temp_c") if conditions[0] else ()), *tables[0]])
    for table, condition in zip(tables, conditions, strict=True):
        for values in zip(*table.values(), strict=True):
            writer.writerow([*(condition or ()), *(_number(value) for value in values)])
    return out.getvalue()


def as_neurosim(lut: ErrorLUT) -> str:
    """`output,mean,std`: for each ideal output, in S, mean and standard deviation of what is read instead.

    NeuroSim draws a normal variable anew on every read (Read et al., arXiv 2505.02314), so the spread is that of
    everything together, and what lasts in a column is lost. One line for each sum there is; between simulated sums both
    go in a straight line, as in the network. The header is the first line: no comments.

    Example:
        >>> from prcim.characterize.lut.file import open_lut
        >>> lines = as_neurosim(open_lut("package:8t-64")).splitlines()
        >>> lines[0], len(lines) - 1
        ('output,mean,std', 65)
    """
    mean, variance = total_moments(lut)
    outputs = np.arange(-lut.n_used, lut.n_used + 1, 2.0)
    means = outputs + np.interp(outputs, lut.mac, mean)
    sigmas = np.interp(outputs, lut.mac, np.sqrt(np.maximum(variance, 0.0)))
    rows = zip(outputs, means, sigmas, strict=True)
    return "output,mean,std\n" + "".join(f"{s:g},{_number(m)},{_number(d)}\n" for s, m, d in rows)


def _comments(luts: Sequence[ErrorLUT]) -> list[str]:
    """Provenance, without dates, hosts and paths."""
    lut = luts[0]
    meta = lut.meta
    about = {key: meta[key] for key in ("schema", "plan_id", "engine", "simulator", "readout") if key in meta}
    low, high = (f"{100 * level:.3g}" for level in (KEPT[0], KEPT[-1]))
    absent = [f"{level:g}" for level in WANTED if level not in PERCENT]
    return [
        f"prcim error table {meta.get('plan', {}).get('name', '')}: {lut.rows} rows, {lut.n_used} used",
        *(f"{key} {value}" for key, value in about.items()),
        *(f"sha256 {one.sha256}" for one in luts),
        f"plan {json.dumps(meta.get('plan', {}), sort_keys=True)}",
        "errors are in units of the partial sum S, before any read-out; one conducting cell is 2",
        *(f"{name}: {text}" for name, text in COLUMNS.items()),
        "q01 to q99: quantiles, at 1 to 99 %, of the error of a read of any column, pattern and die, S",
        f"quantiles of {' and '.join(absent)} % are left out: the table keeps none below {low} or above {high} %",
    ]


def _number(value: float) -> str:
    """The shortest text that single precision reads back."""
    return str(np.float32(value)).removesuffix(".0")

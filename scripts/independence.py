"""Whether independent errors predict what lasting ones do: networks judged by every noise model.

Usage: ``python scripts/independence.py CHECKPOINT... [--lut FILE]... [--data FOLDER] [--chips N] [--jobs N]``

Each network is judged at each table by chips whose columns err for good (column, taken for the truth), whose cells do
(cell), and with errors drawn anew on every read (iid, gaussian). Results lie in build/gates/independence.json.
"""

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

import torch

from prcim.bnn.checkpoint import load_checkpoint
from prcim.bnn.independence import TRUTH, predictions
from prcim.bnn.registry import named_dataset
from prcim.bnn.tables import integer_tables
from prcim.characterize.lut.file import open_lut
from prcim.cli.progress import Progress
from prcim.errors import PrcimError
from prcim.files import write_text

OUT = Path("build/gates/independence.json")


def run(path: Path, luts: list[str], arguments: argparse.Namespace) -> list[dict[str, Any]]:
    checkpoint = load_checkpoint(path)
    network, images = checkpoint.network, named_dataset(checkpoint.dataset).load(arguments.data)[1]
    found = []
    for lut in luts:
        tables = integer_tables(open_lut(lut), network.spec.make_readout().amplifier)
        with Progress() as progress:
            truth, others = predictions(
                network,
                images,
                tables,
                chips=arguments.chips,
                jobs=arguments.jobs,
                progress=lambda model, done, total, lut=lut: progress(  # type: ignore[misc]
                    f"{path.stem}, {lut}: {model}, chips", done, total
                ),
            )
        print(f"\n{path} (trained with {checkpoint.noise}), {lut}, {len(images)} images, {arguments.chips} chips")
        print(f"{'model':<10}{'mean':>8}{'sd':>8}{'worst':>8}  {'interval':<17}{'gap':>8}  {'interval':<17}  sd ratio")
        low, high = truth.ci95
        print(f"{TRUTH:<10}{truth.mean:8.2%}{truth.sd:8.2%}{truth.worst:8.2%}  {low:.2%}..{high:.2%}")
        for other in others:
            found_, (low, high), (least, most) = other.spread, other.spread.ci95, other.gap_ci95
            line = f"{other.model:<10}{found_.mean:8.2%}{found_.sd:8.2%}{found_.worst:8.2%}  {low:.2%}..{high:.2%}   "
            line += f"{other.gap:+8.2%}  {least:+.2%}..{most:+.2%}"
            if other.sd_ratio is not None and other.sd_ratio_ci95 is not None:
                line += "   {:.2f} ({:.2f}..{:.2f})".format(other.sd_ratio, *other.sd_ratio_ci95)
            print(line + (", misleads" if other.misleads else ""))
        found.append(
            {
                "network": path.name,
                "trained_with": checkpoint.noise,
                "dataset": checkpoint.dataset,
                "lut": lut,
                TRUTH: truth.as_json(),
                "predictions": [other.as_json() for other in others],
            }
        )
    return found


def main(given: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="independence.py",
        description="Independent against lasting errors: means and spreads over chips.",
    )
    parser.add_argument("networks", nargs="+", type=Path, help="trained networks", metavar="CHECKPOINT")
    parser.add_argument(
        "--lut", action="append", help="a table; repeatable; default package:8t-64 and package:6t-64", metavar="FILE"
    )
    parser.add_argument("--data", type=Path, help="folder of the data set", metavar="FOLDER")
    parser.add_argument("--chips", type=int, default=50, help="chips of each model; default 50", metavar="N")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="chips at a time", metavar="N")
    parser.add_argument("--out", type=Path, default=OUT, help=f"default {OUT}", metavar="FILE")
    arguments = parser.parse_args(given)
    if arguments.chips < 2:
        parser.error("a spread takes at least 2 chips")
    # One thread a chip: the chips share the cores.
    torch.set_num_threads(1)
    rows: list[dict[str, Any]] = []
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    for path in arguments.networks:
        rows += run(path, arguments.lut or ["package:8t-64", "package:6t-64"], arguments)
        write_text(arguments.out, json.dumps(rows, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except PrcimError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)

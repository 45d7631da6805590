"""Execute notebooks and keep the executed copies: a notebook that no longer runs is a failed test.

Usage: ``python scripts/run_notebooks.py [NOTEBOOK ...]``, all of ``notebooks/`` when none is named.
"""

import os
import sys
import time
from pathlib import Path

# Jupyter warns at import until told where its settings lie.
os.environ.setdefault("JUPYTER_PLATFORM_DIRS", "1")

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "build" / "notebooks"


def execute(source: Path) -> None:
    """Run one notebook from its own folder, as Jupyter does; the copy is written even when a cell fails."""
    notebook = nbformat.read(source, as_version=4)
    client = NotebookClient(
        notebook,
        timeout=300,
        # Whatever kernel the author had, this one is the environment that runs this script.
        kernel_name="python3",
        # Errors only: each start would warn that its loopback connection is not encrypted.
        extra_arguments=["--log-level=40"],
        resources={"metadata": {"path": str(source.parent)}},
    )
    try:
        client.execute()
    finally:
        OUT.mkdir(parents=True, exist_ok=True)
        nbformat.write(notebook, OUT / source.name)


def main(names: list[str]) -> int:
    sources = [Path(name).resolve() for name in names] or sorted((ROOT / "notebooks").glob("*.ipynb"))
    if not sources:
        print("there are no notebooks in notebooks/", file=sys.stderr)
        return 1
    for source in sources:
        start = time.monotonic()
        try:
            execute(source)
        except CellExecutionError as failure:
            print(f"{source.name}: a cell failed\n{failure}", file=sys.stderr)
            return 1
        print(f"{source.name}: {time.monotonic() - start:.0f} s, executed copy in {OUT.relative_to(ROOT)}/", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

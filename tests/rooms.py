"""The rooms of the program, for tests of its shape."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("spice", "cells", "characterize", "bnn")  # each may import those before it


def folder(room: str) -> Path:
    return ROOT / "prcim" / "cli" if room == "cli" else ROOT / room


def sources(room: str) -> list[Path]:
    return sorted(folder(room).rglob("*.py"))


def module(path: Path) -> str:
    """Import name of a source file, as a user of the package writes it."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    parts = parts if parts[0] == "prcim" else ("prcim", *parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def python(code: str, *, path: Path | None = None, cwd: Path = ROOT) -> list[str]:
    """Words that a fresh interpreter prints."""
    env = {**os.environ, "PYTHONPATH": str(path)} if path else dict(os.environ)
    run = subprocess.run([sys.executable, "-c", code], cwd=cwd, env=env, capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr
    return run.stdout.split()

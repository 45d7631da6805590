"""What a benchmark ran on: processor, cores and versions, without the name of anything that is somebody's own."""

import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

#: Packages whose speed is in the figures.
PACKAGES = ("numpy", "scipy", "PySpice", "pandas", "torch", "numba", "triton")
ROOT = Path(__file__).resolve().parents[1]


def machine() -> dict[str, Any]:
    """Processor, cores, versions and the commit that was measured."""
    gpu = _words(["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"])
    return {
        "cpu": _cpu(),
        **({"gpu": gpu} if gpu else {}),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "ngspice": _words(["ngspice", "--version"], find="ngspice-"),
        "packages": {name: version for name in PACKAGES if (version := _version(name))},
        "commit": _words(["git", "rev-parse", "HEAD"]),
        # Figures of a tree that nobody else has are worth less; a reader should see that.
        "changed": bool(_words(["git", "status", "--porcelain", "--untracked-files=no"])),
    }


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _words(command: list[str], *, find: str = "") -> str:
    """The first line that a command prints, or the word in its output that begins with `find`; nothing if it fails."""
    try:
        answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    found = [word for word in answer.stdout.split() if word.startswith(find)] if find else answer.stdout.splitlines()
    return found[0] if found and answer.returncode == 0 else ""

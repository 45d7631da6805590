"""Whether a table is the one that its plan asks for."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from prcim.characterize.lut import ErrorLUT
from prcim.characterize.lut_check import Check
from prcim.characterize.plan import DECK_VERSION, TABLE_VERSION, Plan


def check_plan(lut: ErrorLUT, *, conditions: int = 1) -> Iterator[Check]:
    """Counts against the plan that the table holds, and the plan's identity.

    Args:
        lut: the table.
        conditions: how many tables its file holds; the identity is that of a plan with all of them.

    Example:
        >>> from prcim.characterize.lut_file import open_lut
        >>> [check.passed for check in check_plan(open_lut("package:8t-64"))]
        [True, True, True, True, True, True]
    """
    plan = lut.meta.get("plan", {})
    sampling, column = plan.get("sampling", {}), plan.get("column", {})
    n_used = column.get("n_used") or column.get("rows")
    yield _same("rows, n_used", (lut.rows, lut.n_used), (column.get("rows"), n_used))
    count = sampling.get("sums")
    grid = [2 * round(i * lut.n_used / (count - 1)) - lut.n_used for i in range(count)] if count else None
    yield _same("sums of the plan's grid", lut.mac.tolist(), grid, short=f"{len(lut.mac)} sums")
    yield _same("columns", len(lut.bank), sampling.get("columns"))
    yield _same("dies", len(lut.chip_curves), sampling.get("chips"))
    shots = None if "patterns" not in sampling else sampling["columns"] * sampling["patterns"]
    found = sorted(set((lut.count + lut.failed).tolist()))
    wanted = None if shots is None else [float(shots)]
    allowed = sampling.get("failures_max", 0.0)
    share = float(lut.failed.sum() / max((lut.count + lut.failed).sum(), 1.0))
    counted = _same("good and failed shots of each sum", found, wanted, short=", ".join(f"{n:g}" for n in found))
    if counted.passed and share > allowed:
        text = f"{share:.2%} of the shots failed"
        counted = Check(name=counted.name, passed=False, figure=text, limit=f"<= {allowed:.2%}")
    yield counted
    yield _identity(lut.meta, conditions)


def versions_of(meta: Mapping[str, Any]) -> tuple[int, int | None] | None:
    """Versions of decks and of the table's arithmetic with which a plan has its identity; None if there are none.

    The table does not name them, but they are small numbers and part of the identity. The first tables had no version
    of their arithmetic, and until plans named it the engine stood beside them.
    """
    plan = {name: value for name, value in meta["plan"].items() if name != "name"}
    names = ("models_sha256", "simulator") if "engine" in plan else ("models_sha256", "simulator", "engine")
    content = {name: meta[name] for name in names} | {"plan": plan}
    for deck in range(DECK_VERSION, 0, -1):
        for table in (*range(TABLE_VERSION, 0, -1), None):
            version = {"deck_version": deck} | ({} if table is None else {"table_version": table})
            text = json.dumps(content | version, sort_keys=True, separators=(",", ":"))
            if hashlib.sha256(text.encode()).hexdigest() == meta["plan_id"]:
                return deck, table
    return None


def _identity(meta: Mapping[str, Any], conditions: int) -> Check:
    name = "plan_id follows from the plan"

    def unknown(why: str) -> Check:
        return Check(name=name, passed=None, figure=why, limit="-")

    missing = [key for key in ("plan", "plan_id", "models_sha256", "engine", "simulator") if key not in meta]
    if missing:
        return unknown(f"cannot be computed: the table lacks {', '.join(missing)}")
    versions = versions_of(meta)
    if versions is not None:
        deck, table = versions
        old = "" if versions == (DECK_VERSION, TABLE_VERSION) else "; an older version made it"
        figure = f"{meta['plan_id'][:8]}: deck version {deck}, table version {table if table else '-'}{old}"
        return Check(name=name, passed=True, figure=figure, limit=meta["plan_id"][:8])
    if conditions > 1:
        return unknown("cannot be computed: each table holds the plan of its own conditions")
    if _fields(meta["plan"]) != _fields(Plan(name="x").model_dump(exclude={"technology": {"models"}})):
        return unknown("cannot be computed: the plan has other fields than those of this version of prcim")
    return Check(name=name, passed=False, figure="no version of prcim gives this identity", limit=meta["plan_id"][:8])


def _fields(plan: Mapping[str, Any]) -> set[str]:
    """Names of a plan's sections and their fields, as far as all plans have them."""
    names = set()
    for section, content in plan.items():
        names |= {f"{section}.{field}" for field in content} if isinstance(content, dict) else {section}
    return names


def _same(name: str, found: Any, wanted: Any, *, short: str | None = None) -> Check:
    text = short if short is not None else str(found)
    if wanted is None or (isinstance(wanted, tuple) and None in wanted):
        return Check(name=name, passed=None, figure=f"{text}; the plan does not say", limit="-")
    same = bool(np.array_equal(np.asarray(found), np.asarray(wanted)))
    limit = "the plan's" if short is not None and same else str(wanted)
    return Check(name=name, passed=same, figure=text, limit=limit)

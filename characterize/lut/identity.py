"""Whether a table is the one that its plan asks for."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from prcim.characterize.lut.check import Check
from prcim.characterize.lut.error_lut import ErrorLUT
from prcim.characterize.plan import DECK_VERSION, TABLE_VERSION, Plan, make_plan
from prcim.errors import InputError


def check_plan(lut: ErrorLUT, *, first: ErrorLUT | None = None) -> Iterator[Check]:
    """Counts against the plan that the table holds, and the plan's identity.

    Args:
        lut: the table.
        first: the first table of its file, which holds the plan of all conditions, and so their common identity; the
            table itself unless given.

    Example:
        >>> from prcim.characterize.lut.file import open_lut
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
    yield _identity(lut.meta, lut.meta if first is None else first.meta)


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


def _identity(meta: Mapping[str, Any], whole: Mapping[str, Any]) -> Check:
    name = "plan_id follows from the plan"

    def unknown(why: str) -> Check:
        return Check(name=name, passed=None, figure=f"cannot be computed: {why}", limit="-")

    keys = ("plan", "plan_id", "models_sha256", "engine", "simulator")
    missing = [key for key in keys if key not in meta or key not in whole]
    if missing:
        return unknown(f"the table lacks {', '.join(missing)}")
    wanted = whole["plan_id"][:8]
    versions = versions_of(whole)
    if versions is None:
        if _fields(whole["plan"]) != _fields(Plan(name="x").model_dump(exclude={"technology": {"models"}})):
            return unknown("the plan has other fields than those of this version of prcim")
        return Check(name=name, passed=False, figure="no version of prcim gives this identity", limit=wanted)
    if meta["plan_id"] != whole["plan_id"]:
        found = f"{meta['plan_id'][:8]}, and that of the file's first table is another"
        return Check(name=name, passed=False, figure=found, limit=wanted)
    if meta["plan"] != whole["plan"]:
        try:
            same = meta["plan"] == _at(whole["plan"], meta.get("conditions", []))
        except InputError as error:
            return unknown(str(error)[:80])
        if not same:
            return Check(name=name, passed=False, figure="the plan is not that of the file's first table", limit=wanted)
    deck, table = versions
    old = "" if versions == (DECK_VERSION, TABLE_VERSION) else "; an older version made it"
    figure = f"{wanted}: deck version {deck}, table version {table if table else '-'}{old}"
    return Check(name=name, passed=True, figure=figure, limit=wanted)


def _at(content: Mapping[str, Any], conditions: Sequence[Any]) -> Any:
    """What of a plan a table for one of its conditions holds; nothing if these are not among its conditions.

    Raises:
        InputError: this version of prcim refuses the plan.
    """
    plan = make_plan(dict(content), origin="the file's first table")
    points = [point for point, found in enumerate(plan.conditions) if list(found) == list(conditions)]
    if not points:
        return None
    return json.loads(plan.at(points[0]).model_dump_json(exclude={"technology": {"models"}}))


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

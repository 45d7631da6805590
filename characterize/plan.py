"""Everything that decides a result, in one value with an identity."""

import hashlib
import itertools
import json
import tomllib
from importlib.resources import files
from inspect import signature
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from prcim.cells.cell import Cell
from prcim.cells.column import Column
from prcim.cells.devices.part import Part
from prcim.cells.mismatch import Mismatch
from prcim.cells.readouts.reference import Trim
from prcim.cells.readouts.strongarm import StrongArm
from prcim.cells.reads.charge_read import ChargeRead
from prcim.cells.reads.pulsed_read import PulsedRead
from prcim.cells.reads.read import Read
from prcim.cells.reads.steady_read import SteadyRead
from prcim.cells.registry import CELLS
from prcim.cells.technology import Technology, own_technology
from prcim.characterize.limits import check_size
from prcim.characterize.sections import (
    ColumnPlan,
    ComparatorPlan,
    MismatchPlan,
    Name,
    PvtPlan,
    ReadPlan,
    ReferencePlan,
    SamplingPlan,
    Section,
    TechnologyPlan,
)
from prcim.characterize.settings import with_settings
from prcim.errors import InputError
from prcim.spice.library import read_library

#: Goes up whenever a deck changes, so that samples of the old deck are never mixed with those of the new one.
DECK_VERSION = 3
#: Goes up whenever draws or the arithmetic of the table change.
TABLE_VERSION = 5
#: Corner, supply, V, and temperature, degrees Celsius, at which fixed thresholds are found.
NOMINAL = ("tt", 1.1, 27.0)
#: Corner, supply, V, temperature, degrees Celsius.
Conditions = tuple[str, float, float]


class Plan(Section):
    """A characterization from beginning to end.

    Every field has a default; a TOML file names those that differ.

    Example:
        >>> plan = named_plan("8t-64")
        >>> plan.sampling.columns, plan.n_used
        (4096, 64)
        >>> plan.changed(["rows=128", "seed=3"]).column.rows
        128
    """

    name: Name
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 1
    engine: Literal["column", "composed"] = "column"
    technology: TechnologyPlan = TechnologyPlan()
    mismatch: MismatchPlan = MismatchPlan()
    column: ColumnPlan = ColumnPlan()
    read: ReadPlan = ReadPlan()
    reference: ReferencePlan = ReferencePlan()
    comparator: ComparatorPlan = ComparatorPlan()
    pvt: PvtPlan = PvtPlan()
    sampling: SamplingPlan = SamplingPlan()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.column.cell not in CELLS:
            raise ValueError(f"column.cell is {self.column.cell!r}; known cells are: {', '.join(CELLS)}")
        if self.read.mode not in CELLS[self.column.cell].reads:
            raise ValueError(
                f"read.mode is {self.read.mode!r}; a cell {self.column.cell!r} is read by:"
                f" {', '.join(CELLS[self.column.cell].reads)}"
            )
        if self.engine == "composed" and (self.read.mode == "charge" or self.column.r_vss_row_ohm > 0):
            raise ValueError(
                "engine is 'composed', which knows neither charge-domain reads nor the resistance of a ground line;"
                " take 'column'"
            )
        if not 2 <= self.column.rows <= 1024:
            raise ValueError(f"column.rows is {self.column.rows}; a column has 2 to 1024 rows")
        if not 1 <= self.n_used <= self.column.rows:
            raise ValueError(f"column.n_used is {self.n_used}; it must lie in 1..rows, and rows is {self.column.rows}")
        if self.sampling.sums > self.n_used + 1:
            raise ValueError(f"sampling.sums is {self.sampling.sums}; {self.n_used} inputs have {self.n_used + 1} sums")
        check_size(self.sampling, conditions=len(self.conditions))
        if self.read.swing_v >= self.technology.vdd_v:
            raise ValueError(
                f"read.swing_v is {self.read.swing_v} V; it must be below vdd_v, {self.technology.vdd_v} V"
            )
        conditions = self.technology
        nominal = (conditions.corner, conditions.vdd_v, conditions.temp_c) == NOMINAL
        if self.reference.kind == "ideal" and not nominal:
            raise ValueError(
                f"reference.kind is 'ideal', fixed voltages found at the corner {NOMINAL[0]}, {NOMINAL[1]} V and"
                f" {NOMINAL[2]:.0f} degrees; away from there use 'replica' or 'trimmed'"
            )
        # These check themselves.
        for point in range(1, len(self.conditions)):
            self.at(point).make_technology()
        _ = self.make_cell().parts
        self.make_trim()
        self.make_comparator()
        self.make_mismatch()
        if self.read.mode != "pulsed":
            self.make_read()
        return self

    @property
    def conditions(self) -> tuple[Conditions, ...]:
        """Corner, supply and temperature of every point; first those of [technology], which all else refers to."""
        own = (self.technology.corner, self.technology.vdd_v, self.technology.temp_c)
        lists = (self.pvt.corners or own[:1], self.pvt.vdds_v or own[1:2], self.pvt.temps_c or own[2:])
        return tuple(dict.fromkeys((own, *itertools.product(*lists))))

    def at(self, point: int) -> "Plan":
        """The plan of one point of `conditions` alone."""
        corner, vdd_v, temp_c = self.conditions[point]
        technology = self.technology.model_copy(update={"corner": corner, "vdd_v": vdd_v, "temp_c": temp_c})
        v_wl_v = self.read.v_wl_v * (vdd_v / self.technology.vdd_v if self.pvt.v_wl_follows_vdd else 1.0)
        read = self.read.model_copy(update={"v_wl_v": v_wl_v})
        return self.model_copy(update={"technology": technology, "read": read, "pvt": PvtPlan()})

    @property
    def n_used(self) -> int:
        """Rows that carry weights; all of them unless said otherwise."""
        return self.column.rows if self.column.n_used is None else self.column.n_used

    @property
    def n_on(self) -> tuple[int, ...]:
        """The numbers of conducting cells that are simulated, evenly spaced from none to all."""
        count = self.sampling.sums
        return tuple(round(i * self.n_used / (count - 1)) for i in range(count))

    def make_technology(self) -> Technology:
        """The technology that the plan names.

        Raises:
            InputError: its model file, or a section or model of it, is missing or of no use.
        """
        t = self.technology
        if t.models is None or t.nmos is None or t.pmos is None:
            return own_technology(flavour=t.flavour, vdd_v=t.vdd_v, temp_c=t.temp_c, corner=t.corner)
        return Technology(
            library=read_library(Path(t.models), t.section),
            nmos=t.nmos,
            pmos=t.pmos,
            vdd_v=t.vdd_v,
            temp_c=t.temp_c,
            corner=t.corner,
            subckt=t.subckt,
            size_unit_m=t.size_unit_m,
        )

    def make_cell(self) -> Cell:
        """The cell that the plan names, with its sizes.

        Raises:
            InputError: it has no size of that name, or the size is not one.
        """
        kind = CELLS[self.column.cell]
        known = list(signature(kind).parameters)
        for name in self.column.sizes:
            if name not in known:
                raise InputError(f"column.sizes.{name} is not a size of cell {self.column.cell!r}: {', '.join(known)}")
        return kind(**self.column.sizes)

    def make_mismatch(self) -> Mismatch:
        """The spreads that the plan names."""
        return Mismatch(**self.mismatch.model_dump(exclude={"load_rel_sigma"}))

    def make_trim(self) -> Trim:
        """The trim that the plan names."""
        return Trim(bits=self.reference.trim_bits, range_v=self.reference.trim_range_v)

    def make_comparator(self) -> StrongArm:
        """The comparator that the plan names."""
        return StrongArm(w_in_m=self.comparator.w_in_m, l_in_m=self.comparator.l_m, l_m=self.comparator.l_m)

    def make_read(self, t_pulse_s: float = 0.0) -> Read:
        """The read that the plan names.

        Args:
            t_pulse_s: length of a pulse that was found for the plan's swing, s; other reads have none.
        """
        match self.read.mode:
            case "steady":
                return SteadyRead(v_wl_v=self.read.v_wl_v, settle_tau=self.read.settle_tau)
            case "pulsed":
                return PulsedRead(v_wl_v=self.read.v_wl_v, t_pulse_s=t_pulse_s)
            case "charge":
                return ChargeRead(v_wl_v=self.read.v_wl_v, t_settle_s=self.read.t_settle_s)

    def make_column(self, load: Part, load_ohm: float) -> Column:
        """The column that the plan names, with a load that was found for it."""
        c = self.column
        return Column(
            technology=self.make_technology(),
            cell=self.make_cell(),
            rows=c.rows,
            n_used=self.n_used,
            load=load,
            load_ohm=load_ohm,
            c_bl_cell_f=c.c_bl_cell_f,
            c_bl_fixed_f=c.c_bl_fixed_f,
            r_bl_row_ohm=c.r_bl_row_ohm,
            r_vss_row_ohm=c.r_vss_row_ohm,
        )

    def changed(self, settings: list[str]) -> "Plan":
        """This plan with some fields set, each as "key=value"; a key needs its section only where it is ambiguous.

        Raises:
            InputError: a key is unknown or a value is not allowed.
        """
        return make_plan(with_settings(self.model_dump(), settings), origin="the settings")


def make_plan(data: dict[str, Any], *, origin: str) -> Plan:
    """A plan from parsed TOML.

    Raises:
        InputError: a field is unknown or has a value that is not allowed; the message names it.
    """
    try:
        return Plan.model_validate(data)
    except ValidationError as error:
        problems = []
        for item in error.errors(include_url=False):
            place = ".".join(str(part) for part in item["loc"])
            got = "" if isinstance(item["input"], dict) else f" (got {item['input']!r})"
            problems.append(f"{place}{': ' if place else ''}{item['msg'].removeprefix('Value error, ')}{got}")
        raise InputError(f"{origin}: " + "; ".join(problems)) from None


def named_plan(name: str) -> Plan:
    """A plan that comes with the package, or a TOML file.

    Args:
        name: one of `plan_names()`, or a path that ends in .toml.

    Raises:
        InputError: there is no such plan, or it is wrong.
    """
    if name.endswith(".toml"):
        try:
            text = Path(name).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"plan file {name} cannot be read ({error})") from error
    elif name in plan_names():
        text = (files("prcim.characterize") / "plans" / f"{name}.toml").read_text(encoding="utf-8")
    else:
        raise InputError(f"there is no plan {name!r}; known plans are: {', '.join(plan_names())}, or give a .toml file")
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"plan {name} is not valid TOML: {error}") from error
    return make_plan(data, origin=f"plan {name}")


def plan_names() -> list[str]:
    """Names of the plans that come with the package."""
    folder = files("prcim.characterize") / "plans"
    return sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml"))


def plan_id(plan: Plan, *, simulator: str) -> str:
    """SHA-256 of the plan's canonical JSON with the model file's checksum, engine, and all versions.

    The name is left out: two plans that say the same are the same.
    """
    content = {
        "plan": plan.model_dump(exclude={"name": True, "technology": {"models": True}}),
        "models_sha256": plan.make_technology().library.sha256,
        "deck_version": DECK_VERSION,
        "table_version": TABLE_VERSION,
        "simulator": simulator,
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()

"""The sections of a plan."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
Positive = Annotated[float, Field(gt=0)]


class Section(BaseModel):
    """A part of a plan: frozen, and without room for a key that nobody reads."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class TechnologyPlan(Section):
    """Transistors and conditions; the project's own cards unless `models` names a file."""

    flavour: Literal["sram", "hp"] = "sram"
    models: str | None = None
    nmos: str | None = None
    pmos: str | None = None
    section: str | None = None
    subckt: bool = False
    size_unit_m: Annotated[float, Field(gt=0, le=1)] = 1.0
    corner: Literal["tt", "ff", "ss", "fs", "sf"] = "tt"
    vdd_v: float = 1.1
    temp_c: float = 27.0

    @model_validator(mode="after")
    def _own_or_named(self) -> Self:
        given = [self.models is not None, self.nmos is not None, self.pmos is not None]
        if any(given) and not all(given):
            raise ValueError("models, nmos and pmos belong together: give all three or none")
        if not any(given) and (self.section is not None or self.subckt or self.size_unit_m != 1):
            raise ValueError("section, subckt and size_unit_m say how to read models: give models, nmos and pmos too")
        return self


class PvtPlan(Section):
    """Further conditions for the same chips: every combination of what is listed.

    Where a list is empty the condition is that of [technology]. Load, pulse, mismatch and thresholds stay those that
    [technology] gave.
    """

    corners: tuple[Literal["tt", "ff", "ss", "fs", "sf"], ...] = ()
    vdds_v: tuple[float, ...] = ()
    temps_c: tuple[float, ...] = ()
    v_wl_follows_vdd: bool = False


class MismatchPlan(Section):
    """Pelgrom coefficients in the pair convention, global spreads, spread of the load."""

    a_vt_v_m: float = 3.5e-9
    a_beta_m: float = 1.0e-8
    global_sigma_vt_v: float = 0.015
    global_correlation: float = 0.5
    load_rel_sigma: Annotated[float, Field(ge=0, le=0.2)] = 0.01


class ColumnPlan(Section):
    """The column and what hangs on its bit line."""

    cell: str = "8t"
    rows: int = 64
    n_used: int | None = None
    sizes: dict[str, Positive] = {}
    c_bl_cell_f: Positive = 0.3e-15
    c_bl_fixed_f: Positive = 20e-15
    r_bl_row_ohm: Positive = 2.0
    r_vss_row_ohm: Annotated[float, Field(ge=0)] = 0.0


class ReadPlan(Section):
    """The read: against a load that follows from the swing, with a pulse that does, or by charge."""

    mode: Literal["steady", "pulsed", "charge"] = "steady"
    v_wl_v: Positive = 0.35
    swing_v: Positive = 0.08
    load: Literal["resistor", "pmos"] = "resistor"
    settle_tau: float = 7.0
    t_settle_s: Positive = 1e-9
    w_switch_m: Annotated[float, Field(ge=80e-9, le=100e-6)] = 1e-6
    comparator_noise_v: Annotated[float, Field(ge=0)] = 1.0e-3
    i_line_max_a: Positive = 2.0e-3


class ReferencePlan(Section):
    """Where thresholds come from: fixed voltages, these trimmed on each die, or the mean of a die's replica columns."""

    kind: Literal["ideal", "trimmed", "replica"] = "replica"
    replicas: Annotated[int, Field(ge=1)] = 16
    shared_by: Annotated[int, Field(ge=1)] = 256
    trim_bits: int = 6
    trim_range_v: float = 0.1


class ComparatorPlan(Section):
    """The comparator whose decisions are part of a read's energy: width of its input pair, length of all transistors.

    Its offset belongs to the network, which may take another.
    """

    w_in_m: Positive = 1e-6
    l_m: Positive = 65e-9


class SamplingPlan(Section):
    """How much is simulated."""

    sums: Annotated[int, Field(ge=3)] = 17
    columns: Annotated[int, Field(ge=4)] = 128
    patterns: Annotated[int, Field(ge=2)] = 4
    chips: Annotated[int, Field(ge=2, le=1024)] = 160
    cells: Annotated[int, Field(ge=16, le=100_000)] = 512
    checks: Annotated[int, Field(ge=10, le=20_000)] = 200
    failures_max: Annotated[float, Field(ge=0, le=1)] = 0.001

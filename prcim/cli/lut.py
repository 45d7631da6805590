"""`prcim lut`."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click


@click.group("lut")
def command() -> None:
    """Look at an error table: a file, or package:NAME for one that comes with the package."""


@command.command("show")
@click.argument("table")
@click.option("--figures", type=click.Path(file_okay=False, path_type=Path), help="Also draw it into this folder.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
def show(table: str, figures: Path | None, as_json: bool) -> None:
    """Print TABLE: errors and their shares at each sum, in units of S, with 95 % intervals."""
    from prcim.characterize.lut_file import open_lut

    lut = open_lut(table)
    if figures is not None:
        from prcim.characterize.figures import write_figures

        write_figures(lut, figures)
    if as_json:
        arrays = {
            name: getattr(lut, name).tolist()
            for name in (
                "mac",
                "transfer_v",
                "v_col",
                "v_res",
                "read_sigma",
                "energy_j",
                "icc_low",
                "icc_high",
                "count",
            )
        }
        about = {"sha256": lut.sha256, "failures": lut.failures, "static_share": lut.static_share}
        click.echo(json.dumps({**about, "icc": lut.icc.tolist(), **arrays, "meta": dict(lut.meta)}))
        return
    meta = lut.meta
    click.echo(f"{meta['plan']['name']}, plan {lut.plan_id[:8]}, {meta['engine']} engine, {meta['simulator']}")
    click.echo(
        f"{lut.rows} rows, {lut.n_used} used; {_read_text(meta)},"
        f" smallest step {meta['step_ratio']:.2f} of the largest; {cell_text(meta)}"
    )
    click.echo(
        f"{len(lut.bank)} columns, {len(lut.chip_curves)} dies, {lut.failures} failed shots; static share"
        f" {lut.static_share:.3f} (binomial weights); reference {meta['plan']['reference']['kind']}; sha256"
        f" {lut.sha256[:16]}"
    )
    lines = " V_BL mV" if meta.get("bit_lines", 1) == 1 else "diff. mV"
    click.echo(f"   mac {lines}  mV per S  column  pattern   read    die  static share (95 %)   fJ  shots")
    for k in range(len(lut.mac)):
        click.echo(
            f"{lut.mac[k]:6.0f} {lut.transfer_v[k] * 1e3:8.1f} {lut.slope_v[k] * 1e3:9.3f}"
            f" {max(lut.v_col[k], 0) ** 0.5:7.2f} {lut.v_res[k] ** 0.5:8.2f} {lut.read_sigma[k]:6.2f}"
            f" {lut.chip_curves[:, k].std():6.2f}   {lut.icc[k]:.2f} ({lut.icc_low[k]:.2f}..{lut.icc_high[k]:.2f})"
            f" {lut.energy_j[k] * 1e15:11.1f} {lut.count[k]:6.0f}"
        )


def cell_text(meta: Mapping[str, Any]) -> str:
    """What one cell adds: a current, or the charge on its capacitor."""
    size = f"{meta['c_cell_f'] * 1e15:.3f} fF" if "c_cell_f" in meta else f"{meta['i_cell_a'] * 1e6:.3f} uA"
    return f"cell {size}, relative sigma {meta['rel_sigma_cell']:.3f}"


def _read_text(meta: Mapping[str, Any]) -> str:
    read, mode = meta["plan"]["read"], meta["plan"]["read"].get("mode", "steady")
    how = {
        "steady": f" on {meta['load_ohm']:.0f} ohm",
        "pulsed": f" after a pulse of {(meta.get('t_pulse_s') or 0) * 1e12:.0f} ps",
        "charge": f" after {read.get('t_settle_s', 0) * 1e9:g} ns",
    }[mode]
    # A pulse does not settle.
    rest = "" if mode == "pulsed" else f" ({meta['settle_error_v'] * 1e3:.2f} mV from the steady state)"
    return (
        f"{mode} read, V_WL {read['v_wl_v']:g} V, swing {meta['swing_v']:.3f} V{how}{rest},"
        f" read time {meta['t_read_s'] * 1e9:.2f} ns"
    )

"""`prcim lut verify`."""

import json

import click

from prcim.cli.options import json_option


@click.command("verify")
@click.argument("table")
@json_option
def verify(table: str, as_json: bool) -> None:
    """Check that TABLE keeps its laws and is what its plan says.

    Its parts add up to the totals it states, within their intervals; arrays are sorted, positive, finite; counts and
    identity follow from the plan. Exit status: 0 all of it holds, 1 some of it does not, 2 the table cannot be read: it
    is missing, damaged, does not match its checksum, or has another schema.
    """
    from prcim.characterize.lut.check import Check, check_arrays, check_law
    from prcim.characterize.lut.error_lut import array_names
    from prcim.characterize.lut.file import conditions_text, open_points
    from prcim.characterize.lut.identity import check_plan
    from prcim.errors import RunError

    luts, whole = open_points(table)
    checks: list[tuple[str, Check]] = []
    for lut in luts:
        # Whoever gets here has read it, and reading checks these.
        read = Check(
            name="checksum, schema, shapes, finite numbers",
            passed=True,
            figure=f"{lut.sha256[:16]}, {lut.meta['schema']}, {len(array_names())} arrays",
            limit="-",
        )
        found = (read, *check_arrays(lut), *check_law(lut), *check_plan(lut, first=whole[0]))
        checks += [(conditions_text(lut), check) for check in found]
    broken = [check for _, check in checks if check.passed is False]
    if as_json:
        objects = [{"conditions": where, **check.as_json()} for where, check in checks]
        hashes = [lut.sha256 for lut in luts]
        click.echo(json.dumps({"table": table, "sha256": hashes, "passed": not broken, "checks": objects}))
    else:
        for where, check in checks:
            mark = {True: "ok", False: "BROKEN", None: "unknown"}[check.passed]
            place = f"{where}: " if len(luts) > 1 else ""
            limit = "" if check.limit == "-" else f"  ({check.limit})"
            click.echo(f"{mark:<8}{place + check.name:<60}{check.figure}{limit}")
    if broken:
        names = "; ".join(dict.fromkeys(check.name for check in broken))
        raise RunError(
            f"table {table} breaks {len(broken)} of {len(checks)} laws: {names}; do not use it: make it anew with"
            " `prcim characterize`"
        )

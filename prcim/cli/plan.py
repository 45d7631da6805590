"""`prcim plan`."""

import json

import click

from prcim.cli.options import json_option, settings_option


@click.command("plan")
@click.argument("name", required=False)
@settings_option
@json_option
def command(name: str | None, settings: tuple[str, ...], as_json: bool) -> None:
    """List the named plans, or show plan NAME with every field that decides its result."""
    from prcim.characterize.plan import named_plan, plan_names

    if name is None:
        names = plan_names()
        click.echo(json.dumps({"plans": names}) if as_json else "\n".join(names))
        return
    plan = named_plan(name).changed(list(settings)).model_dump()
    if as_json:
        click.echo(json.dumps(plan))
        return
    for section, content in plan.items():
        if isinstance(content, dict):
            for key, value in content.items():
                click.echo(f"{section}.{key} = {value}")
        else:
            click.echo(f"{section} = {content}")

"""Changes of a plan that are typed as key=value."""

import tomllib
from collections.abc import Sequence
from typing import Any

from prcim.errors import InputError

#: Begins a setting of one of the cell's sizes, as in sizes.w_access_m=1e-7.
SIZES = "sizes."


def with_settings(data: dict[str, Any], settings: Sequence[str]) -> dict[str, Any]:
    """A plan's data with some fields set; a key needs its section only where it is ambiguous.

    Args:
        data: sections with their fields; it is changed.
        settings: each "key=value", the value as in TOML, a word without quotes too.

    Raises:
        InputError: a key is unknown or ambiguous.

    Example:
        >>> with_settings({"name": "a", "column": {"rows": 64, "cell": "8t"}}, ["rows=128", "column.cell=6t"])
        {'name': 'a', 'column': {'rows': 128, 'cell': '6t'}}
    """
    for setting in settings:
        key, equals, text = setting.partition("=")
        if equals and key.startswith(SIZES):
            data["column"]["sizes"] = {**data["column"]["sizes"], key.removeprefix(SIZES): _value(text)}
            continue
        leaves = _leaves(data)
        places = [p for p in leaves if key in (p[-1], ".".join(p))]
        if not equals or len(places) != 1:
            known = ", ".join(".".join(p) for p in leaves)
            problem = "is not of the form key=value" if not equals else "is not a key of a plan"
            problem = f"fits {len(places)} keys" if len(places) > 1 else problem
            raise InputError(f"setting {setting!r} {problem}; the keys are: {known}")
        target = data
        for part in places[0][:-1]:
            target = target[part]
        target[places[0][-1]] = _value(text)
    return data


def _leaves(data: dict[str, Any]) -> list[tuple[str, ...]]:
    places: list[tuple[str, ...]] = []
    for key, value in data.items():
        places += [(key, *rest) for rest in _leaves(value)] if isinstance(value, dict) else [(key,)]
    return places


def _value(text: str) -> Any:
    """A value as TOML would read it, else the text itself, so that a word needs no quotes."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text

"""What a model file defines: models and sub-circuits, read as ngspice reads them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import final

_NAME = re.compile(r"([a-z_]\w*)\s*=(?!=)")


@final
@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """A `.model` that every circuit can use.

    Attributes:
        name, type: in lower case, e.g. "nch" and "nmos".
        level: which equations it uses; None where the card does not say so by a number.
    """

    name: str
    type: str
    level: int | None


@final
@dataclass(frozen=True, kw_only=True)
class SubcktCard:
    """A `.subckt` that every circuit can use.

    Attributes:
        name: in lower case.
        pins: its nodes.
        parameters: what it takes, from its first line and from `.param` lines in it.
    """

    name: str
    pins: tuple[str, ...]
    parameters: frozenset[str]


def read_cards(text: str) -> tuple[tuple[ModelCard, ...], tuple[SubcktCard, ...]]:
    r"""Models and sub-circuits of a text, in order; not those inside of a sub-circuit, which nobody else can use.

    Example:
        >>> models, subckts = read_cards(".model nch nmos\n* oxide\n+ level = 54\n.subckt dev d g s b w=1\n.ends")
        >>> models[0].level, subckts[0].pins
        (54, ('d', 'g', 's', 'b'))
    """
    models: list[ModelCard] = []
    subckts: list[SubcktCard] = []
    depth = 0
    for line in logical_lines(text):
        word, name = [*line.split(), "", ""][:2]
        if word == ".subckt":
            depth += 1
            if depth == 1:
                subckts.append(_subckt(line))
        elif word == ".ends":
            depth = max(depth - 1, 0)
        elif word == ".param" and depth == 1:
            # An instance sets these too.
            head = subckts[-1]
            subckts[-1] = replace(head, parameters=head.parameters | set(_NAME.findall(line)))
        elif word == ".model" and depth == 0 and name:
            models.append(_model(line))
    return tuple(models), tuple(subckts)


def _model(line: str) -> ModelCard:
    name, kind = re.sub(r"\(", " ", f"{line} -").split()[1:3]
    level = re.search(r"(?<![\w.])level\s*=\s*(\d+)", line)
    return ModelCard(name=name, type=kind, level=int(level.group(1)) if level else None)


def _subckt(line: str) -> SubcktCard:
    # "a = 1" is one word; pins end where the first parameter begins.
    words = re.sub(r"\s*=\s*", "=", line).split()[1:]
    first = next((i for i, word in enumerate(words) if "=" in word or word == "params:"), len(words))
    names = frozenset(_NAME.findall(" ".join(words[first:])))
    return SubcktCard(name=words[0] if words else "", pins=tuple(words[1:first]), parameters=names)


def logical_lines(text: str) -> Iterator[str]:
    """Lines in lower case with their continuations joined, without comments and empty lines."""
    joined = ""
    for raw in text.lower().split("\n"):
        line = "" if raw.lstrip().startswith("*") else re.split(r";|//|(?<![^\s,])\$", raw)[0].strip()
        if not line:
            continue
        if line.startswith("+"):
            joined += f" {line[1:]}"
            continue
        if joined:
            yield joined
        joined = line
    if joined:
        yield joined

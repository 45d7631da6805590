"""Model files made of several files: one text out of all that `.include` and `.lib` name."""

import os
import re
from pathlib import Path

from prcim.errors import InputError

#: What ngspice runs as a command wherever it meets it; it compares beginnings, and looks into comments for "*#".
_COMMAND = re.compile(r"\s*(\.control|\.exec|\.csparam|\.codemodel|\.end(?=\s|$)|\*#)", re.IGNORECASE)
_FOREIGN = re.compile(
    r"\s*\.(?P<word>inc|lib|endl)\w*"
    r"""(?:\s+(?:"(?P<double>[^"]*)"|'(?P<single>[^']*)'|(?P<bare>[^\s"']+)))?"""
    r"(?:\s+(?P<section>[^\s$;/]\S*))?",
    re.IGNORECASE,
)

_Lines = list[tuple[int, str]]
_Place = tuple[Path, str | None]


def flatten(path: Path, section: str | None = None) -> str:
    """The text of a model file with everything that it includes, so that it needs no other file.

    `.include "file"` and `.lib "file" section` are replaced by what they name; a path counts from the folder of the
    file that it stands in. `.lib section` ... `.endl` begins and ends a section of a file.

    Args:
        path: the file.
        section: one of its sections; None for a file without sections.

    Raises:
        InputError: a file or a section is missing, files include each other in a circle, or one is no text or holds
            commands.
    """
    return _flatten(path, section, ())


def _flatten(path: Path, section: str | None, chain: tuple[_Place, ...]) -> str:
    here = (Path(os.path.realpath(path)), section and section.lower())
    if here in chain:
        names = " -> ".join(place.name for place, _ in (*chain[chain.index(here) :], here))
        raise InputError(f"model file {path} includes itself: {names}; take one of these lines out")
    parent = chain[-1][0] if chain else None
    lines = []
    for number, line in _section(path, _blocks(path, _read(path, parent)), section, inside=parent is not None):
        where = f"model file {path}, line {number}"
        if command := _COMMAND.match(line):
            raise InputError(
                f"{where}: {command.group().strip()!r} is a command or ends the deck; a model file holds models,"
                " nothing else: take the line out"
            )
        if (found := _FOREIGN.match(line)) is None:
            lines.append(line)
            continue
        name = found["double"] or found["single"] or found["bare"]
        if not name or not name.isprintable():
            raise InputError(f"{where}: {line.strip()!r} names no file")
        wanted = found["section"] if found["word"].lower() == "lib" else None
        lines.append(_flatten(path.parent / name, wanted, (*chain, here)).rstrip("\n"))
    return "\n".join(lines)


def _read(path: Path, parent: Path | None) -> str:
    by = f", which {parent.name} includes," if parent else ""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        advice = "look at the path" if parent else "give the path of a BSIM4 or BSIM3 file for ngspice"
        raise InputError(f"model file {path}{by} does not exist; {advice}") from None
    except (OSError, ValueError) as error:
        raise InputError(f"model file {path}{by} cannot be read as text ({error})") from error


def _blocks(path: Path, text: str) -> dict[str | None, _Lines]:
    """Numbered lines of each section, by its name in lower case; None holds what stands outside of all."""
    blocks: dict[str | None, _Lines] = {None: []}
    now: str | None = None
    for number, line in enumerate(text.split("\n"), 1):
        found = _FOREIGN.match(line)
        word = found["word"].lower() if found else ""
        if found and word == "lib" and found["bare"] and not found["section"]:
            if now is not None:
                raise InputError(f"model file {path}, line {number}: section {now!r} has no .endl before the next")
            now = found["bare"].lower()
            blocks.setdefault(now, [])
        elif word == "endl":
            if now is None:
                raise InputError(f"model file {path}, line {number}: .endl ends no section")
            now = None
        else:
            blocks[now].append((number, line))
    if now is not None:
        raise InputError(f"model file {path}: section {now!r} has no .endl")
    return blocks


def _section(path: Path, blocks: dict[str | None, _Lines], section: str | None, *, inside: bool) -> _Lines:
    known = ", ".join(name for name in blocks if name is not None)
    if section is None and known:
        advice = 'name one: .lib "FILE" SECTION' if inside else "choose one with section (--section)"
        raise InputError(f"model file {path} has sections: {known}; {advice}")
    if section is not None and section.lower() not in blocks:
        had = f"it has: {known}" if known else "it has no sections"
        raise InputError(f"model file {path} has no section {section!r}; {had}")
    return blocks[section and section.lower()]

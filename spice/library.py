"""Files of transistor models: the project's own, or a user's."""

import difflib
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from pathlib import Path

from prcim.errors import InputError
from prcim.spice.cards import ModelCard, SubcktCard, read_cards
from prcim.spice.include import flatten

#: A message names no more than so many models.
NAMES_SHOWN = 12


@dataclass(frozen=True, kw_only=True)
class ModelLibrary:
    """The text of a model file, read once, so that a later change of the file cannot change a running job.

    Attributes:
        name: the file's name, for messages.
        text: its content, complete in itself.

    Example:
        >>> "prcim65_nmos_sram" in own_library().models
        True
        >>> own_library().model("prcim65_nmos_sram").level
        54
    """

    name: str
    text: str

    @cached_property
    def sha256(self) -> str:
        """Checksum of the text; part of a plan's identity."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    @cached_property
    def _cards(self) -> tuple[tuple[ModelCard, ...], tuple[SubcktCard, ...]]:
        return read_cards(self.text)

    @property
    def models(self) -> tuple[str, ...]:
        """Names of the models in the file, lower case, in order."""
        return tuple(card.name for card in self._cards[0])

    @property
    def subckts(self) -> tuple[str, ...]:
        """Names of the sub-circuits in the file, lower case, in order."""
        return tuple(card.name for card in self._cards[1])

    def model(self, name: str) -> ModelCard:
        """The card of a model, or the first of its bins `name.1`, `name.2`, ...; of several, ngspice takes the first.

        Raises:
            InputError: there is none.
        """
        wanted = re.compile(rf"{re.escape(name.lower())}(\.\d+)?")
        for card in self._cards[0]:
            if wanted.fullmatch(card.name):
                return card
        if name.lower() in self.subckts:
            raise InputError(f"{self.name}: {name!r} is a sub-circuit, not a model; set subckt = true (--subckt)")
        raise InputError(f"{self.name} has no transistor model {name!r}; it has: {_shown(self.models, name)}")

    def subckt(self, name: str) -> SubcktCard:
        """The head of a sub-circuit.

        Raises:
            InputError: there is none.
        """
        for card in self._cards[1]:
            if card.name == name.lower():
                return card
        if name.lower() in self.models:
            raise InputError(f"{self.name}: {name!r} is a model, not a sub-circuit; leave subckt (--subckt) out")
        raise InputError(f"{self.name} has no sub-circuit {name!r}; it has: {_shown(self.subckts, name)}")


def own_library() -> ModelLibrary:
    """The project's own 65nm-style cards."""
    return ModelLibrary(name="prcim65.lib", text=(files("prcim.spice") / "models" / "prcim65.lib").read_text("utf-8"))


def read_library(path: Path, section: str | None = None) -> ModelLibrary:
    """A user's model file with all that it includes.

    Args:
        path: the file.
        section: the section of it that counts; None where it has none.

    Raises:
        InputError: a file or a section is missing, is no text, includes itself, or holds commands.
    """
    name = path.name if section is None else f"{path.name} section {section}"
    return ModelLibrary(name=name, text=flatten(path, section))


def _shown(names: Sequence[str], wanted: str) -> str:
    """Names for a message: all of a few, of many those that resemble what was wanted."""
    if len(names) <= NAMES_SHOWN:
        return ", ".join(names) or "none"
    near = difflib.get_close_matches(wanted.lower(), names, n=NAMES_SHOWN) or names[:NAMES_SHOWN]
    return f"{', '.join(near)} and {len(names) - len(near)} more"

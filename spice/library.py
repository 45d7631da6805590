"""Files of transistor models: the project's own, or a user's."""

import hashlib
import re
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from prcim.errors import InputError


@dataclass(frozen=True, kw_only=True)
class ModelLibrary:
    """The text of a model file, read once, so that a later change of the file cannot change a running job.

    Attributes:
        name: the file's name, for messages.
        text: its content.

    Example:
        >>> "prcim65_nmos_sram" in own_library().models
        True
    """

    name: str
    text: str

    @property
    def sha256(self) -> str:
        """Checksum of the text; part of a plan's identity."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    @property
    def models(self) -> tuple[str, ...]:
        """Names of the models in the file, lower case, in order."""
        return tuple(
            name.lower() for name in re.findall(r"^\s*\.model\s+(\S+)", self.text, re.MULTILINE | re.IGNORECASE)
        )

    def require(self, model: str) -> str:
        """`model` itself, after checking that the file has it.

        Raises:
            InputError: it has not.
        """
        if model.lower() not in self.models:
            known = ", ".join(self.models) or "none"
            raise InputError(f"{self.name} has no transistor model {model!r}; it has: {known}")
        return model


def own_library() -> ModelLibrary:
    """The project's own 65nm-style cards."""
    return ModelLibrary(name="prcim65.lib", text=(files("prcim.spice") / "models" / "prcim65.lib").read_text("utf-8"))


def read_library(path: Path) -> ModelLibrary:
    """A user's model file.

    Its text goes into every deck, so it must be complete in itself, and hold nothing but models.

    Raises:
        InputError: it is not there, not a text, includes other files, or holds commands.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InputError(
            f"model file {path} does not exist; give the path of a BSIM4 or BSIM3 file for ngspice"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"model file {path} cannot be read as text ({error})") from error
    foreign = re.search(
        r"^\s*\.(control|include|inc|lib|end|exec|csparam|codemodel)\b", text, re.MULTILINE | re.IGNORECASE
    )
    if foreign:
        raise InputError(
            f"model file {path} has a line {foreign.group().strip()!r}; give one file that holds all its models and"
            " nothing else, without commands and without including other files"
        )
    return ModelLibrary(name=path.name, text=text)

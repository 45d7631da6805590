"""Chains that come from a user's own model."""

from dataclasses import dataclass
from typing import Any, final

from prcim.bnn.models.chain import ChainSpec, Stage
from prcim.errors import InputError


@final
@dataclass(frozen=True, kw_only=True)
class ConvertedSpec(ChainSpec):
    """A chain whose stages are given one by one.

    Attributes:
        listed: the stages.
    """

    listed: tuple[Stage, ...]

    @classmethod
    def for_images(cls, size: tuple[int, int, int], **options: Any) -> "ConvertedSpec":
        """There is none: a converted network knows the size of its images.

        Raises:
            InputError: always.
        """
        raise InputError("a converted network comes from prcim.bnn.convert, not from a name; name another model")

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> "ConvertedSpec":
        """The description from its fields, as JSON gives them back."""
        return cls(**{**fields, "listed": tuple(Stage(**stage) for stage in fields["listed"])})

    def stages(self) -> tuple[Stage, ...]:
        """The layers."""
        return self.listed

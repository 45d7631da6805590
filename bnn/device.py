"""Where networks are trained and judged: on the CPU, or on a GPU."""

import torch

from prcim.errors import InputError

DEVICES = ("cpu", "cuda")


def named_device(name: str) -> torch.device:
    """A device by name.

    Raises:
        InputError: there is none of that name, or torch finds no GPU.

    Example:
        >>> named_device("cpu")
        device(type='cpu')
    """
    if name not in DEVICES:
        raise InputError(f"there is no device {name!r}; known ones are: {', '.join(DEVICES)}")
    if name == "cuda" and not torch.cuda.is_available():
        built = f"is built for CUDA {torch.version.cuda}" if torch.version.cuda else "is built without CUDA"
        raise InputError(
            f"torch finds no GPU, and torch {torch.__version__} {built}; take cpu, or check the driver and install a"
            " torch for it"
        )
    return torch.device(name)

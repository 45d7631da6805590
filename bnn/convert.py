"""A user's own binary PyTorch model as a network on columns."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from prcim.bnn.column_layers import ColumnLayer
from prcim.bnn.layers import BatchNorm
from prcim.bnn.models.chain import Chain, Stage
from prcim.bnn.models.converted import ConvertedSpec
from prcim.bnn.trace import Block, trace
from prcim.cells.readouts.readout import Adc
from prcim.characterize.lut.error_lut import ErrorLUT
from prcim.errors import InputError


def convert(
    model: nn.Module,
    lut: ErrorLUT,
    *,
    size: tuple[int, int, int] | None = None,
    signs: Sequence[type[nn.Module]] = (),
    pixel_scale: float = 1.0,
    replace_zero_padding: bool = False,
    **columns: Any,
) -> Chain:
    """Puts the layers between the first and the last of a chain onto columns.

    The model is a chain of `nn.Linear` and `nn.Conv2d`, or of classes derived from them, each followed by an optional
    max pool, an optional batch norm and a sign; the last one by an optional batch norm. Of a derived class the signs of
    the weights count; a plain layer has weights of one size in each output. What a model has between its layers is
    taken as it is in evaluation.

    With an ADC that resolves every sum the result gives the model's own scores. With a coarser one, and with a
    majority, whose columns share the threshold of their output among them, it is a start for a training.

    Args:
        model: the user's; it is left as it is.
        lut: the table of the columns.
        size: channels, height and width of images, which a convolution needs.
        signs: classes of modules that give +-1, where these are not `torch.sign`. A sum of zero counts as +1.
        pixel_scale: what the model takes for a pixel of 1 here, where pixels are the integers of `Images`; 1 / 255 for
            a model that takes -1..1.
        replace_zero_padding: take -1 where a layer on columns pads with 0, which hardware has not.
        columns: fields of `NetworkSpec`: readout, adc_bits, bias_rows, ...

    Returns:
        A network in evaluation mode; a `Checkpoint` with the model "converted" keeps it.

    Raises:
        InputError: with the layer's name and the reason.

    Example:
        >>> from prcim.characterize.lut.file import open_lut
        >>> class Sign(nn.Module):
        ...     def forward(self, x):
        ...         return torch.where(x >= 0, 1.0, -1.0)
        >>> class Binary(nn.Linear):
        ...     def forward(self, x):
        ...         return nn.functional.linear(x, torch.where(self.weight >= 0, 1.0, -1.0), self.bias)
        >>> own = nn.Sequential(Binary(64, 128), Sign(), Binary(128, 64), Sign(), Binary(64, 10)).eval()
        >>> made = convert(own, open_lut("package:8t-64"), signs=[Sign], readout="adc", adc_bits=7, adc_step=2)
        >>> x = torch.where(torch.arange(640).reshape(10, 64) % 7 < 3, 5.0, -3.0)
        >>> torch.equal(made(x), own(x))
        True
    """
    blocks = trace(model, tuple(signs))
    first = blocks[0].layer
    if isinstance(first, nn.Conv2d):
        if size is None or size[1] != size[2] or size[0] != first.in_channels:
            raise InputError(
                f"{blocks[0].name} takes images of {first.in_channels} channels; give their size=(channels, side, side)"
            )
        channels, side = size[0], size[1]
    else:
        channels, side = first.in_features, 1
    edges = [0, *(block.edge for block in blocks[:-1])]
    for number, block in enumerate(blocks):
        _check(block, number in (0, len(blocks) - 1), replace_zero_padding)
    last = blocks[-1].layer
    if isinstance(last, nn.Conv2d):
        raise InputError(
            f"{blocks[-1].name} is a convolution at the end; the last layer gives the scores: take a Linear"
        )
    spec = ConvertedSpec(
        classes=last.out_features,
        rows=lut.rows,
        n_used=lut.n_used,
        channels=channels,
        side=side,
        listed=tuple(_stage(block, edge) for block, edge in zip(blocks, edges, strict=True)),
        **columns,
    )
    spec.check_table(lut.rows, lut.n_used)
    _check_inputs(spec, blocks)
    made = Chain(spec).eval()
    with torch.no_grad():
        made.first_norm.load_state_dict(_load(made.first, blocks[0], pixel_scale).state_dict())
        for layer, block in zip(made.columns, blocks[1:-1], strict=True):
            _load_columns(layer, _load(layer, block, 1.0))
        made.last_norm.load_state_dict(_load(made.last, blocks[-1], 1.0).state_dict())
    return made


def _stage(block: Block, edge: int) -> Stage:
    if isinstance(block.layer, nn.Linear):
        return Stage(kind="linear", outputs=block.layer.out_features, name=block.name)
    return Stage(
        kind="conv",
        outputs=block.layer.out_channels,
        kernel=block.layer.kernel_size[0],
        stride=block.layer.stride[0],
        padding=int(block.layer.padding[0]) + edge,
        pool=block.pool,
        name=block.name,
    )


def _check(block: Block, digital: bool, replace_zero_padding: bool) -> None:
    """Refuses layers that columns cannot hold."""
    layer, name = block.layer, block.name
    if isinstance(layer, nn.Conv2d):
        if layer.groups != 1 or set(layer.dilation) != {1}:
            raise InputError(f"{name} has groups or dilation; a column takes all channels of a dense window")
        if (
            isinstance(layer.padding, str)
            or len({*layer.kernel_size}) + len({*layer.stride}) + len({*layer.padding}) > 3
        ):
            raise InputError(f"{name} has a window, stride or padding that is not square or not a number; make it so")
        if layer.padding[0] and layer.padding_mode != "zeros":
            raise InputError(f"{name} pads by {layer.padding_mode!r}; there is -1 on columns, and 0 in the first layer")
        if layer.padding[0] and not digital and not replace_zero_padding:
            raise InputError(
                f"{name} pads with 0, and a row of a column takes +1 or -1; train it with -1 around the image"
                " or say replace_zero_padding=True"
            )
    elif block.pool > 1:
        raise InputError(f"{name} is linear and has a max pool behind it; only convolutions have neighbours")
    size = layer.weight.detach().abs().flatten(1)
    if type(layer) in (nn.Linear, nn.Conv2d) and not torch.allclose(size, size[:, :1], rtol=1e-5, atol=0):
        raise InputError(
            f"{name} is a plain {type(layer).__name__} whose weights have many sizes; binarize it: weights of one size"
            " in each output, or a class of your own whose forward takes their signs"
        )
    if not bool(torch.isfinite(size).all()):
        raise InputError(f"{name} has weights that are not finite numbers; train it again")


def _check_inputs(spec: ConvertedSpec, blocks: list[Block]) -> None:
    for shape, block in zip(spec.layers(), blocks, strict=True):
        needed = block.layer.weight[0].numel()
        if shape.inputs != needed:
            raise InputError(
                f"{block.name} has {needed} inputs, but {shape.inputs} come from the layer before; check the size of"
                f" images, now {spec.channels} x {spec.side} x {spec.side}"
            )


def _load(layer: nn.Module, block: Block, scale: float) -> BatchNorm:
    """Takes over the signs of the weights; returns the norm of the exact sums that stands for all behind them.

    Scores or signs are those of a S + bias with a the weights' size, normalized: mean and spread are divided by a.
    """
    weight = block.layer.weight.detach().float()
    plain = type(block.layer) in (nn.Linear, nn.Conv2d)
    size = weight.flatten(1).abs()[:, 0].double() if plain else torch.ones(len(weight), dtype=torch.float64)
    size = size.clamp_min(1e-30) * scale
    bias = torch.zeros_like(size) if block.layer.bias is None else block.layer.bias.detach().double()
    norm = BatchNorm(len(weight)).eval()
    if block.norm is None:
        mean, gain, shift, sd = (
            torch.zeros_like(size),
            torch.ones_like(size),
            torch.zeros_like(size),
            torch.ones_like(size),
        )
    else:
        of = block.norm
        assert of.running_mean is not None
        assert of.running_var is not None
        mean, sd = of.running_mean.double(), torch.sqrt(of.running_var.double() + of.eps)
        gain = of.weight.detach().double() if of.affine else torch.ones_like(size)
        shift = of.bias.detach().double() if of.affine else torch.zeros_like(size)
    sign = torch.where(weight >= 0, 1.0, -1.0)
    mean, sd = (mean - bias) / size, sd / size
    if block.pool_last:
        # A pool behind the sign is an OR of bits; before the norm it is one where the gain is positive.
        turn = torch.where(gain < 0, -1.0, 1.0)
        sign = sign * turn.float().reshape(-1, *[1] * (sign.dim() - 1))
        mean, gain = mean * turn, gain * turn
    assert norm.running_mean is not None
    assert norm.running_var is not None
    norm.running_mean.copy_(mean)
    # The spread goes into the gain, so that no rounding of a variance gets between a sum and its threshold.
    norm.running_var.fill_(1 - norm.eps)
    norm.weight.copy_(gain / sd)
    norm.bias.copy_(shift)
    layer.weight.copy_(sign.reshape(layer.weight.shape))  # type: ignore[operator, arg-type]
    return norm


def _load_columns(layer: ColumnLayer, norm: BatchNorm) -> None:
    """The norm of an output's sum, or the thresholds of its columns."""
    if isinstance(layer.readout, Adc):
        layer.norm.load_state_dict(norm.state_dict())
        return
    if hasattr(layer, "column_norm"):
        raise InputError(
            f"column layer {layer.index}: a model has one norm an output, not one a column; convert without column_norm"
        )
    assert norm.running_mean is not None
    gain = norm.weight.detach()
    limit = float(layer.weight[0].numel() + 1)
    at = norm.running_mean - norm.bias / torch.where(gain == 0, 1.0, gain)
    at = torch.where(gain == 0, torch.where(norm.bias >= 0, -limit, limit), at)
    turn = torch.where(gain < 0, -1.0, 1.0)
    # Flipped, -S >= -th; the columns of an output share its threshold evenly.
    layer.weight.mul_(turn.reshape(-1, *[1] * (layer.weight.dim() - 1)))
    layer.flipped.copy_((gain < 0) & (layer.pool > 1))
    layer.threshold.copy_((at * turn / layer.groups).expand_as(layer.threshold))

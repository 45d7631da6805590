"""Digital layers of a binary network, exact for integers, and the batch norm between any two layers."""

import torch
from torch import Tensor, nn

from prcim.bnn.binarize import sign
from prcim.bnn.column_sum import patches

#: Integers above have neighbours that float32 cannot tell apart.
_EXACT = float(1 << 24)


class BatchNorm(nn.BatchNorm1d):
    """Batch normalization whose evaluation is the same for an image whatever stands beside it in the batch.

    Library kernels may fuse a multiplication with an addition for some elements and not for others; here each step
    rounds on its own.

    Attributes:
        lasting: in training, normalize by the running statistics and only let them follow the batch. A batch sees one
            chip: its own statistics would take off what lasts on that chip, which judging by running ones does not.
        channels_last: leave images with their channels last in memory; else they are laid out anew, channels first.
    """

    lasting = False
    channels_last = False

    def forward(self, input: Tensor) -> Tensor:
        """Normalizes (B, features) or (B, features, H, W)."""
        if input.dim() == 4 and not self.channels_last:
            flat: Tensor = self(input.flatten(2))
            return flat.reshape(input.shape)
        if self.training or self.running_mean is None or self.running_var is None:
            by_batch = super().forward(input)
            if not self.lasting or self.running_mean is None or self.running_var is None:
                return by_batch
        shape = (-1,) + (1,) * (input.dim() - 2)
        gain = (self.weight / torch.sqrt(self.running_var + self.eps)).reshape(shape)
        return (input - self.running_mean.reshape(shape)) * gain + self.bias.reshape(shape)

    def _check_input_dim(self, input: Tensor) -> None:
        if input.dim() != 4:
            super()._check_input_dim(input)

    def binarized(self, input: Tensor) -> Tensor:
        """The sign of the normalized sums; judging compares integers with a threshold instead.

        Args:
            input: integers, (B, features) or (B, features, H, W).

        Example:
            >>> norm = BatchNorm(1).eval()
            >>> norm.running_mean.fill_(0.5)
            tensor([0.5000])
            >>> norm.binarized(torch.tensor([[0.0], [1.0]])).tolist()
            [[-1.0], [1.0]]
        """
        if self.training:
            return sign(self(input))
        threshold, gain = self.folded()
        shape = (-1,) + (1,) * (input.dim() - 2)
        threshold, gain = threshold.reshape(shape), gain.reshape(shape)
        # Both sides are integers, so that nothing is rounded; a gain of zero leaves the sign of the bias.
        above = torch.where(gain < 0, input <= threshold, input >= threshold)
        hard = torch.where(above, 1.0, -1.0).to(input.dtype)
        if not torch.is_grad_enabled():
            return hard
        soft = sign(self(input))
        return hard + (soft - soft.detach())

    @torch.no_grad()
    def folded(self) -> tuple[Tensor, Tensor]:
        """Threshold of each feature, an integer in float32, and the gain whose sign says on which side +1 lies.

        sign(g (s - mu) / sd + b) is +1 from s = mu - b sd / g on, up where g > 0 and down where g < 0.

        Returns:
            Two tensors of shape (features,).
        """
        if self.running_mean is None or self.running_var is None:
            raise TypeError("a batch norm without statistics has no threshold")
        gain, bias = self.weight.double(), self.bias.double()
        sd = torch.sqrt(self.running_var.double() + self.eps)
        at = self.running_mean.double() - bias * sd / torch.where(gain == 0, 1.0, gain)
        constant = torch.where(bias >= 0, -_EXACT, _EXACT)
        at = torch.where(gain == 0, constant, torch.where(gain > 0, at.ceil(), at.floor()))
        return at.clamp(-_EXACT, _EXACT).to(torch.float32), self.weight.detach()


class DigitalLayer(nn.Module):
    """A layer with latent weights whose signs count, computed without columns.

    Args:
        shape: of the weights, outputs first.
        generator: for the starting weights.
    """

    def __init__(self, shape: tuple[int, ...], *, generator: torch.Generator) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(*shape, generator=generator) * 0.1)


class BinaryLinear(DigitalLayer):
    """A digital layer with weights +-1: (B, inputs) -> (B, outputs). Exact while inputs are integers below 2^17.

    Args:
        inputs, outputs: sizes.
        generator: for the starting weights.
    """

    def __init__(self, inputs: int, outputs: int, *, generator: torch.Generator) -> None:
        super().__init__((outputs, inputs), generator=generator)

    def forward(self, x: Tensor) -> Tensor:
        """X (B, inputs) -> (B, outputs)."""
        return x @ sign(self.weight).t()


class BinaryConv2d(DigitalLayer):
    """A digital convolution with weights +-1: (B, C, H, W) -> (B, O, H', W'), padded with zeros, which digital has.

    Exact while inputs are integers and sums stay below 2^24: it is a matrix product, of which every order of
    summation is exact; a library's convolution may take another way (Winograd).

    Args:
        channels, outputs: sizes.
        kernel, stride, padding: of the window.
        generator: for the starting weights.
    """

    def __init__(
        self,
        channels: int,
        outputs: int,
        *,
        kernel: int = 3,
        stride: int = 1,
        padding: int = 1,
        generator: torch.Generator,
    ) -> None:
        super().__init__((outputs, channels, kernel, kernel), generator=generator)
        self.stride, self.padding = stride, padding

    def forward(self, x: Tensor) -> Tensor:
        """X (B, C, H, W) -> (B, O, H', W')."""
        kernel = self.weight.shape[-1]
        padded = nn.functional.pad(x, (self.padding,) * 4)
        weight = sign(self.weight).permute(0, 2, 3, 1).flatten(1)
        product = patches(padded, kernel=kernel, stride=self.stride) @ weight.t()
        height, width = ((length - kernel) // self.stride + 1 for length in padded.shape[2:])
        return product.transpose(1, 2).reshape(len(x), -1, height, width)

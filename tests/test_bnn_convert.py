"""A user's own model on columns: the same scores, or the layer's name and the reason why not."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tables import make_lut, make_tables, only
from torch import Tensor, nn

from prcim.bnn.checkpoint import Checkpoint, load_checkpoint
from prcim.bnn.column_layers import ColumnConv2d
from prcim.bnn.convert import convert
from prcim.bnn.noise import Reads, VirtualChip
from prcim.errors import InputError

N = 24
LUT = make_lut(rows=N)
EXACT: dict[str, Any] = {"readout": "adc", "adc_bits": 6, "adc_step": 2, "bias_rows": 0}


class Sign(nn.Module):
    """The user's own."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.where(x >= 0, 1.0, -1.0).to(x.dtype)


class SignLinear(nn.Linear):
    """A layer whose forward takes the signs of its weights."""

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.linear(x, torch.where(self.weight >= 0, 1.0, -1.0).to(x.dtype), self.bias)


class SignConv2d(nn.Conv2d):
    """The same for convolutions."""

    def forward(self, x: Tensor) -> Tensor:
        weight = torch.where(self.weight >= 0, 1.0, -1.0).to(x.dtype)
        return nn.functional.conv2d(x, weight, self.bias, self.stride, self.padding)


class Own(nn.Module):
    """A model that is no nn.Sequential: pools before the norm and behind the sign, padding by -1, one layer bare."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = SignConv2d(1, 8, 3, padding=1)
        self.norm1 = nn.BatchNorm2d(8)
        self.edge = nn.ConstantPad2d(1, -1.0)
        self.conv2 = SignConv2d(8, 12, 3)
        self.norm2 = nn.BatchNorm2d(12)
        self.pool = nn.MaxPool2d(2)
        self.conv3 = SignConv2d(12, 8, 3, bias=False)
        self.norm3 = nn.BatchNorm2d(8)
        self.fc1 = SignLinear(8, 32)
        self.drop = nn.Dropout(0.3)
        self.fc2 = SignLinear(32, 10)
        self.norm4 = nn.BatchNorm1d(10)
        self.sign = Sign()

    def forward(self, x: Tensor) -> Tensor:
        x = self.sign(self.norm1(self.conv1(x)))
        x = self.sign(self.norm2(self.pool(self.conv2(self.edge(x)))))
        x = self.pool(self.sign(self.norm3(self.conv3(x))))
        x = self.sign(self.fc1(torch.flatten(x, 1)))
        out: Tensor = self.norm4(self.fc2(self.drop(x)))
        return out


def settled(model: nn.Module, x: Tensor) -> nn.Module:
    """With gains of both signs and the statistics of some images."""
    generator = torch.Generator().manual_seed(0)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.weight.data.copy_(torch.randn(module.num_features, generator=generator))
            module.bias.data.copy_(0.3 * torch.randn(module.num_features, generator=generator))
    with torch.no_grad():
        for _ in range(30):
            model.train()(x)
    return model.double().eval()


def images(count: int = 60, side: int = 8) -> Tensor:
    generator = torch.Generator().manual_seed(5)
    return 2.0 * torch.randint(0, 256, (count, 1, side, side), generator=generator) - 255


def test_a_model_gives_its_own_scores() -> None:
    torch.manual_seed(1)
    x = images(side=10)
    own = settled(Own(), x)
    made = convert(own, LUT, size=(1, 10, 10), signs=[Sign], **EXACT)
    with torch.inference_mode():
        wanted = own(x.double())
        assert torch.allclose(made(x.flatten(1)).double(), wanted, atol=1e-4)
    assert float(wanted.std(0).mean()) > 0.1
    assert [layer.outputs for layer in made.columns] == [12, 8, 32]
    assert not made.training


@pytest.mark.parametrize("alpha", [1.0, 0.03])
def test_weights_of_one_size_and_pixels_of_any_scale(alpha: float) -> None:
    """A plain nn.Linear whose weights are +-a, as after XNOR-Net's scaling, on pixels of -1..1."""
    torch.manual_seed(2)
    layers = [nn.Linear(64, 48), nn.BatchNorm1d(48), Sign(), nn.Linear(48, 24, bias=False), nn.BatchNorm1d(24), Sign(),
              nn.Linear(24, 10)]  # fmt: skip
    for layer in layers:
        if isinstance(layer, nn.Linear):
            size = alpha * (1 + torch.rand(layer.out_features, 1))
            layer.weight.data = torch.where(layer.weight >= 0, 1.0, -1.0) * size
    x = images().flatten(1)
    own = settled(nn.Sequential(*layers), x / 255)
    made = convert(own, LUT, signs=[Sign], pixel_scale=1 / 255, **EXACT)
    with torch.inference_mode():
        wanted = own(x.double() / 255)
        found = made(x).double()
    assert torch.allclose(found, wanted, rtol=1e-3, atol=1e-4 * float(wanted.abs().max()))
    assert float(wanted.std(0).mean()) > 0.01 * alpha


def test_a_majority_of_one_column_an_output_is_the_model_too() -> None:
    """Where no output is cut, its column's threshold is the norm's; flipped outputs have an AND for their pool."""
    torch.manual_seed(3)
    own = settled(
        nn.Sequential(
            SignConv2d(1, 2, 3), nn.BatchNorm2d(2), Sign(), SignConv2d(2, 12, 3), nn.MaxPool2d(2), nn.BatchNorm2d(12),
            Sign(), nn.Flatten(), SignLinear(48, 10),
        ),
        images(),
    )  # fmt: skip
    made = convert(own, LUT, size=(1, 8, 8), signs=[Sign], bias_rows=6, dac_bits=10)
    (layer,) = made.columns
    assert isinstance(layer, ColumnConv2d)
    assert layer.groups == 1
    assert 0 < int(layer.flipped.sum()) < 12
    with torch.inference_mode():
        assert torch.allclose(made(images().flatten(1)).double(), own(images().double()), atol=1e-4)


def test_converting_and_loading_again_changes_nothing(tmp_path: Path) -> None:
    torch.manual_seed(1)
    x = images(side=10)
    made = convert(settled(Own(), x), LUT, size=(1, 10, 10), signs=[Sign], **EXACT)
    saved = Checkpoint(model="converted", dataset="digits", network=made, lut=LUT, noise="ideal", seed=0, epochs=0)
    saved.save(tmp_path / "own.safetensors")
    again = load_checkpoint(tmp_path / "own.safetensors").network
    assert again.spec == made.spec
    chip = VirtualChip(tables=make_tables(n_used=N), model="column", number=1)
    reads = Reads(images=torch.arange(len(x)))
    with torch.inference_mode():
        for given in ((x.flatten(1),), (x.flatten(1), chip, reads)):
            assert torch.equal(again(*given), made(*given))
        assert not torch.equal(made(x.flatten(1), chip, reads), made(x.flatten(1)))
        zero = VirtualChip(tables=only(make_tables(n_used=N)), model="column", number=1)
        assert torch.equal(made(x.flatten(1), zero, reads), made(x.flatten(1)))


# --- what is refused, by the layer's name ---


class Shortcut(nn.Module):
    """Adds what it had before."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.sign = SignLinear(24, 24), SignLinear(24, 24), Sign()

    def forward(self, x: Tensor) -> Tensor:
        h = self.sign(self.a(x))
        out: Tensor = self.b(h) + h
        return out


class Branch(nn.Module):
    """Looks at its data."""

    def forward(self, x: Tensor) -> Tensor:
        return x if bool(x.sum() > 0) else -x


def plain(middle: nn.Module, *rest: nn.Module) -> nn.Sequential:
    return nn.Sequential(SignLinear(64, 24), Sign(), middle, *rest, Sign(), SignLinear(24, 10))


def conv(middle: nn.Module, *rest: nn.Module) -> nn.Sequential:
    return nn.Sequential(SignConv2d(1, 8, 3), Sign(), middle, *rest, Sign(), nn.Flatten(), SignLinear(24, 10))


REFUSED: list[tuple[Callable[[], nn.Module], str]] = [
    (lambda: plain(nn.Linear(24, 24)), "2 is a plain Linear whose weights have many sizes; binarize it"),
    (lambda: plain(SignLinear(24, 24), nn.ReLU()), "3 is a ReLU, behind 2; columns can do max pool, batch norm"),
    (lambda: conv(nn.ConstantPad2d(1, 0.0), SignConv2d(8, 8, 3)), "2 is no even edge of -1 behind a sign"),
    (lambda: plain(SignLinear(20, 24)), "2 has 20 inputs, but 24 come from the layer before"),
    (lambda: plain(SignLinear(24, 24), nn.BatchNorm1d(24, track_running_stats=False)), "3 keeps no running statistics"),
    (lambda: plain(SignLinear(24, 24), Sign(), nn.BatchNorm1d(24)), "4 stands behind another norm or a sign"),
    (lambda: nn.Sequential(SignLinear(64, 24), SignLinear(24, 10)), "0 is not followed by a sign; only"),
    (lambda: nn.Sequential(SignLinear(64, 24)), "the model has 1 layers; first and last are digital"),
    (lambda: nn.Sequential(nn.BatchNorm1d(64), SignLinear(64, 24)), "0 comes before the first layer"),
    (Shortcut, "the model is no chain; for shortcuts see the model resnet18"),
    (lambda: plain(Branch()), "the model cannot be followed .*; write its forward without branches"),
    (lambda: conv(SignConv2d(8, 8, 3, padding=1)), "2 pads with 0, and a row of a column takes .1 or -1"),
    (lambda: conv(SignConv2d(8, 8, 3, groups=2)), "2 has groups or dilation"),
    (lambda: conv(SignConv2d(8, 8, (3, 1))), "2 has a window, stride or padding that is not square"),
    (lambda: conv(SignConv2d(8, 8, 3, padding=1, padding_mode="reflect")), "2 pads by 'reflect'; there is -1"),
    (lambda: conv(SignConv2d(8, 8, 3), nn.AvgPool2d(2)), "3 is a AvgPool2d, behind 2; columns can do max pool"),
    (lambda: conv(SignConv2d(8, 8, 3), nn.MaxPool2d(3, 2)), "3 is a pool whose squares overlap"),
    (lambda: conv(SignConv2d(8, 8, 3), nn.BatchNorm2d(8), nn.MaxPool2d(2)), "4 stands between a norm and its sign"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "message"), REFUSED, ids=[message[:30] for _, message in REFUSED])
def test_what_cannot_be_put_on_columns_is_named(make: Callable[[], nn.Module], message: str) -> None:
    torch.manual_seed(0)
    with pytest.raises(InputError, match=message):
        convert(make(), LUT, size=(1, 8, 8), signs=[Sign], **EXACT)


def test_sizes_and_tables_that_do_not_fit_are_named() -> None:
    model = conv(SignConv2d(8, 8, 3))
    with pytest.raises(InputError, match=r"0 takes images of 1 channels; give their size=\(channels, side, side\)"):
        convert(model, LUT, signs=[Sign], **EXACT)
    with pytest.raises(InputError, match="5 has 24 inputs, but 128 come from the layer before; check the size"):
        convert(model, LUT, size=(1, 8, 8), signs=[Sign], **EXACT)
    with pytest.raises(InputError, match="2 with 30 inputs on 24 rows needs columns with 15 used rows"):
        convert(
            nn.Sequential(SignLinear(64, 30), Sign(), SignLinear(30, 24), Sign(), SignLinear(24, 10)),
            LUT, signs=[Sign], readout="adc",
        )  # fmt: skip
    with pytest.raises(InputError, match="column layer 0: a model has one norm an output, not one a column"):
        convert(plain(SignLinear(24, 24)), LUT, signs=[Sign], column_norm=True)


def test_zero_padding_can_be_replaced() -> None:
    torch.manual_seed(1)
    zero = nn.Sequential(
        SignConv2d(1, 8, 3), Sign(), SignConv2d(8, 8, 3, padding=1), Sign(), nn.Flatten(), SignLinear(8 * 36, 10)
    ).eval()
    made = convert(zero, LUT, size=(1, 8, 8), signs=[Sign], replace_zero_padding=True, **EXACT)
    edge = nn.Sequential(zero[0], Sign(), nn.ConstantPad2d(1, -1.0), SignConv2d(8, 8, 3), Sign(), nn.Flatten(), zero[5])
    edge[3].load_state_dict(zero[2].state_dict())
    with torch.inference_mode():
        assert torch.allclose(made(images().flatten(1)), edge(images()), atol=1e-3)
        assert not torch.allclose(edge(images()), zero(images()))


def test_a_converted_network_has_a_spec_of_its_own() -> None:
    made = convert(plain(SignLinear(24, 24)), LUT, signs=[Sign], **EXACT)
    assert [layer.name for layer in made.spec.layers()] == ["0", "2", "4"]
    with pytest.raises(InputError, match=r"a converted network comes from prcim.bnn.convert"):
        type(made.spec).for_images((1, 8, 8))
    assert dataclasses.replace(made.spec) == made.spec

"""Every network of the registry: it trains, it is itself without errors, and a chip is the same however it is asked."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from tables import make_tables, only
from torch import Tensor
from torch.nn import functional

from prcim.bnn.column_layers import ColumnConv2d, ColumnLayer
from prcim.bnn.layers import BatchNorm
from prcim.bnn.mapping import groups_for
from prcim.bnn.models.chain import Chain, ChainSpec, Stage
from prcim.bnn.models.network import Network
from prcim.bnn.models.resnet18 import SHIFT, ResNet18, ResNet18Spec
from prcim.bnn.models.spec import NetworkSpec
from prcim.bnn.models.vgg9 import Vgg9Spec
from prcim.bnn.noise import Reads, VirtualChip
from prcim.bnn.registry import MODELS
from prcim.errors import InputError

SIZES = {"vgg9": (3, 8, 8), "resnet18": (3, 8, 8)}
SMALL: dict[str, dict[str, Any]] = {"mlp": {"width": 96}}
TABLES = make_tables(n_used=24)
READS = Reads(images=torch.randperm(100, generator=torch.Generator().manual_seed(0))[:6])


def spec(model: str, **options: Any) -> NetworkSpec:
    size = SIZES.get(model, (1, 8, 8))
    options = {"classes": 10, "rows": 24, "n_used": 24, "factor": 0.125, "bias_rows": 2, **options}
    return MODELS[model].spec.for_images(size, **{**options, **SMALL.get(model, {})})


def pixels(wanted: NetworkSpec, count: int = 6) -> Tensor:
    """Images of large patches: a deep network of chance weights cannot tell noise from noise."""
    channels = wanted.channels if isinstance(wanted, ChainSpec | ResNet18Spec) else 1
    generator = torch.Generator().manual_seed(3)
    patches = 2 * torch.randint(0, 256, (count, channels, 2, 2), generator=generator) - 255
    return patches.repeat_interleave(4, 2).repeat_interleave(4, 3).flatten(1).float()


def network(model: str, **options: Any) -> Network:
    """A network whose statistics are those of a few images, with gains of both signs."""
    made = MODELS[model].build(spec(model, **options), seed=4)
    generator = torch.Generator().manual_seed(1)
    for module in made.modules():
        if isinstance(module, BatchNorm):
            module.weight.data.copy_(1 + torch.randn(module.num_features, generator=generator))
            module.bias.data.copy_(0.3 * torch.randn(module.num_features, generator=generator))
    handles = [layer.register_forward_pre_hook(centre) for layer in made.column_layers()]
    with torch.no_grad():
        for _ in range(10):
            made(pixels(made.spec, 40))
    for handle in handles:
        handle.remove()
    return made.eval()


def centre(layer: torch.nn.Module, given: tuple[Any, ...]) -> None:
    """Puts thresholds where they divide what comes in."""
    assert isinstance(layer, ColumnLayer)
    if hasattr(layer, "threshold"):
        mean, var = layer.moments(given[0], None, None)
        shift = min((1.57 / layer.groups) ** 0.5, 1.0) if layer.pool > 1 else 0.0
        layer.threshold.data.copy_(mean + shift * var.sqrt())


HARDWARE: list[dict[str, Any]] = [
    {"readout": "adc"},
    {"readout": "majority"},
    {"readout": "majority", "thresholds": "bias", "column_norm": True},
]


@pytest.mark.parametrize("options", HARDWARE, ids=str)
@pytest.mark.parametrize("model", MODELS)
def test_every_network_trains_a_step(model: str, options: dict[str, Any]) -> None:
    made = MODELS[model].build(spec(model, **options), seed=4)
    before = {name: value.clone() for name, value in made.named_parameters()}
    optimizer = torch.optim.SGD(made.parameters(), lr=0.1)
    chip = VirtualChip(tables=TABLES, model="column", number=1, half="train")
    x, labels = pixels(made.spec), torch.arange(6)
    loss = functional.cross_entropy(made(x, chip, READS), labels)
    loss.backward()
    optimizer.step()
    made.clamp_latent()
    assert all(bool(torch.isfinite(value).all()) for value in made.parameters())
    assert not [name for name, value in made.named_parameters() if torch.equal(value, before[name])]
    assert functional.cross_entropy(made(x, chip, READS), labels) != loss


@pytest.mark.parametrize("options", HARDWARE, ids=str)
@pytest.mark.parametrize("model", MODELS)
def test_scores_of_an_image_do_not_depend_on_its_company(model: str, options: dict[str, Any]) -> None:
    made = network(model, **options)
    chip = VirtualChip(tables=TABLES, model="column", number=2)
    x, order = pixels(made.spec), torch.tensor([3, 5, 0, 1, 4, 2])
    with torch.inference_mode():
        wanted = made(x, chip, READS)
        alone = [made(x[i : i + 1], chip, Reads(images=READS.images[i : i + 1])) for i in range(6)]
        assert torch.equal(torch.cat(alone), wanted)
        assert torch.equal(made(x[order], chip, Reads(images=READS.images[order])), wanted[order])
        assert not torch.equal(made(x), wanted)


@pytest.mark.parametrize("options", HARDWARE, ids=str)
@pytest.mark.parametrize("model", MODELS)
def test_a_chip_without_errors_is_no_chip(model: str, options: dict[str, Any]) -> None:
    made = network(model, **options)
    x = pixels(made.spec)
    with torch.inference_mode():
        wanted = made(x)
        assert len(wanted.unique()) > 10
        for tables, noise in ((TABLES, "ideal"), (only(TABLES), "column"), (only(TABLES), "iid")):
            chip = VirtualChip(tables=tables, model=noise, number=2)  # type: ignore[arg-type]
            assert torch.equal(made(x, chip, READS), wanted)


# --- with converters that resolve every sum a network on columns is the network as PyTorch has it ---


EXACT = {"readout": "adc", "adc_bits": 6, "adc_step": 2}


def binary(x: Tensor) -> Tensor:
    return torch.where(x >= 0, 1.0, -1.0).to(x.dtype)


def normalized(norm: BatchNorm, x: Tensor) -> Tensor:
    mean, var = norm.running_mean, norm.running_var
    assert mean is not None
    assert var is not None
    gain, bias = norm.weight.double(), norm.bias.double()
    return functional.batch_norm(x, mean.double(), var.double(), gain, bias, training=False, eps=norm.eps)


def convolved(layer: ColumnConv2d, x: Tensor) -> Tensor:
    padded = functional.pad(x, (layer.padding,) * 4, value=-1.0)
    return functional.conv2d(padded, binary(layer.weight).double(), stride=layer.stride)


def plain_chain(net: Chain, x: Tensor) -> Tensor:
    side = net.spec.side
    h = x.double().reshape(-1, net.spec.channels, side, side)
    h = functional.conv2d(h, binary(net.first.weight).double(), padding=1)
    h = binary(normalized(net.first_norm, functional.max_pool2d(h, net.first_pool)))
    for layer in net.columns:
        if isinstance(layer, ColumnConv2d):
            h = binary(normalized(layer.norm, functional.max_pool2d(convolved(layer, h), layer.pool)))
        else:
            h = binary(normalized(layer.norm, h.flatten(1) @ binary(layer.weight).double().t()))
    return normalized(net.last_norm, h.flatten(1) @ binary(net.last.weight).double().t())


def plain_resnet(net: ResNet18, x: Tensor) -> Tensor:
    h = x.double().reshape(-1, net.spec.channels, net.spec.side, net.spec.side)
    h = (functional.conv2d(h, binary(net.first.weight).double(), padding=1) / 2**SHIFT).floor()
    for norm, layer in zip(net.norms, net.columns, strict=True):
        past = h
        h = convolved(layer, binary(normalized(norm, past)))
        if h.shape[2] != past.shape[2]:
            past = 4 * functional.avg_pool2d(past, 2)
            past = torch.cat([past, past], 1)
        h = h + past
    h = binary(normalized(net.end_norm, h)).mean((2, 3)) * h.shape[2] * h.shape[3]
    return normalized(net.last_norm, h @ binary(net.last.weight).double().t())


@pytest.mark.parametrize("model", ["convnet", "vgg9", "resnet18"])
def test_network_without_errors_is_that_of_plain_pytorch(model: str) -> None:
    made = network(model, **EXACT)
    x = pixels(made.spec, 20)
    with torch.inference_mode():
        if isinstance(made, ResNet18):
            wanted = plain_resnet(made, x)
        else:
            assert isinstance(made, Chain)
            wanted = plain_chain(made, x)
        # One bit that differed would move a score by some 0.05.
        assert float((made(x).double() - wanted).abs().max()) < 1e-4
    assert float(wanted.std()) > 0.1


# --- sizes ---


def test_vgg9_at_full_width_has_the_published_columns() -> None:
    """Kim et al., arXiv 1811.02187, 128 rows."""
    layers = Vgg9Spec.for_images((3, 32, 32), classes=10, rows=128, n_used=128).layers()
    assert [groups_for(layer.inputs, 128) for layer in layers[1:-1]] == [9, 9, 18, 18, 36, 64, 8]
    assert [layer.digital for layer in layers] == [True] + 7 * [False] + [True]
    assert [layer.outputs for layer in layers] == [128, 128, 256, 256, 512, 512, 1024, 1024, 10]
    assert [layer.positions for layer in layers] == [1024, 1024, 256, 256, 64, 64, 1, 1, 1]


def test_resnet18_halves_three_times() -> None:
    layers = ResNet18Spec.for_images((3, 32, 32), classes=10, rows=128, n_used=96, bias_rows=0).layers()
    on_columns = [layer for layer in layers if not layer.digital]
    assert len(on_columns) == 16
    assert [layer.positions for layer in on_columns] == 4 * [1024] + 4 * [256] + 4 * [64] + 4 * [16]
    assert [layer.inputs // 9 for layer in on_columns] == 5 * [64] + 4 * [128] + 4 * [256] + 3 * [512]


@pytest.mark.parametrize("model", MODELS)
def test_what_a_spec_says_is_what_a_network_has(model: str) -> None:
    made = network(model)
    shapes = [layer for layer in made.spec.layers() if not layer.digital]
    found = list(made.column_layers())
    assert [layer.index for layer in found] == list(range(len(found)))
    for shape, layer in zip(shapes, found, strict=True):
        assert (layer.weight[0].numel(), layer.outputs) == (shape.inputs, shape.outputs)
    again = MODELS[model].load(dataclasses.asdict(made.spec))
    assert again.spec == made.spec
    made.spec.check_table(24, 24)


def positions(made: Network) -> Iterator[int]:
    seen: list[int] = []
    handles = [
        layer.register_forward_hook(lambda module, given, result: seen.append(result[0, 0].numel() * module.pool**2))
        for layer in made.column_layers()
    ]
    made(pixels(made.spec))
    for handle in handles:
        handle.remove()
    return iter(seen)


@pytest.mark.parametrize("model", MODELS)
def test_positions_of_a_spec_are_those_that_are_computed(model: str) -> None:
    made = network(model)
    assert list(positions(made)) == [layer.positions for layer in made.spec.layers() if not layer.digital]


def test_width_factor_scales_every_hidden_layer() -> None:
    for model in MODELS:
        full, half = ([layer.outputs for layer in spec(model, factor=factor).layers()[:-1]] for factor in (1.0, 0.5))
        assert [2 * width for width in half] == full


# --- what is refused ---


def test_a_description_that_does_not_fit_is_refused() -> None:
    for options, message in (
        ({"readout": "vote"}, "there is no read-out 'vote'; there are majority and adc"),
        ({"thresholds": "wish"}, "thresholds are realised by 'dac' or 'bias', not by 'wish'"),
        ({"thresholds": "bias", "bias_rows": None}, "need at least one such cell a column; give bias_rows"),
        ({"thresholds": "bias", "readout": "adc"}, "an ADC has no thresholds to train"),
    ):
        with pytest.raises(InputError, match=message):
            spec("vgg9", **options)
    with pytest.raises(InputError, match="conv 6 has no room: an image of 1 x 1 for a window of 3 and a pool of 2"):
        Vgg9Spec.for_images((3, 4, 4), classes=10, rows=24, n_used=24).layers()
    with pytest.raises(InputError, match=r"conv 2 with 72 inputs on 128 rows needs columns with 72 used rows"):
        Vgg9Spec.for_images((3, 8, 8), classes=10, rows=128, n_used=128, factor=0.0625).check_table(128, 128)


def test_a_convolution_after_a_linear_layer_is_refused() -> None:
    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Wrong(ChainSpec):
        @classmethod
        def for_images(cls, size: tuple[int, int, int], **options: Any) -> "Wrong":
            return cls(channels=size[0], side=size[1], **options)

        def stages(self) -> tuple[Stage, ...]:
            return Stage(kind="linear", outputs=8), Stage(kind="conv", outputs=8), Stage(kind="linear", outputs=10)

    with pytest.raises(InputError, match="conv 2 follows a linear layer; put all convolutions before"):
        Chain(Wrong.for_images((1, 8, 8), classes=10, rows=8, n_used=8))

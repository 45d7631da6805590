"""Training in bfloat16, and with channels last: what must stay exact does, and the rest is nearly the same."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tables import make_lut, make_tables
from torch import Tensor

from prcim.bnn.checkpoint import Checkpoint, load_checkpoint, load_tensors, save_tensors
from prcim.bnn.column_layers import ColumnConv2d
from prcim.bnn.datasets.digits import load_digits
from prcim.bnn.layers import BatchNorm
from prcim.bnn.models.chain import Chain
from prcim.bnn.models.convnet import ConvNetSpec
from prcim.bnn.models.network import Network
from prcim.bnn.models.resnet18 import ResNet18, ResNet18Spec
from prcim.bnn.noise import NoiseModel, Reads, VirtualChip
from prcim.bnn.recipe import Recipe
from prcim.bnn.train import train
from prcim.cells.readouts.readout import Adc, Majority
from prcim.errors import InputError

TABLES = make_tables(columns=8, dies=4)
IMAGES = load_digits()[0].part(slice(0, 64))
RECIPE = Recipe(epochs=2, batch_size=32, seed=5)
READOUTS: dict[str, dict[str, Any]] = {"adc": {"readout": "adc"}, "majority": {"column_norm": True}}
NARROW, LAST = Recipe(epochs=2, batch_size=32, seed=5, precision="bfloat16"), {"channels_last": True}


def network_of(readout: str, kind: str = "convnet") -> Network:
    options: dict[str, Any] = {"classes": 10, "rows": 64, "n_used": 64, "bias_rows": 0, "factor": 0.25}
    if kind == "resnet18":
        return ResNet18(ResNet18Spec.for_images((1, 8, 8), **options, **READOUTS[readout]), seed=1)
    return Chain(ConvNetSpec.for_images((1, 8, 8), **options, **READOUTS[readout]), seed=1)


def trained(
    folder: Path,
    recipe: Recipe,
    readout: str = "adc",
    kind: str = "convnet",
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Tensor]:
    network = network_of(readout, kind)
    folder.mkdir(exist_ok=True)
    state, log = folder / "net.state", folder / "log.csv"
    train(network, IMAGES, TABLES, recipe, identity="test", state=state, log=log, progress=progress)
    return network.state_dict()


def statistics_of(layer: torch.nn.Module) -> list[Tensor]:
    return [value.clone() for name, value in layer.named_buffers() if "running" in name]


@pytest.mark.parametrize("noise", ["ideal", "iid", "column", "cell"])
@pytest.mark.parametrize("readout", READOUTS)
def test_sums_and_statistics_of_columns_are_those_of_single_precision(readout: str, noise: NoiseModel) -> None:
    """Whatever the type that comes in; constant cells, windows and thresholds that follow the sums are on the way."""
    chip = VirtualChip(tables=TABLES, model=noise, number=3, half="train")
    reads = Reads(images=torch.arange(40))
    x = torch.where(torch.rand(40, 16, 9, 9, generator=torch.Generator().manual_seed(0)) < 0.5, -1.0, 1.0)

    def layer() -> ColumnConv2d:
        return ColumnConv2d(
            16, 24, index=1, rows=64, n_used=64, bias_rows=0, column_norm=readout == "majority", binary=False,
            readout=Adc() if readout == "adc" else Majority(), generator=torch.Generator().manual_seed(0),
        )  # fmt: skip

    plain = layer()
    wanted = plain(x, chip, reads)
    for given in (x, x.bfloat16()):
        narrow = layer()
        with torch.autocast("cpu", torch.bfloat16):
            found = narrow(given, chip, reads)
        assert found.dtype == torch.float32
        assert torch.equal(found, found.round())
        assert torch.equal(found, wanted)
        for one, other in zip(statistics_of(narrow), statistics_of(plain), strict=True):
            assert torch.equal(one, other)


def test_batch_statistics_of_a_narrow_input_are_kept_in_single_precision() -> None:
    """Of 4,096 values around 300 a mean in bfloat16 is one of 298, 300, 302."""
    x = (300 + 4 * torch.randn(4096, 3, generator=torch.Generator().manual_seed(0))).bfloat16()
    norm = BatchNorm(3)
    norm.momentum = 1.0
    with torch.autocast("cpu", torch.bfloat16):
        norm(x)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    assert norm.running_mean.dtype == torch.float32
    assert torch.allclose(norm.running_mean.double(), x.double().mean(0), rtol=1e-5)
    assert torch.allclose(norm.running_var.double(), x.double().var(0), rtol=1e-3)


@pytest.mark.parametrize(("readout", "kind"), [("adc", "convnet"), ("majority", "convnet"), ("adc", "resnet18")])
def test_a_training_in_bfloat16_is_finite_another_one_and_keeps_single_precision(
    tmp_path: Path, readout: str, kind: str
) -> None:
    found = trained(tmp_path / "narrow", NARROW, readout, kind)
    wanted = trained(tmp_path / "wide", RECIPE, readout, kind)
    assert any(not torch.equal(found[name], wanted[name]) for name in found)
    for name, value in found.items():
        assert value.dtype == wanted[name].dtype, name
        assert bool(torch.isfinite(value).all()), name
    tensors, about = load_tensors(tmp_path / "narrow/net.state")
    assert about["recipe"]["precision"] == "bfloat16"
    moments = [value for name, value in tensors.items() if name.startswith("optimizer.")]
    assert moments
    assert all(value.dtype == torch.float32 for value in moments)


def test_digital_layers_compute_in_bfloat16_and_only_in_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[bool, torch.dtype]] = []
    losses: list[torch.dtype] = []
    loss_of = torch.nn.functional.cross_entropy

    def loss(scores: Tensor, labels: Tensor) -> Tensor:
        losses.append(scores.dtype)
        return loss_of(scores, labels)

    monkeypatch.setattr(torch.nn.functional, "cross_entropy", loss)
    network = network_of("adc")
    assert isinstance(network, Chain)
    for layer in (network.first, network.last):
        layer.register_forward_hook(lambda module, given, out: seen.append((module.training, out.dtype)))
    for recipe in (NARROW, RECIPE):
        state = tmp_path / recipe.precision
        train(network, IMAGES, TABLES, recipe, identity="", state=state, log=tmp_path / "log.csv")
    with torch.no_grad():
        network(IMAGES.batch(slice(0, 8)))
    assert losses == 8 * [torch.float32]
    assert seen == 8 * [(True, torch.bfloat16)] + 8 * [(True, torch.float32)] + 2 * [(False, torch.float32)]


# --- channels last ---


@pytest.mark.parametrize("kind", ["convnet", "resnet18"])
@pytest.mark.parametrize("readout", READOUTS)
def test_with_channels_last_judging_gives_the_same_bits(readout: str, kind: str) -> None:
    chip, reads = VirtualChip(tables=TABLES, model="column", number=3), Reads(images=IMAGES.index)
    network = network_of(readout, kind)
    network(IMAGES.batch(slice(None)))  # statistics
    network.eval()
    wanted = network(IMAGES.batch(slice(None)), chip, reads)
    _lay_channels_last(network)
    assert torch.equal(network(IMAGES.batch(slice(None)), chip, reads), wanted)


@pytest.mark.parametrize("kind", ["convnet", "resnet18"])
@pytest.mark.parametrize("readout", READOUTS)
def test_with_channels_last_gradients_are_the_same_up_to_the_order_of_sums(readout: str, kind: str) -> None:
    chip, reads = VirtualChip(tables=TABLES, model="column", number=3), Reads(images=IMAGES.index)
    found = []
    for channels_last in (False, True):
        network = network_of(readout, kind)
        for norm in network.norms_of():
            if isinstance(norm, BatchNorm):
                # Integers often equal their mean, and a sign there hangs on the last bit.
                norm.bias.data.fill_(0.1)
        if channels_last:
            _lay_channels_last(network)
        scores = network(IMAGES.batch(slice(None)), chip, reads)
        torch.nn.functional.cross_entropy(scores, IMAGES.labels).backward()
        found.append((scores.detach(), {name: value.grad for name, value in network.named_parameters()}))
    (scores, grads), (other_scores, other_grads) = found
    assert torch.allclose(scores, other_scores, rtol=1e-4, atol=1e-4)
    for name, grad in grads.items():
        other = other_grads[name]
        assert grad is not None
        assert other is not None
        assert float((grad - other).norm()) <= 1e-3 * float(grad.norm()), name


def test_images_stay_as_they_lie_in_a_training_with_channels_last(tmp_path: Path) -> None:
    """In front of the norm of the second convolution and behind it."""
    for channels_last in (True, False):
        network, seen = network_of("adc"), list[tuple[tuple[int, ...], tuple[int, ...]]]()
        norm = next(network.column_layers()).norm
        norm.register_forward_hook(lambda module, given, out, seen=seen: seen.append((given[0].stride(), out.stride())))
        recipe = Recipe(epochs=1, batch_size=32, channels_last=channels_last)
        train(
            network, IMAGES, TABLES, recipe, identity="", state=tmp_path / str(channels_last), log=tmp_path / "log.csv"
        )
        channels = norm.num_features
        kept = [given == out and given[1] == 1 and given[3] == channels for given, out in seen if len(given) == 4]
        assert len(kept) == 2
        assert all(kept) == channels_last
        layout = torch.channels_last if channels_last else torch.contiguous_format
        assert all(
            weight.is_contiguous(memory_format=layout) for weight in network.latent_weights() if weight.dim() == 4
        )


def _lay_channels_last(network: Network) -> None:
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    for norm in network.norms_of():
        norm.channels_last = True


# --- states, checkpoints, recipes ---


@pytest.mark.parametrize("change", [{"precision": "bfloat16"}, LAST, {"precision": "bfloat16", **LAST, "anneal": 0.5}])
@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_an_interrupted_training_goes_on_bit_for_bit(tmp_path: Path, change: dict[str, Any], optimizer: str) -> None:
    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    recipe = Recipe(
        **{"epochs": 2, "batch_size": 32, "seed": 5, "optimizer": optimizer, "learning_rate": 0.01, **change}
    )
    wanted = trained(tmp_path / "whole", recipe)
    with pytest.raises(KeyboardInterrupt, match=r"^$"):
        trained(tmp_path / "cut", recipe, progress=stop)
    found = trained(tmp_path / "cut", recipe)
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)
    assert (tmp_path / "cut/net.state").read_bytes() == (tmp_path / "whole/net.state").read_bytes()


@pytest.mark.parametrize("change", [{"precision": "bfloat16"}, LAST, {"epoch_images": 32}])
def test_a_state_of_before_counts_as_the_default(tmp_path: Path, change: dict[str, Any]) -> None:
    wanted = trained(tmp_path, RECIPE)
    tensors, about = load_tensors(tmp_path / "net.state")
    (name,) = change
    del about["recipe"][name]
    save_tensors(tmp_path / "net.state", tensors, about)
    found = trained(tmp_path, RECIPE)
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)
    with pytest.raises(InputError, match="is of a training with other settings"):
        trained(tmp_path, Recipe(**{"epochs": 2, "batch_size": 32, "seed": 5, **change}))


def test_a_network_on_disk_says_how_it_was_trained(tmp_path: Path) -> None:
    path, network = tmp_path / "net.safetensors", network_of("adc").eval()
    how: dict[str, Any] = {"model": "convnet", "dataset": "digits", "lut": make_lut(), "noise": "column"}
    made = Checkpoint(network=network, seed=1, epochs=2, precision="bfloat16", channels_last=True, **how)
    made.save(path)
    assert (load_checkpoint(path).precision, load_checkpoint(path).channels_last) == ("bfloat16", True)
    tensors, about = load_tensors(path)
    del about["precision"], about["channels_last"]
    save_tensors(path, tensors, about)
    assert (load_checkpoint(path).precision, load_checkpoint(path).channels_last) == ("float32", False)


def test_an_epoch_takes_so_many_images_and_others_each_time(tmp_path: Path) -> None:
    network, seen = network_of("adc"), []
    network.register_forward_pre_hook(lambda module, given: seen.append(given[2].images.tolist()))
    recipe = Recipe(epochs=3, batch_size=8, epoch_images=20)
    train(network, IMAGES, TABLES, recipe, identity="", state=tmp_path / "a", log=tmp_path / "log.csv")
    # Two whole mini-batches an epoch, as of 20 images in all.
    assert [len(batch) for batch in seen] == 6 * [8]
    epochs = [sorted(seen[i] + seen[i + 1]) for i in (0, 2, 4)]
    assert all(len(set(epoch)) == 16 for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"precision": "float16"}, "there is no precision 'float16'; there are float32 and bfloat16"),
        ({"epoch_images": 0}, "epoch_images is 0; an epoch takes at least one image"),
    ],
)
def test_what_a_recipe_refuses(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Recipe(**change)

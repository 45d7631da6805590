"""A network with and without training for variation, judged on chips: what `make train` runs."""

import dataclasses
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from prcim.bnn.checkpoint import Checkpoint
from prcim.bnn.datasets.images import Images
from prcim.bnn.design_point import DesignPoint
from prcim.bnn.evaluate import evaluate
from prcim.bnn.models.network import Network
from prcim.bnn.models.spec import NetworkSpec
from prcim.bnn.noise import NoiseModel
from prcim.bnn.recipe import Recipe
from prcim.bnn.registry import named_model
from prcim.bnn.spread import Spread, spread
from prcim.bnn.tables import IntegerTables, integer_tables
from prcim.bnn.train import train
from prcim.cells.readouts.readout import SenseAmplifier
from prcim.characterize.lut.error_lut import ErrorLUT
from prcim.files import write_text

#: Called with what is done, units done, units in all.
Progress = Callable[[str, int, int], None]


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Experiment:
    """What to train and how to judge it.

    Attributes:
        lut: the table to train for.
        model, dataset: names in the registries.
        images: training and test images of that data set.
        spec: the network.
        recipe: of the last stage; the stage before it has no errors and the same length.
        chips: how many virtual chips judge each network.
        severity: other design points to judge both networks at.
        jobs: chips at a time.
        device: to train and judge on, one that `named_device` has given.
    """

    lut: ErrorLUT
    model: str
    dataset: str
    images: tuple[Images, Images]
    spec: NetworkSpec
    recipe: Recipe
    chips: int
    severity: tuple[DesignPoint, ...] = ()
    jobs: int = 1
    device: str = "cpu"

    @property
    def amplifier(self) -> SenseAmplifier:
        """The comparator of the network's read-out."""
        return self.spec.make_readout().amplifier

    @property
    def identity(self) -> str:
        """Names table, model and data."""
        return f"{self.lut.sha256} {self.model} {self.dataset} {self.images[0].sha256} {self.images[1].sha256}"

    def run(self, folder: Path, progress: Progress = lambda what, done, total: None) -> dict[str, Any]:
        """Trains both networks, judges them, writes `unaware.safetensors`, `aware.safetensors` and `result.json`.

        Both start from the same network, trained without errors; one goes on without, the other with them, for the
        same number of epochs.

        Returns:
            What `result.json` holds.
        """
        train_images, test_images = self.images
        tables = integer_tables(self.lut, self.amplifier)
        clean = dataclasses.replace(self.recipe, noise="ideal", chips_per_batch=1, anneal=0.0, norms="batch")
        start = self._train("start", None, clean, train_images, tables, folder, progress)
        unaware = self._train("unaware", start, clean, train_images, tables, folder, progress)
        aware = self._train("aware", start, self.recipe, train_images, tables, folder, progress)

        def judge(
            network: Network, noise: NoiseModel, point: IntegerTables, what: str, chips: int = self.chips
        ) -> Spread:
            results = evaluate(
                network,
                test_images,
                point,
                noise,
                range(chips),
                jobs=self.jobs,
                progress=lambda done, total: progress(what, done, total),
            )
            return spread([result.accuracy for result in results], dies=min(chips, point.judging_dies))

        networks = {"unaware": unaware, "aware": aware}
        severity = []
        for number, point in enumerate(self.severity):
            at = integer_tables(point.lut, point.amplifier)
            what = f"design point {number + 1} of {len(self.severity)}"
            judged = {name: judge(net, "column", at, f"{what}, {name}").as_json() for name, net in networks.items()}
            severity.append({"label": point.label, "severity": point.severity, **judged})
        result: dict[str, Any] = {
            "noise": "column",
            "lut_sha256": self.lut.sha256,
            "design_point": DesignPoint(lut=self.lut, amplifier=self.amplifier).label,
            "severity": DesignPoint(lut=self.lut, amplifier=self.amplifier).severity,
            "test_images": len(test_images),
            "clean": {"accuracy": judge(unaware, "ideal", tables, "clean", 1).mean},
            "mean_error": {"accuracy": judge(unaware, "mean", tables, "mean error", 1).mean},
            **{name: judge(network, "column", tables, name).as_json() for name, network in networks.items()},
            "iid": {
                name: judge(network, "iid", tables, f"{name}, i.i.d.").as_json() for name, network in networks.items()
            },
            "sweep": severity,
            "spec": self.spec.as_json(),
            "recipe": dataclasses.asdict(self.recipe),
        }
        write_text(folder / "result.json", json.dumps(result, indent=2) + "\n")
        return result

    def _train(
        self,
        name: str,
        start: Network | None,
        recipe: Recipe,
        images: Images,
        tables: IntegerTables,
        folder: Path,
        progress: Progress,
    ) -> Network:
        network = named_model(self.model).build(self.spec, seed=recipe.seed).to(self.device)
        if start is not None:
            network.load_state_dict(start.state_dict())
        train(
            network,
            images,
            tables,
            recipe,
            identity=self.identity,
            state=folder / f"{name}.state",
            log=folder / "log.csv",
            progress=lambda done, total: progress(f"training: {name}", done, total),
        )
        if start is not None:
            Checkpoint(
                model=self.model,
                dataset=self.dataset,
                network=network,
                lut=self.lut,
                noise=recipe.noise,
                seed=recipe.seed,
                epochs=2 * recipe.epochs,
                precision=recipe.precision,
                channels_last=recipe.channels_last,
            ).save(folder / f"{name}.safetensors")
        return network


def folder_name(experiment: Experiment) -> str:
    """Name of the folder of an experiment: what it is, and a checksum of all that decides it."""
    content = [experiment.identity, experiment.spec.as_json(), dataclasses.asdict(experiment.recipe)]
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    return f"{experiment.model}-{experiment.dataset}-{digest[:8]}"

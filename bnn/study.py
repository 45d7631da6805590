"""A study of one network: clean, then fine-tuned with each noise model, judged at several design points."""

import dataclasses
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from prcim.bnn.checkpoint import Checkpoint
from prcim.bnn.datasets.images import Images
from prcim.bnn.evaluate import evaluate
from prcim.bnn.judgement import Judgement, calibration_images_of
from prcim.bnn.models.network import Network
from prcim.bnn.models.spec import NetworkSpec
from prcim.bnn.noise import NoiseModel
from prcim.bnn.recipe import Recipe
from prcim.bnn.registry import named_model
from prcim.bnn.tables import integer_tables
from prcim.bnn.train import train
from prcim.characterize.lut.error_lut import ErrorLUT
from prcim.files import write_text

#: Called with what is done, units done, units in all.
Progress = Callable[[str, int, int], None]


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Study:
    """What is trained and judged.

    Attributes:
        model, dataset: names in the registries.
        spec: the network.
        images: training and test images.
        luts: tables of the design points; networks are trained for each.
        clean: recipe of the clean network.
        tuned: recipe of every fine-tuning; its noise model is that of the variant. What is there for errors alone,
            chips a mini-batch, annealing, norms by the mean over chips, is left out without them.
        variants: noise models to fine-tune with; "ideal" is the network that knows nothing of errors.
        chips, jobs: of the judgement.
        recalibrated: of the variants, those that are also judged after what can be done on a chip.
        calibration_images: for norms on a chip.
        judged_images: of the test images, so many are judged on chips, the first ones; None: all. The clean network
            without errors is judged by all.
        device: to train and judge on, one that `named_device` has given.
    """

    model: str
    dataset: str
    spec: NetworkSpec
    images: tuple[Images, Images]
    luts: Sequence[ErrorLUT]
    clean: Recipe
    tuned: Recipe
    variants: tuple[NoiseModel, ...] = ("ideal", "gaussian", "iid", "column")
    chips: int = 50
    jobs: int = 1
    recalibrated: tuple[NoiseModel, ...] = ("ideal", "gaussian", "iid", "column")
    calibration_images: int = 256
    judged_images: int | None = None
    device: str = "cpu"

    def run(self, folder: Path, progress: Progress = lambda what, done, total: None) -> dict[str, Any]:
        """Trains and judges what is not there yet; writes `study.json` after each network.

        Raises:
            RunError: a training diverged, or the disk is full.
        """
        tables = integer_tables(self.luts[0], self.spec.make_readout().amplifier)
        start = self._trained("clean", None, self.clean, self.luts[0], folder, progress)
        clean = evaluate(start, self.images[1], tables, "ideal", [0])[0].accuracy
        result: dict[str, Any] = {
            "model": self.model,
            "dataset": self.dataset,
            "spec": self.spec.as_json(),
            "clean": clean,
            "judged_images": len(self._judged()),
            "recipes": {"clean": dataclasses.asdict(self.clean), "tuned": dataclasses.asdict(self.tuned)},
            "rows": [],
        }
        write_text(folder / "study.json", json.dumps(result, indent=2) + "\n")
        for row in self._rows(start, folder, progress):
            result["rows"].append(row)
            write_text(folder / "study.json", json.dumps(result, indent=2) + "\n")
        return result

    def _rows(self, start: Network, folder: Path, progress: Progress) -> Iterator[dict[str, Any]]:
        for number, lut in enumerate(self.luts):
            for variant in self.variants:
                recipe = dataclasses.replace(self.tuned, noise=variant)
                if variant == "ideal":
                    recipe = dataclasses.replace(recipe, chips_per_batch=1, anneal=0.0, norms="batch")
                # Without errors a table plays no part: one training serves all.
                name, table = (variant, self.luts[0]) if variant == "ideal" else (f"{variant}-{number}", lut)
                network = self._trained(name, start, recipe, table, folder, progress)
                judged = folder / f"{variant}-{number}.json"
                if not judged.exists():
                    calibration = calibration_images_of(self.images[0], self.calibration_images)
                    judgement = Judgement(
                        network=network,
                        images=self._judged(),
                        model="column",
                        chips=self.chips,
                        jobs=self.jobs,
                        calibration=calibration if variant in self.recalibrated else None,
                    )
                    rows = judgement.rows(lut, lambda what, done, total, n=name: progress(f"{n}: {what}", done, total))  # type: ignore[misc]
                    found = [{"trained_with": variant, **row.as_json()} for row in rows]
                    write_text(judged, json.dumps(found) + "\n")
                yield from json.loads(judged.read_text(encoding="utf-8"))

    def _judged(self) -> Images:
        return self.images[1].part(slice(0, self.judged_images))

    def _trained(
        self, name: str, start: Network | None, recipe: Recipe, lut: ErrorLUT, folder: Path, progress: Progress
    ) -> Network:
        network = named_model(self.model).build(self.spec, seed=recipe.seed).to(self.device)
        if start is not None:
            network.load_state_dict(start.state_dict())
        train(
            network,
            self.images[0],
            integer_tables(lut, self.spec.make_readout().amplifier),
            recipe,
            identity=f"{lut.sha256} {self.model} {self.dataset} {self.images[0].sha256}",
            state=folder / f"{name}.state",
            log=folder / "log.csv",
            progress=lambda done, total: progress(f"training: {name}, epochs", done, total),
        )
        Checkpoint(
            model=self.model,
            dataset=self.dataset,
            network=network,
            lut=lut,
            noise=recipe.noise,
            seed=recipe.seed,
            epochs=recipe.epochs,
            precision=recipe.precision,
            channels_last=recipe.channels_last,
        ).save(folder / f"{name}.safetensors")
        return network

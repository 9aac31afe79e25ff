"""A run of ``python -m fastcnn.train``: from its options to its exit code, with a folder that survives it."""

import hashlib
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

import fastcnn as fc
from fastcnn import _core, cuda
from fastcnn.architecture import one_line
from fastcnn.console import (
    DIVERGED,
    CompileReport,
    JsonReport,
    TrainingReport,
    downloads_shown,
    interrupted_code,
)
from fastcnn.data import Dataset, DeviceImages, check, load_dataset
from fastcnn.data.samples import ImageSamples, Samples
from fastcnn.data.style import style_of
from fastcnn.errors import ConfigError, CudaError, DataError, FastcnnError
from fastcnn.layers.arguments import choice
from fastcnn.metrics import in_json
from fastcnn.model import DEVICES
from fastcnn.recipes import Settings, build, schedule_of
from fastcnn.run_folder import RunFolder, place_of
from fastcnn.terminal import Terminal, complain
from fastcnn.trainer import Trainer
from fastcnn.training import NonFiniteError
from fastcnn.watch import Profiler, ShapePrinter


@dataclass(frozen=True)
class Options:
    """The command line, understood.

    Attributes:
        settings: What to compute; None where `resume` says it.
        resume: The folder of a run that goes on.
        epochs: Of a run that goes on, where it is to end, if not where it was.
        dataset, data_dir, transpose: See `fastcnn.data.load_dataset`.
        threads: How many, if not as many as there are CPUs.
        device: "cpu" or "cuda", where to compute.
        run_dir: The folder of a new run, if not one with a name of its own.
        profile, quiet, json, debug, dry_run: What to show, and whether that is all.
    """

    settings: Settings | None
    resume: Path | None
    epochs: int | None
    dataset: str
    data_dir: Path | None
    transpose: bool | None
    threads: int | None
    device: str
    run_dir: Path | None
    profile: bool
    quiet: bool
    json: bool
    debug: bool
    dry_run: bool


def run(options: Options) -> int:
    """Check everything, then train and keep the run; return the exit code."""
    choice(options.device, DEVICES, "--device:")
    if options.device == "cuda" and options.profile:
        raise ConfigError("--profile takes times on the CPU; leave it out with --device cuda")
    if options.device == "cuda" and (missing := cuda.why_not()):
        raise CudaError(f"--device cuda: {missing}")
    if options.threads is not None:
        try:
            fc.set_num_threads(options.threads)
        except ConfigError as error:
            raise ConfigError(f"--threads: {error}") from error
    if options.settings is not None:
        with RunFolder(options.run_dir, options.settings.model) as folder:
            return Run(options, folder, options.settings).go()
    assert options.resume is not None
    with RunFolder.resume(options.resume) as folder:
        settings = _settings_in(folder)
        if options.epochs is not None:
            if settings.schedule != "constant" and options.epochs != settings.epochs:
                raise ConfigError(
                    f"--epochs can't become {options.epochs}: the {settings.schedule} schedule of this run is for "
                    f"{settings.epochs}; leave it out, or begin a new run"
                )
            settings = replace(settings, epochs=options.epochs)
        return Run(options, folder, settings).go()


class Run:
    """What `run` is busy with.

    Args:
        options: The command line.
        folder: Where the run is kept.
        settings: What it computes.
    """

    def __init__(self, options: Options, folder: RunFolder, settings: Settings) -> None:
        self.options = options
        self.folder = folder
        self.settings = settings
        self.no_curves = ""  # why there is no curves.png, if drawing it failed
        self.console = Terminal(quiet=options.quiet or options.json)
        self.report = JsonReport() if options.json else TrainingReport(self.console)

    def go(self) -> int:
        """Read the data, train, and return the exit code."""
        self.data = data = self._read_data()
        self.settings = settings = self._fitted(self.settings)
        self.config = self._configuration()
        parts = build(settings, self.options.device)
        self.trainer = Trainer(*parts, batch_size=settings.batch_size, shuffle=settings.shuffle)
        self.trainer.callbacks = [self.folder, self.report, *([] if self.options.quiet else [CompileReport()])]
        self.folder.metadata = {
            "scaling": settings.scaling,
            "style": style_of(data.train_images),
            "recipe": _recipe(settings),
        }
        first, form = slice(settings.limit), (settings.dtype, settings.scaling, settings.targets, settings.classes)
        self.training = self._placed(ImageSamples(data.train_images[first], data.train_labels[first], *form))
        self.test = self._placed(ImageSamples(data.test_images, data.test_labels, *form))
        self.trainer.schedule = schedule_of(self.settings, len(self.training))
        self.trainer.check(self.training)
        self.trainer.check(self.test)
        if self.folder.checkpoint:
            self._restore()
        self._introduce()
        if self.options.debug:
            self.console.print("shapes of the first batch")
            with ShapePrinter(self.console.print):
                self.trainer.model(self.training.inputs(slice(self.settings.batch_size)))
        if self.options.dry_run:
            return self._end("dry run", 0)
        if self.trainer.progress.epoch >= self.settings.epochs:
            done = self.trainer.progress.epoch
            self.console.print(f"done   the run is complete already, with epoch {done}; a larger --epochs goes on")
            self.folder.tidy()
            drawn = self.folder.files["curves"] is not None  # or else it was killed while it drew
            return self._end("complete already", 0 if drawn else self._draw_curves())
        return self._train()

    def _train(self) -> int:
        """The training itself, and the three ways that it ends."""
        profiler = Profiler(fc.config.fma_peak(self.settings.dtype)) if self.options.profile else None
        try:
            self.folder.start(self.config)
            self.console.print(f"run    {str(self.folder.path)!r}")
            with profiler or nullcontext():
                epochs = self.settings.epochs - self.trainer.progress.epoch
                self.trainer.fit(self.training, epochs=epochs, validation=self.test)
        except KeyboardInterrupt as interrupt:
            self._save()
            complain(f"interrupted in epoch {self.trainer.progress.epoch + 1}; {self.folder.how_to_go_on}")
            return self._end("interrupted", interrupted_code(interrupt), profiler)
        except NonFiniteError as error:
            complain(f"error: {error}; {self.folder.what_is_kept}")
            return self._end("diverged", DIVERGED, profiler)
        except BrokenPipeError:
            raise
        except OSError as error:  # the output of the command; that of the run itself is a DataError
            self._save()
            raise DataError(f"cannot print ({error.strerror or error}); {self.folder.how_to_go_on}") from error
        self.console.print(f"done   {self._what_came_of_it()}")
        return self._end("done", self._draw_curves(), profiler)

    def _save(self) -> None:
        """Keep the steps of an epoch that can't be gone on with."""
        if self.trainer.optimizer.steps and not self.trainer.in_step:
            self.folder.save(self.trainer)

    # ---- before ------------------------------------------------------------------------------------------------------

    def _read_data(self) -> Dataset:
        """The data set; that of a resumed run must be what it was."""
        options, source = self.options, self.folder.config.get("dataset", {})
        with downloads_shown(self.console) as progress:
            if not self.folder.resumed:
                download = not options.dry_run
                return load_dataset(options.dataset, options.data_dir, progress, download, options.transpose)
            place = options.data_dir or source["data_dir"]
            data = load_dataset(source["option"], place, progress, transpose=source.get("transpose"))
        if _fingerprint(data) != source["sha256"]:
            raise DataError(
                f"{self.folder.who}: the data is not what it was: expected {source['origin']}; got {data.origin}; "
                "put it back, or name its folder by --data-dir"
            )
        return data

    def _fitted(self, settings: Settings) -> Settings:
        """The settings for a model that takes this data; a resumed run has them."""
        if self.folder.resumed:
            return settings
        height, width = self.data.train_images.shape[2:]
        return replace(settings, classes=self.data.classes, image_height=height, image_width=width)

    def _notes(self) -> list[str]:
        """What looks wrong about the images that are trained on, and else about the test's."""
        data, first = self.data, slice(self.settings.limit)
        notes = check(data.train_images[first], data.train_labels[first], data.transposed)
        of_test = check(data.test_images, data.test_labels, data.transposed)
        return notes + [f"of the test: {note}" for note in of_test if note not in notes]

    def _placed(self, samples: ImageSamples) -> Samples:
        """The samples where the model is."""
        return DeviceImages(samples) if self.options.device == "cuda" else samples

    def _configuration(self) -> dict[str, Any]:
        """What config.json holds: all that is needed to do the run again."""
        if self.folder.resumed:
            source = dict(self.folder.config["dataset"])
            if self.options.data_dir is not None:
                source |= _place(self.options.data_dir)
            return {**self.folder.config, "settings": asdict(self.settings), "dataset": source}
        data, options = self.data, self.options
        return {
            "fastcnn": fc.__version__,
            "settings": asdict(self.settings),
            "dataset": {
                "name": data.name,
                "origin": data.origin,
                "training_images": len(data.train_labels),
                "test_images": len(data.test_labels),
                "sha256": _fingerprint(data),
                "option": "sample" if data.name == "sample" and options.data_dir is None else options.dataset,
                "transpose": data.transposed,
                **_place(options.data_dir),
            },
            "isa": _core.get_isa(),
            "threads": fc.get_num_threads(),
            "device": options.device,
            "numpy": np.__version__,
        }

    def _restore(self) -> None:
        """Go on from the checkpoint of the folder."""
        checkpoint = self.folder.checkpoint
        assert checkpoint is not None
        try:
            kept = checkpoint.metadata.get("recipe")
            if not isinstance(kept, dict) or _recipe(Settings()) | kept != _recipe(self.settings):
                raise DataError("its settings are others than those of config.json")
            checkpoint.restore(self.trainer)
        except FastcnnError as error:
            raise DataError(
                f"{self.folder.who}: last.safetensors is not of this run ({error}); put back the one that was"
            ) from error

    def _introduce(self) -> None:
        """Which data and why, which model on what, from where; and for a dry run, all settings and layers."""
        trainer, folder, progress = self.trainer, self.folder, self.trainer.progress
        model, size = trainer.model, sum(parameter.size for parameter in trainer.model.parameters())
        machine = {"isa": _core.get_isa(), "threads": fc.get_num_threads(), "device": self.options.device}
        notes = self._notes()
        if isinstance(self.report, JsonReport):
            run = None if self.options.dry_run else str(folder.path)
            begun = {"epoch": progress.epoch, "batch": progress.batch} if folder.resumed else None
            about = {"parameters": size, "notes": notes}
            self.report.tell("start", run=run, resumed_from=begun, **about, **self.config | machine)
        lines = [f"data   {self.data.origin}"]
        if len(self.training) < len(self.data.train_labels):
            lines.append(f"       the first {len(self.training):,} of them for training (--limit)")
        lines += [f"note   {note}" for note in notes]
        lines.append(f"model  {model.name}: {size:,} parameters, {model.dtype}, {self._device()}")
        if folder.resumed:
            lines.append(f"resume after {place_of(progress)}")
            before = {name: self.config.get(name) for name in ("fastcnn", "isa")}
            now = {"fastcnn": fc.__version__, "isa": machine["isa"]}
            if before != now:
                was, new = (" with ".join(map(str, which.values())) for which in (before, now))
                lines.append(
                    f"note   begun by fastcnn {was} kernels, now {new}: other bits than those of a run at one go"
                )
        if self.options.dry_run:
            rows = (f"  {name:<14}{value}" for name, value in self.config["settings"].items())
            lines.append(f"run    {str(folder.path)!r} (not made: this is a dry run)\n\nsettings")
            lines += [*rows, "", model.summary()]
        self.console.print("\n".join(lines))

    def _device(self) -> str:
        """What computes, in words."""
        if self.options.device == "cuda":
            return f"on {cuda.name()}"
        return f"{_core.get_isa()} kernels, threads: {fc.get_num_threads()}"

    # ---- after -------------------------------------------------------------------------------------------------------

    def _what_came_of_it(self) -> str:
        progress, files = self.trainer.progress, self.folder.files
        text = f"the weights after epoch {progress.epoch} are in {files['last']!r}"
        if files["best"] and progress.best_accuracy is not None:
            text += f", the best ({progress.best_accuracy:.2%}, epoch {progress.best_epoch}) in {files['best']!r}"
        return text

    def _draw_curves(self) -> int:
        """Draw the curves of the complete run; if that fails, say why. Returns the exit code of the run."""
        settings, data = self.settings, self.config["dataset"]
        try:
            self.folder.draw(f"{settings.model} by {settings.optimizer}, lr {settings.lr:g}, on {data['name']}")
            self.console.print(f"       the curves are in {self.folder.files['curves']!r}")
        except KeyboardInterrupt as interrupt:
            complain("interrupted while the curves were drawn; the run is complete")
            return interrupted_code(interrupt)
        except Exception as error:  # whatever it is that a picture fails for, the run is none the worse for it
            kind = "" if isinstance(error, FastcnnError) else f"{type(error).__name__}: "
            self.no_curves = " ".join(f"{kind}{error}".split()).removesuffix(":")
            old = "new " if self.folder.files["curves"] else ""
            self.console.print(f"       no {old}curves.png: {self.no_curves}")
        return 0

    def _end(self, how: str, code: int, profiler: Profiler | None = None) -> int:
        """Say the last things, and return the exit code."""
        if profiler:
            self.console.print(f"\n{profiler.table()}")
        if isinstance(self.report, JsonReport):
            progress = self.trainer.progress
            extras: dict[str, Any] = {"profile": profiler.rows()} if profiler else {}
            if self.no_curves:
                extras["no_curves"] = self.no_curves
            self.report.tell("end", how=how, exit_code=code, **in_json(progress), files=self.folder.files, **extras)
        return code


def _settings_in(folder: RunFolder) -> Settings:
    """The settings of a run that goes on."""
    source = folder.config["dataset"]
    texts = [source.get(name) for name in ("name", "option", "sha256", "origin")]
    try:
        kinds = {"data_dir": str | None, "transpose": bool | None}
        options = all(isinstance(source.get(name), kind) for name, kind in kinds.items())
        if options and all(isinstance(text, str) for text in texts):
            return Settings(**folder.config["settings"])
        problem = "its dataset has other entries"
    except (TypeError, ValueError, ConfigError) as error:
        problem = one_line(error)
    raise DataError(f"{folder.who}: config.json is damaged ({problem}); put back the one that the run wrote")


def _recipe(settings: Settings) -> dict[str, Any]:
    """What a checkpoint says of its settings: all but the epochs, of which there may be more later, or not."""
    more_later = settings.schedule == "constant"
    return {name: value for name, value in asdict(settings).items() if not (more_later and name == "epochs")}


def _place(data_dir: Path | None) -> dict[str, str | None]:
    return {"data_dir": None if data_dir is None else str(data_dir.absolute())}


def _fingerprint(data: Dataset) -> str:
    """The same for the same images and labels, wherever they come from."""
    digest = hashlib.sha256()
    for array in (data.train_images, data.train_labels, data.test_images, data.test_labels):
        digest.update(repr(array.shape).encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()

"""TrainingAdapter: the class that a model developer writes."""

from __future__ import annotations

import functools
import logging
import math
import threading
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, Callable, List, Optional

from . import checkpoints, storage
from .config import ConfigSchema, DatasetConfig, ModelConfig, TrainingConfig
from .logger import TrainingLogger
from .results import MetricsResult, measured

_log = logging.getLogger("platform_sdk")
_SAVE_SHARE = 20  # at most a twentieth of the time goes into checkpoints within epochs


class Stop(BaseException):
    """Raised in the training thread when the step was asked to stop. Not an
    ``Exception``, so that an adapter's ``except Exception`` lets it through.

    >>> issubclass(Stop, Exception)
    False
    """


class TrainingAdapter(ABC):
    """Base of every adapter. Write ``prepare_model``, ``prepare_dataset`` and
    ``train``; add the static methods to offer settings::

        class Mine(TrainingAdapter):
            def prepare_model(self): self.model = build(self.model_config.model_name)
            def prepare_dataset(self): self.loader = load(self.dataset_config.dataset_path)
            def train(self, start_epoch=0, checkpoint_path=None, resume_training=False):
                self.prepare_model(); self.prepare_dataset()
                ...
                return results

    ``prepare_*`` run once however often they are called. Checkpoints that
    ``train`` writes to ``output_dir/checkpoints/{epoch_N,latest,best}.pth``
    are found, hashed, announced and uploaded.
    """

    def __init__(self, model_config: ModelConfig, dataset_config: DatasetConfig, training_config: TrainingConfig,
                 output_dir: str, job_id: int, project_id: Optional[int] = None,
                 logger: Optional[TrainingLogger] = None) -> None:
        self.model_config = model_config
        self.dataset_config = dataset_config
        self.training_config = training_config
        self.output_dir = str(output_dir)
        self.job_id = job_id
        self.project_id = project_id
        self.logger = logger
        self._prepared: set[str] = set()
        self._announced: dict[Path, tuple[int, int, int]] = {}
        self._hashes: dict[tuple[int, int, int], str] = {}  # of what was announced, by size, time and inode
        self._latest_told = False  # as a checkpoint of its own: from then on it is told whenever it changes
        self._metrics: dict[int, dict[str, float]] = {}
        self.best_per_class: dict[str, Any] = {}
        self._began = time.time_ns()
        self._uploads: list[threading.Thread] = []
        self.checkpoints: dict[str, dict[str, Any]] = {}
        # The train block's checkpoint { every, keep_last, keep_best, keep_every }.
        self.checkpoint_policy: dict[str, int] = {}
        self.stopped_by = ""  # "early_stopping", where that ended the training
        self._saved, self._save_cost = time.monotonic(), 0.0  # when the last checkpoint was written, and how long that took
        Path(self.output_dir, "checkpoints").mkdir(parents=True, exist_ok=True)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for name in ("prepare_model", "prepare_dataset"):
            method = cls.__dict__.get(name)
            if method is not None and not getattr(method, "__isabstractmethod__", False):
                setattr(cls, name, _once(name, method))

    @abstractmethod
    def prepare_model(self) -> None:
        """Builds ``self.model`` from ``model_config``."""

    @abstractmethod
    def prepare_dataset(self) -> None:
        """Opens the data; may set ``model_config.num_classes``."""

    @abstractmethod
    def train(self, start_epoch: int = 0, checkpoint_path: Optional[str] = None,
              resume_training: bool = False) -> List[MetricsResult]:
        """Trains the epochs ``start_epoch … epochs - 1`` and returns one result each.
        ``checkpoint_path`` is what to load first: everything when
        ``resume_training``, else the weights alone."""

    def applied_config(self) -> Optional[dict[str, Any]]:
        """Override to prove what is in force: values by dotted name, read back
        from the objects that were built (``optimizer.param_groups[0]["lr"]``).
        None (the default) proves by what was read of the config."""
        return None

    def applied_attributes(self) -> dict[str, Any]:
        """Override to tell, beside the settings, what was built: ``parameters`` that
        train, how many are ``frozen``, ``precision``, ``weights`` it begins with."""
        return {}

    # Whether a training ends with the best checkpoint written by export_onnx, as artifacts/model.onnx.
    publishes_model: bool = False

    # Seconds of training after which a crash should not cost more: how often
    # ``_save_when_due`` saves within an epoch.
    save_seconds: float = 30.0

    # Whether prepare_dataset reads dataset_config.index_path. Of others, dataset_path
    # is a folder of links that holds the planned images as {train,val}/CLASS/*.
    reads_index: bool = False

    def evaluate(self, checkpoint_path: str, split: str) -> dict[str, Any]:
        """Measures a checkpoint on a split: ``loss``, ``metrics``, ``per_class``,
        ``confusion_matrix`` and its ``classes``, where there are any ``pr_curves``. The default measures a
        classifier in ``self.model`` over ``self.val_loader``, whose folder
        then holds the images of the split."""
        from .deploy import evaluate_classifier

        return evaluate_classifier(self, checkpoint_path)

    def export_onnx(self, checkpoint_path: str, path: str) -> dict[str, Any]:
        """Writes a checkpoint's network as ONNX and returns what a user of the
        file must know; it becomes the file's metadata. ``parity``: (inputs, the
        network's own outputs), which the file is then held against; without it
        nobody can tell whether the file computes the same. The default exports
        a classifier in ``self.model``."""
        from .deploy import export_classifier

        return export_classifier(self, checkpoint_path, path)

    @staticmethod
    def get_advanced_config_schema(task_type: str) -> ConfigSchema:
        """The settings that this adapter offers for a task."""
        return ConfigSchema(fields=[])

    @staticmethod
    def get_config_presets(task_type: str) -> dict[str, Any]:
        """Named settings, nested by group: ``{"basic": {"optimizer": {"type": "adam"}}}``."""
        return {}

    # -- hooks that adapters call, and may override ---------------------------------

    def _save_checkpoint(self, epoch: int, metrics: Any = None, is_best: bool = False) -> None:
        """Saves what training is made of after ``epoch`` (from 0): the random
        generators and, of ``self.model``, ``optimizer``, ``scheduler``, ``scaler``
        and ``ema``, those that are set. ``metrics`` is the epoch's MetricsResult or a
        dict. The file is ``checkpoints/epoch_N.pth``, which is ``latest`` too, and
        ``best`` when ``is_best``; it is announced, uploaded, and old ones make
        room. Override it for another content: files of these names that
        ``torch.save`` wrote are found as well."""
        self._keep_checkpoint(checkpoints.whole(epoch=epoch, metrics=_by_name(metrics), extra=self._checkpoint_extra(), **self._checkpoint_parts()),
                              epoch, metrics, is_best)

    def _keep_checkpoint(self, state: dict[str, Any], epoch: int, metrics: Any = None, is_best: bool = False) -> None:
        """Writes any state as the checkpoint of an epoch, in the manner of ``_save_checkpoint``."""
        path = checkpoints.atomic_save(state, self._checkpoint_path(f"epoch_{epoch}"))
        for name in ["latest"] + (["best"] if is_best else []):
            checkpoints.link(path, self._checkpoint_path(name))
        self._upload_checkpoint_to_r2(path, epoch, metrics)
        self.retain_checkpoints()
        self._saved = time.monotonic()

    def _save_when_due(self, save: Callable[[], None]) -> None:
        """Calls ``save``, which writes ``latest`` in the middle of an epoch, when the
        last checkpoint is ``save_seconds`` old; at most a twentieth of the time
        goes into that. A disk that is full is told and stops nothing."""
        began = time.monotonic()
        if began - self._saved < max(self.save_seconds, _SAVE_SHARE * self._save_cost):
            return
        try:
            save()
            self.announce_checkpoints()
        except OSError as error:
            if self.logger:
                self.logger.log_message(f"no checkpoint could be written within the epoch: {error}", level="WARNING")
        self._saved = time.monotonic()
        self._save_cost = self._saved - began

    def _load_checkpoint(self, checkpoint_path: str, resume_training: bool = False) -> dict[str, Any]:
        """Loads a checkpoint of ``_save_checkpoint``: everything when ``resume_training``,
        so that training goes on as if it had never stopped, else the weights
        alone. Returns its other entries (``epoch``, ``metrics``, ``extra``)."""
        parts = self._checkpoint_parts()
        return checkpoints.load(checkpoint_path, resume=resume_training, device=self.training_config.device,
                                **(parts if resume_training else {"model": parts["model"]}))

    def _checkpoint_path(self, name: str) -> Path:
        return Path(self.output_dir, "checkpoints", f"{name}.pth")

    def _checkpoint_parts(self) -> dict[str, Any]:
        """What has a ``state_dict()`` that a resumed training needs."""
        if not hasattr(self, "model"):
            raise AttributeError(f"{type(self).__name__} has no self.model; set it before checkpoints are saved or loaded, or override these methods")
        parts = {name: getattr(self, name, None) for name in ("model", "optimizer", "scheduler", "scaler", "ema")}
        return {name: part for name, part in parts.items() if part is not None}

    def _checkpoint_extra(self) -> dict[str, Any]:
        """Plain values that a resumed training needs beside; they come back from ``_load_checkpoint``."""
        return {}

    def _save_validation_result(self, epoch: int, task_type: Any, primary_metric_name: str, primary_metric_value: float,
                                overall_loss: Optional[float] = None, metrics: Optional[dict[str, Any]] = None,
                                per_class_metrics: Optional[Any] = None, confusion_matrix: Optional[Any] = None,
                                checkpoint_path: Optional[str] = None, pr_curves: Optional[dict[str, Any]] = None,
                                samples: Optional[list[dict[str, Any]]] = None) -> None:
        """Files one validation pass (``epoch`` counts from 0)."""
        if self.logger:
            self.logger.log_validation(
                epoch, str(getattr(task_type, "value", task_type)), primary_metric_name, primary_metric_value, overall_loss,
                metrics, per_class_metrics, confusion_matrix, checkpoint_path, classes=self.dataset_config.classes or None, pr_curves=pr_curves,
                samples=samples)

    def _upload_checkpoint_to_r2(self, path: Any, epoch: int, metrics: Any = None) -> None:
        """Announces a checkpoint and uploads it in the background where object
        storage is configured (R2_ENDPOINT, R2_ACCESS_KEY_ID, R2_SECRET_ACCESS_KEY,
        R2_BUCKET). A failed upload is told and never stops training."""
        self._remember(epoch, metrics)
        self.announce_checkpoints()
        target = storage.Bucket.from_environment()
        if target is None:
            return
        thread = threading.Thread(target=self._upload, args=(target, Path(path)), daemon=True, name="checkpoint-upload")
        thread.start()
        self._uploads.append(thread)

    def _upload(self, target: "storage.Bucket", path: Path) -> None:
        try:
            target.upload(path, f"jobs/{self.job_id}/checkpoints/{path.name}")
        except Exception as error:  # observers may fail; training may not
            if self.logger:
                self.logger.log_message(f"upload of {path.name} failed: {error}; it stays in {path.parent}", level="WARNING")

    def announce_checkpoints(self) -> None:
        """Announces what is new or changed in ``output_dir/checkpoints``."""
        folder = Path(self.output_dir, "checkpoints")
        for found in sorted(checkpoints.find(folder), key=lambda f: f.epoch is None):  # latest and best after what they name
            stamp = (found.size, found.mtime_ns, found.inode)
            if self._announced.get(found.path) == stamp:
                continue
            if stamp not in self._hashes:  # latest and best are other names of an epoch's file
                if not checkpoints.readable(found.path):
                    continue
                self._hashes[stamp] = checkpoints.sha256(found.path)
            self._announced[found.path] = stamp
            epoch, step, metrics, per_class = self._content(found)
            checkpoint = {
                "name": f"epoch_{epoch + 1}" if found.epoch is not None else found.name, "path": str(found.path),
                "sha256": self._hashes[stamp], "size": found.size, "epoch": epoch + 1,
                "global_step": step, "metrics": metrics,
            }
            self.checkpoints[found.name] = checkpoint
            self.best_per_class = per_class if found.name == "best" else self.best_per_class
            if found.name == "latest" and not self._latest_told and any(c["sha256"] == checkpoint["sha256"] for n, c in self.checkpoints.items() if n.startswith("epoch_")):
                continue  # another name of what was announced
            if self.logger:
                self.logger.before_metrics()
                if step < self.logger.resumed_at:
                    continue  # an earlier attempt announced it, or one before that from which this goes on
                self.logger.ensure_validation(epoch, str(self.model_config.task_type), self.training_config.monitor)
                self.logger.log_checkpoint(checkpoint)
                self._latest_told = self._latest_told or found.name == "latest"

    def retain_checkpoints(self) -> None:
        """Removes the checkpoints that the train block does not keep. Call it
        once the newest is announced."""
        t, known = self.training_config, {}
        for found in checkpoints.find(Path(self.output_dir, "checkpoints")):
            if found.epoch is not None:
                if found.epoch not in self._metrics:  # of an earlier attempt
                    self._metrics[found.epoch] = checkpoints.summary(found.path)["metrics"]
                known[found.epoch] = self._metrics[found.epoch].get(t.monitor, math.nan)
        try:
            checkpoints.retain(Path(self.output_dir, "checkpoints"), self.checkpoint_policy, known, t.mode == "min")
        except OSError as error:
            if self.logger:
                self.logger.log_message(f"old checkpoints: {error}", level="WARNING")

    def _content(self, found: "checkpoints.Found") -> tuple[int, int, dict[str, float], dict[str, Any]]:
        """Epoch (from 0), global step, metrics and per-class metrics of a
        checkpoint: as this attempt reported them, or, of one that an earlier
        attempt wrote, as it says itself."""
        written = found.epoch if found.epoch is not None else max(self._metrics, default=None)
        mine = written is not None and written in self._metrics and found.mtime_ns >= self._began
        if mine and written is not None:
            step = self.logger.step_after(written + 1) if self.logger else written + 1
            return written, step, self._metrics[written], (self.logger.per_class if self.logger else {}).get(written, {})
        state = checkpoints.summary(found.path)
        epoch = state["epoch"] if state["epoch"] is not None else (found.epoch or 0)
        step = state["global_step"]
        return epoch, epoch + 1 if step is None else step, measured(state["metrics"]), state["per_class"]

    def wait_for_uploads(self, seconds: float = 60.0) -> None:
        """Waits for uploads under way, at most that long each."""
        for thread in self._uploads:
            thread.join(seconds)

    def _remember(self, epoch: int, metrics: Any) -> None:
        named = _by_name(metrics)
        if named is not None:
            self._metrics[epoch] = measured(named)


def _by_name(metrics: Any) -> Optional[dict[str, Any]]:
    """Metrics as they are called elsewhere; None for what are none."""
    if isinstance(metrics, MetricsResult):
        return {"loss": metrics.val_loss, **metrics.metrics}
    return metrics if isinstance(metrics, dict) else None


def _once(name: str, method: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(method)
    def guarded(self: TrainingAdapter, *args: Any, **kwargs: Any) -> None:
        # Keyed by the class too, so that super().prepare_model() still runs.
        key = f"{method.__qualname__}"
        prepared = self.__dict__.setdefault("_prepared", set())
        if key in prepared:
            return None
        method(self, *args, **kwargs)
        prepared.add(key)
        return None

    return guarded

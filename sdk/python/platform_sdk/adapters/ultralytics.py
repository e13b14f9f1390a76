"""ultralytics: YOLO detection, segmentation, pose and classification (AGPL-3.0).

The framework trains; data, checkpoints, resume and what is reported are the
platform's. ultralytics is licensed under AGPL-3.0: it is installed by the user,
runs in a process of its own, and its licence is told in the plan. Models start
from their configuration with random weights, or from a file of ``weights``.
Telemetry, update checks, fonts and installing packages are off; nothing is
downloaded.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any, List, Optional

from ..base import TrainingAdapter
from ..config import ConfigSchema
from ..loading import AdapterError
from ..results import MetricsResult
from . import yolo_settings

LICENSE = "AGPL-3.0"
NUMERICS = 1

# Families by the letters of their sizes and the tasks of their configurations.
_FAMILIES = {
    "yolov8": ("nsmlx", ("", "-seg", "-pose", "-cls")),
    "yolo11": ("nsmlx", ("", "-seg", "-pose", "-cls")),
    "yolo26": ("nsmlx", ("", "-seg", "-pose", "-cls")),
    "yolov10": ("nsmblx", ("",)),
}
_TASKS = {"": "object_detection", "-seg": "instance_segmentation", "-pose": "pose_estimation", "-cls": "image_classification"}


def get_models(task_type: Optional[str] = None) -> list[dict[str, Any]]:
    """The YOLO families by size and task."""
    return [
        {"model_name": f"{family}{size}{suffix}", "framework": "ultralytics", "task_types": [_TASKS[suffix]],
         "default_image_size": 224 if suffix == "-cls" else 640, "pretrained": False,
         "description": f"{family} {size} of ultralytics", "license": LICENSE}
        for family, (sizes, suffixes) in _FAMILIES.items() for suffix in suffixes for size in sizes
        if task_type in (None, _TASKS[suffix])]


def count_parameters(name: str) -> int:
    """With the classes of the model's own yaml file: COCO's 80, or ImageNet's 1,000."""
    _quiet(tempfile.gettempdir())
    import torch
    from ultralytics.nn.tasks import parse_model, yaml_model_load

    with torch.device("meta"):
        layers, _ = parse_model(yaml_model_load(f"{name}.yaml"), ch=3, verbose=False)
    return sum(p.numel() for p in layers.parameters())


class UltralyticsAdapter(TrainingAdapter):
    """Trains a YOLO model through the framework's trainer of its task."""

    dataset_formats = ["coco", "yolo", "voc", "imagefolder", "dice"]
    reads_index = True

    @staticmethod
    def get_advanced_config_schema(task_type: str) -> ConfigSchema:
        return yolo_settings.schema(task_type)

    @staticmethod
    def get_config_presets(task_type: str) -> dict[str, Any]:
        return yolo_settings.presets(task_type)

    def prepare_dataset(self) -> None:
        _quiet(self.output_dir)
        from . import yolo_data

        self.data = yolo_data.load(self.dataset_config, str(self.model_config.task_type))
        if (self.training_config.advanced_config or {}).get("single_class"):
            self.data = yolo_data.as_one(self.data)
        self.dataset_config.classes = self.data.classes
        self.model_config.num_classes = len(self.data.classes)

    def prepare_model(self) -> None:
        """Builds the framework's trainer; the model itself is made when it is set up."""
        _quiet(self.output_dir)
        from . import yolo_trainer

        c, t = self.model_config, self.training_config
        known = [m["model_name"] for m in get_models(str(c.task_type))]
        if c.model_name not in known:
            raise AdapterError(f"ultralytics has no model {c.model_name!r} for {c.task_type}; see: runner models --framework ultralytics")
        if c.pretrained and not c.weights:
            raise AdapterError("ultralytics downloads nothing here; fetch the file of pretrained weights yourself and write "
                               f"weights = \"{c.model_name}.pt\" in place of pretrained = true")
        if c.image_size % 32:
            raise AdapterError(f"image_size = {c.image_size}: a YOLO model takes a multiple of 32, such as {c.image_size // 32 * 32 or 32} "
                               f"or {c.image_size // 32 * 32 + 32}")
        wanted = yolo_settings.arguments(str(c.task_type), t.advanced_config or {}, t.learning_rate)
        self.trainer = yolo_trainer.build(self, {
            **wanted, "model": f"{c.model_name}.yaml", "imgsz": c.image_size, "epochs": t.epochs, "batch": t.batch_size, "seed": t.seed,
            "workers": t.num_workers, "device": _device(t.device), "pretrained": False, "deterministic": True, "plots": False,
            "verbose": False, "project": self.output_dir, "name": ".ultralytics", "exist_ok": True})

    def train(self, start_epoch: int = 0, checkpoint_path: Optional[str] = None,
              resume_training: bool = False) -> List[MetricsResult]:
        self.prepare_dataset()
        for split in ("train", "val"):
            if not self.data.splits.get(split):
                raise AdapterError(f"dataset {self.dataset_config.dataset_path} has no {split} images")
        self.prepare_model()
        if str(self.model_config.task_type) != "image_classification" and (text := yolo_settings.never_open(self.trainer.args)):
            self.tell(text)
        self.trainer.start = (checkpoint_path, resume_training)
        self.trainer.train()
        return self.trainer.results

    def applied_config(self) -> dict[str, Any]:
        """Read back from the trainer's optimizer, schedule, transforms, loss and stopper."""
        return yolo_settings.applied(str(self.model_config.task_type), self.trainer) | {
            "seed": self.trainer.args.seed, "device": self.trainer.device.type}

    def export_onnx(self, checkpoint_path: str, path: str) -> dict[str, Any]:
        """Writes the network of a checkpoint as ONNX: input ``images`` (N, 3, size,
        size) of RGB in [0, 1], output ``output0`` (and ``output1``, the mask
        prototypes), as the framework's own export gives them. Returns what a
        user of the file must know, and under ``parity`` inputs with the
        network's own outputs."""
        _quiet(self.output_dir)
        from . import yolo_trainer

        return yolo_trainer.export_onnx(checkpoint_path, path)

    def evaluate(self, checkpoint_path: str, split: str) -> dict[str, Any]:
        """Measures a checkpoint on a split of the planned data: ``loss``,
        ``metrics``, ``per_class``, ``confusion_matrix`` and its ``classes``."""
        _quiet(self.output_dir)
        from . import yolo_trainer

        about = yolo_trainer.about(checkpoint_path)
        # What decides the figures is as it was in training; the checkpoint brings the weights.
        self.training_config.advanced_config, self.model_config.image_size = about["config"], about["image_size"]
        self.training_config.batch_size = about.get("batch_size", self.training_config.batch_size)  # the framework's loss depends on it
        self.model_config.pretrained, self.model_config.weights = False, None
        self.prepare_dataset()
        if not self.data.splits.get(split):
            raise AdapterError(f"dataset {self.dataset_config.dataset_path} has no {split} images")
        self.prepare_model()
        return self.trainer.evaluate(checkpoint_path, split)

    def tell(self, text: str) -> None:
        if self.logger:
            self.logger.log_message(text, level="WARNING")


def _device(device: str) -> str:
    return "0" if device == "cuda" else device.removeprefix("cuda:")


def _quiet(folder: str) -> None:
    """Before the framework is imported: no network, no settings of the user's, no
    installing. It reads these when it loads."""
    own = {"YOLO_OFFLINE": "true", "YOLO_AUTOINSTALL": "false", "YOLO_VERBOSE": "false", "YOLO_CONFIG_DIR": str(Path(folder, ".ultralytics"))}
    for name, value in own.items():
        os.environ.setdefault(name, value)
    # It would set one thread where nobody said how many.
    os.environ.setdefault("OMP_NUM_THREADS", str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1))
    Path(os.environ["YOLO_CONFIG_DIR"]).mkdir(parents=True, exist_ok=True)

    from ultralytics.utils import callbacks

    # Trackers of the framework would be found by what happens to be installed; the platform has its own.
    callbacks.add_integration_callbacks = lambda _instance: None

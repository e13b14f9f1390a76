"""The planned samples as ultralytics' datasets: nothing is written beside the user's data."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Optional

import numpy as np
from PIL import UnidentifiedImageError
from ultralytics.data.augment import classify_augmentations, classify_transforms
from ultralytics.data.dataset import ClassificationDataset, YOLODataset

from ..config import DatasetConfig
from ..detection import Image, planned_boxes
from ..loading import AdapterError


@dataclass(frozen=True)
class Data:
    """Rows are (path, label) for classification, detection.Image otherwise."""

    classes: list[str]
    splits: dict[str, list[Any]]
    keypoints: int = 0
    flip: Optional[list[int]] = None

    def described(self) -> dict[str, Any]:
        """The framework's dataset dictionary; its paths are names of splits."""
        out: dict[str, Any] = {s: s for s in self.splits} | {"names": dict(enumerate(self.classes)), "nc": len(self.classes), "channels": 3}
        if self.keypoints:
            out |= {"kpt_shape": [self.keypoints, 3], "flip_idx": self.flip or []}
        return out


def load(config: DatasetConfig, task: str) -> Data:
    """The planned list of a task."""
    if task == "image_classification":
        if not config.index_path:
            raise AdapterError("the images come as the runner's planned sample list (dataset.index_path), and this task has none")
        with open(config.index_path, encoding="utf-8") as file:
            index = json.load(file)
        return Data(list(index["classes"]), {s: [(r["p"], r["l"]) for r in rows] for s, rows in index["splits"].items()})
    planned = planned_boxes(config)
    if task == "pose_estimation" and not planned.keypoints:
        raise AdapterError(f"dataset {config.dataset_path} has no keypoints, which pose estimation learns from")
    if task == "instance_segmentation":
        bare = next((i for i in planned.splits.get("train", []) for b in i.boxes if not b.polygons and not b.crowd), None)
        if bare:
            raise AdapterError(f"{bare.path}: an object has a box and no outline; instance segmentation needs polygons for each")
    return Data(planned.classes, dict(planned.splits), planned.keypoints, planned.flip)


def as_one(data: Data) -> Data:
    """The same objects under one class; the datasets drop their labels."""
    return replace(data, classes=["object"])


class Boxes(YOLODataset):
    """Images with boxes, from planned rows (handed over in ``data["rows"]``)."""

    def get_img_files(self, img_path: Any) -> list[str]:
        return [row.path for row in self.data["rows"][img_path]]

    def get_labels(self) -> list[dict[str, Any]]:
        return [_label(row, self.use_keypoints, self.data.get("kpt_shape")) for row in self.data["rows"][self.img_path]]


def _label(row: Image, keypoints: bool, shape: Optional[list[int]]) -> dict[str, Any]:
    boxes = [b for b in row.boxes if not b.crowd]
    size = np.array([row.width, row.height], dtype=np.float32)
    centred = np.array([[b.x + b.width / 2, b.y + b.height / 2, b.width, b.height] for b in boxes], dtype=np.float32).reshape(-1, 4)
    points = None
    if keypoints and shape:
        points = np.array([b.keypoints or [0.0] * (shape[0] * 3) for b in boxes], dtype=np.float32).reshape(-1, shape[0], 3)
        points[..., :2] /= size
    return {"im_file": row.path, "shape": (row.height, row.width), "cls": np.array([[b.label] for b in boxes], dtype=np.float32).reshape(-1, 1),
            "bboxes": centred / np.tile(size, 2), "segments": [_outline(b.polygons, size) for b in boxes if b.polygons], "keypoints": points,
            "normalized": True, "bbox_format": "xywh"}


def _outline(polygons: list[list[float]], size: np.ndarray) -> np.ndarray:
    """One outline of an object; parts are joined end to end, as the framework's own converter does."""
    from ultralytics.data.converter import merge_multi_segment

    parts = [np.array(p, dtype=np.float32).reshape(-1, 2) for p in polygons]
    joined = parts[0] if len(parts) == 1 else np.concatenate(merge_multi_segment([p.reshape(-1).tolist() for p in parts]), 0)
    return (joined / size).astype(np.float32)


class Labelled(ClassificationDataset):
    """Images with labels, from planned rows, with the framework's transforms."""

    def __init__(self, rows: list[tuple[str, int]], args: Any, augment: bool) -> None:
        self.samples = [[path, label, Path(path).with_suffix(".npy"), None] for path, label in rows]
        self.cache_ram = self.cache_disk = False
        self.torch_transforms = classify_transforms(size=args.imgsz) if not augment else classify_augmentations(
            size=args.imgsz, scale=(1.0 - args.scale, 1.0), hflip=args.fliplr, vflip=args.flipud, erasing=args.erasing,
            auto_augment=args.auto_augment, hsv_h=args.hsv_h, hsv_s=args.hsv_s, hsv_v=args.hsv_v)

    @staticmethod
    def imread(f: str) -> np.ndarray:
        image = ClassificationDataset.imread(f)
        if image is None:  # the framework would fail later, on no image, without its name
            raise UnidentifiedImageError(f"{f} cannot be read as an image")
        return image

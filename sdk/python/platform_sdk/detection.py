"""Planned detection data: images with boxes, as the runner lists them for a step.

The runner reads coco, yolo and voc, checks every annotation, and writes one
list beside the task (``dataset.json``, docs/protocol.md), so that adapters see
the same boxes whatever the labels looked like on disk::

    data = planned_boxes(self.dataset_config)
    for image in data.splits["train"]:
        for box in image.boxes:
            print(image.path, data.classes[box.label], box.x, box.y, box.width, box.height)

Coordinates are pixels of the image as it is stored, from its top left corner.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Optional

from .config import DatasetConfig
from .loading import AdapterError


@dataclass(frozen=True)
class Box:
    """One object: its class, its rectangle in pixels, and where the labels have
    them its outlines ``[x1, y1, x2, y2, …]`` and keypoints ``[x, y, visibility, …]``.
    ``crowd`` marks a region of many objects, which COCO leaves out of precision."""

    label: int
    x: float
    y: float
    width: float
    height: float
    polygons: list[list[float]] = field(default_factory=list)
    keypoints: list[float] = field(default_factory=list)
    crowd: bool = False


@dataclass(frozen=True)
class Image:
    """An image file, its size in pixels and its objects (none: background)."""

    path: str
    width: int
    height: int
    boxes: list[Box]


@dataclass(frozen=True)
class Planned:
    """``splits`` has train, val and maybe test. ``keypoints`` is how many points
    an object has, ``flip`` the index of each point's mirror image."""

    classes: list[str]
    splits: dict[str, list[Image]]
    keypoints: int = 0
    flip: Optional[list[int]] = None


def planned_boxes(config: DatasetConfig) -> Planned:
    """Reads the planned list of a detection dataset. Raises AdapterError where
    there is none, or where it lists images without sizes."""
    if not config.index_path:
        raise AdapterError("detection data comes as the runner's planned sample list (dataset.index_path), and this task has none; "
                           "write a dataset block with format = \"coco\", \"yolo\" or \"voc\"")
    with open(config.index_path, encoding="utf-8") as file:
        index = json.load(file)
    splits = {name: [_image(row) for row in rows] for name, rows in index["splits"].items()}
    points = index.get("keypoints") or {}
    return Planned(list(index["classes"]), splits, int(points.get("count") or 0), points.get("flip"))


def _image(row: dict[str, Any]) -> Image:
    if not row.get("w") or not row.get("h"):
        raise AdapterError(f"{row['p']} has no size in the planned list; it lists images for classification, not for detection")
    return Image(row["p"], int(row["w"]), int(row["h"]), [
        Box(int(b["l"]), *(float(v) for v in b["x"]), polygons=b.get("s") or [], keypoints=b.get("k") or [], crowd=bool(b.get("crowd")))
        for b in row.get("b") or []])

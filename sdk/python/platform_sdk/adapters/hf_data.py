"""Planned samples as datasets of the Trainer. What is random of an image is a
function of (seed, epoch, sample), so that a resumed training sees the same."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any, Iterator

import torch
from PIL import Image
from torchvision import transforms as T

from ..classification import Images
from ..detection import Image as Planned
from ..detection import planned_boxes
from ..training import epoch_order

if TYPE_CHECKING:
    from .transformers import TransformersAdapter


class EpochOrder:
    """Sample numbers of an epoch, shuffled by (seed, epoch). They count on from
    epoch to epoch (``epoch * n + sample``), which tells loader workers the epoch."""

    def __init__(self, n: int, seed: int) -> None:
        self.n, self.seed, self.epoch = n, seed, 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return self.n

    def __iter__(self) -> Iterator[int]:
        return iter([self.epoch * self.n + i for i in epoch_order(self.n, self.seed, self.epoch)])


class Labelled(Images):
    """Images by class, as the model's inputs."""

    def __getitem__(self, number: int) -> dict[str, Any]:  # type: ignore[override]
        self.epoch, index = divmod(number, len(self))
        pixels, label = super().__getitem__(index)
        return {"pixel_values": pixels, "labels": label}

    @staticmethod
    def collate(rows: list[dict[str, Any]]) -> dict[str, Any]:
        return {"pixel_values": torch.stack([r["pixel_values"] for r in rows]), "labels": torch.tensor([r["labels"] for r in rows])}


class Boxed:
    """Images with boxes, squared to the model's size; labels as DETR takes them."""

    def __init__(self, rows: list[Planned], size: int, mean: Any, std: Any, seed: int, flip: bool = False, jitter: float = 0.0) -> None:
        self.rows, self.size, self.seed, self.flip = rows, size, seed, flip
        self.jitter = T.ColorJitter(jitter, jitter, jitter) if jitter else None
        self.finish = T.Compose([T.ToTensor(), T.Normalize(mean, std)])

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, number: int) -> dict[str, Any]:
        epoch, index = divmod(number, len(self))
        row = self.rows[index]
        with Image.open(row.path) as image:
            rgb = image.convert("RGB").resize((self.size, self.size), Image.Resampling.BILINEAR)
        boxes = [b for b in row.boxes if not b.crowd]
        centres = torch.tensor([[(b.x + b.width / 2) / row.width, (b.y + b.height / 2) / row.height, b.width / row.width, b.height / row.height]
                                for b in boxes], dtype=torch.float32).reshape(-1, 4)
        draw = random.Random(hash((self.seed, epoch, index)))
        if self.flip and draw.random() < 0.5:
            rgb = rgb.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
            centres[:, 0] = 1 - centres[:, 0]
        if self.jitter:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(draw.getrandbits(62))
                rgb = self.jitter(rgb)
        return {"pixel_values": self.finish(rgb), "labels": {"class_labels": torch.tensor([b.label for b in boxes], dtype=torch.long), "boxes": centres}}

    @staticmethod
    def collate(rows: list[dict[str, Any]]) -> dict[str, Any]:
        return {"pixel_values": torch.stack([r["pixel_values"] for r in rows]), "labels": [r["labels"] for r in rows]}


def load(adapter: "TransformersAdapter") -> tuple[Any, dict[str, Any], list[str]]:
    """The training set with its augmentation, every other set without, and the classes."""
    seed, size = adapter.training_config.seed, adapter.model_config.image_size
    if not adapter.detects:
        samples, classes = adapter._samples()
        train = Labelled(samples.get("train", []), adapter.train_transform(), seed)
        return train, {s: Labelled(rows, adapter.val_transform(), seed) for s, rows in samples.items()}, classes
    planned = planned_boxes(adapter.dataset_config)
    a = adapter._config().get("augmentation", {})
    adapter.augmentation = {"enabled": bool(a.get("enabled", False))}
    flip, jitter = False, 0.0
    if adapter.augmentation["enabled"]:
        flip, jitter = bool(a.get("random_flip", True)), float(a.get("color_jitter", 0.0))
    train = Boxed(planned.splits.get("train", []), size, adapter.mean, adapter.std, seed, flip, jitter)
    if adapter.augmentation["enabled"]:
        adapter.augmentation |= {"random_flip": train.flip, "color_jitter": float(train.jitter.brightness[1]) - 1 if train.jitter else 0.0}
    return train, {s: Boxed(rows, size, adapter.mean, adapter.std, seed) for s, rows in planned.splits.items()}, planned.classes

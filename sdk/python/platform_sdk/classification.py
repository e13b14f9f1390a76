"""ClassificationAdapter: a whole image classifier but for its model.

Derive from it, write ``prepare_model``, and everything else is here: data,
augmentation, optimizer, schedule, precision, accumulation, moving average,
validation with per-class figures, checkpoints, exact resume, early stopping::

    class Mine(ClassificationAdapter):
        def prepare_model(self):
            self.model = build(self.model_config.model_name, self.model_config.num_classes)

A resumed training gives the losses of one that was never stopped: the order of
samples is a function of (seed, epoch), each image's augmentation of (seed,
epoch, sample), and the checkpoint holds everything else.
"""

from __future__ import annotations

import json
import math
import time
from pathlib import Path
from typing import Any, Callable, List, Optional

from . import checkpoints
from .base import Stop, TrainingAdapter
from .config import ConfigSchema
from .curves import Curves
from .loading import AdapterError
from .results import MetricsResult
from .samples import Samples
from .training import EMA, MicroBatches, Precision, Schedule, batches, draws_of, epoch_order, make_optimizer, seed_everything, standard_presets, standard_schema

_PROGRESS_SECONDS = 1.0


class Images:
    """A torch dataset over (path, label) pairs. ``epoch`` and ``seed`` decide
    every random choice of an image's transform."""

    def __init__(self, samples: list[tuple[str, int]], transform: Any, seed: int) -> None:
        self.samples, self.transform, self.seed, self.epoch = samples, transform, seed, 0

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        from PIL import Image, ImageOps

        path, label = self.samples[index]
        with Image.open(path) as image:
            rgb = ImageOps.exif_transpose(image).convert("RGB")  # as cameras mean it, and viewers show it
        with draws_of(self.seed, self.epoch, index):
            return self.transform(rgb), label


class ClassificationAdapter(TrainingAdapter):
    """See the module's text. ``mean`` and ``std`` are per channel, of images in
    [0, 1]; an image's shorter side is resized to image_size / ``crop_pct`` pixels
    by ``interpolation`` (bilinear, bicubic), and the centre cut out."""

    mean = (0.485, 0.456, 0.406)
    std = (0.229, 0.224, 0.225)
    crop_pct = 1.0
    interpolation = "bilinear"
    reads_index = True
    publishes_model = True

    @staticmethod
    def get_advanced_config_schema(task_type: str) -> ConfigSchema:
        return standard_schema()

    @staticmethod
    def get_config_presets(task_type: str) -> dict[str, Any]:
        return standard_presets()

    # -- data --------------------------------------------------------------------

    def prepare_dataset(self) -> None:
        self.samples, classes = self._samples()
        self.dataset_config.classes = classes
        if not self.model_config.num_classes:
            self.model_config.num_classes = len(classes)
        seed = self.training_config.seed
        self.train_set = Images(self.samples.get("train", []), self.train_transform(), seed)
        self.val_set = Images(self.samples.get("val", []), self.val_transform(), seed)

    def _samples(self) -> tuple[dict[str, list[tuple[str, int]]], list[str]]:
        """The planned sample list where there is one, else the folder's."""
        if self.dataset_config.index_path:
            with open(self.dataset_config.index_path, encoding="utf-8") as file:
                index = json.load(file)
            return {s: [(x["p"], x["l"]) for x in rows] for s, rows in index["splits"].items()}, list(index["classes"])
        root = Path(self.dataset_config.dataset_path)
        splits = [p for p in (root / "train", root / "val", root / "test") if p.is_dir()]
        classes = sorted({c.name for s in splits for c in s.iterdir() if c.is_dir()})
        return {s.name: [(str(f), classes.index(c.name)) for c in sorted(s.iterdir()) if c.is_dir()
                         for f in sorted(c.iterdir()) if f.is_file()] for s in splits}, classes

    def _config(self) -> dict[str, Any]:
        return self.training_config.advanced_config or {}

    def train_transform(self) -> Any:
        """Resizing and augmentation of training images, to normalised tensors."""
        from torchvision import transforms as T

        a, size = self._config().get("augmentation", {}), self.model_config.image_size
        steps: list[Any] = self.resize()
        self.augmentation: dict[str, Any] = {"enabled": bool(a.get("enabled", False)), "random_flip": False, "random_crop": 0,
                                             "rotation": 0.0, "color_jitter": 0.0}
        if self.augmentation["enabled"]:
            self.augmentation.update(random_flip=a.get("random_flip", True), random_crop=a.get("random_crop", 0),
                                     rotation=a.get("rotation", 0.0), color_jitter=a.get("color_jitter", 0.0))
            if self.augmentation["random_crop"]:
                steps.append(T.RandomCrop(size, padding=int(self.augmentation["random_crop"])))
            if self.augmentation["random_flip"]:
                steps.append(T.RandomHorizontalFlip())
            if self.augmentation["rotation"]:
                steps.append(T.RandomRotation(self.augmentation["rotation"], T.InterpolationMode.BILINEAR))
            if jitter := self.augmentation["color_jitter"]:
                steps.append(T.ColorJitter(jitter, jitter, jitter))
        return T.Compose(steps + [T.ToTensor(), T.Normalize(self.mean, self.std)])

    def val_transform(self) -> Any:
        """Resizing of validation images, to normalised tensors."""
        from torchvision import transforms as T

        return T.Compose([*self.resize(), T.ToTensor(), T.Normalize(self.mean, self.std)])

    def resize(self) -> list[Any]:
        """What makes any image image_size x image_size."""
        from torchvision import transforms as T

        size = self.model_config.image_size
        return [T.Resize(math.floor(size / self.crop_pct), T.InterpolationMode(self.interpolation)), T.CenterCrop(size)]

    def _loader(self, data: Images, order: list[list[int]]) -> Any:
        import torch

        # The loader's own base seed comes from a generator of its own, not from training's.
        return torch.utils.data.DataLoader(data, batch_sampler=order, num_workers=self.training_config.num_workers,  # type: ignore[arg-type]
                                           generator=torch.Generator().manual_seed(0))

    # -- training ----------------------------------------------------------------

    def train(self, start_epoch: int = 0, checkpoint_path: Optional[str] = None,
              resume_training: bool = False) -> List[MetricsResult]:
        import torch

        config, t, c = self._config(), self.training_config, self.model_config
        seed_everything(t.seed)
        self.prepare_dataset()
        if not self.samples.get("train") or not self.samples.get("val"):
            raise FileNotFoundError(f"dataset {self.dataset_config.dataset_path} needs images in train/CLASS/ and val/CLASS/")
        self.prepare_model()
        self.device = t.device
        self.model.to(self.device)
        self.optimizer = make_optimizer([p for p in self.model.parameters() if p.requires_grad], config.get("optimizer", {}), t.learning_rate)
        self.schedule = self.make_schedule(config.get("scheduler", {}), self.optimizer.param_groups[0]["lr"])
        self.precision = Precision(config.get("mixed_precision", False), t.device)
        self.scaler = self.precision.scaler
        self.clip = float(config.get("gradient_clip_value", 0.0))
        self.accumulation = int(config.get("gradient_accumulation", 1))
        self.weights = c.weights or ("pretrained" if c.pretrained else f"seed {t.seed}")
        self.criterion = torch.nn.CrossEntropyLoss(label_smoothing=config.get("label_smoothing", 0.0))
        decay = config.get("ema_decay", 0.0)
        self.ema = EMA(self.model, decay) if decay else None
        self.patience = int(config.get("early_stopping", {}).get("patience", 0))
        self.drop_last = bool(config.get("drop_last", False))
        rest = len(self.train_set) % t.batch_size
        self.used = len(self.train_set) - (rest if self.drop_last else 0)  # images of an epoch
        if not self.used:
            raise AdapterError(f"drop_last leaves nothing: {rest} training images make no batch of {t.batch_size}")
        if rest == 1 and self.used > 1 and not self.drop_last and _has_batch_norm(self.model):
            self.used -= 1
            self._tell("the last batch of each epoch would be a single image, which batch norm cannot train on: it is left out", "INFO")
        self.micro = MicroBatches(t.batch_size, self._tell)
        self.best: Optional[float] = None
        self.per_class: dict[str, Any] = {}  # of the last validation
        self.best_epoch, self.waited, self.global_step, position = -1, 0, 0, 0
        self.epoch, self.position = start_epoch, 0
        self.totals = [0.0, 0, 0]  # of the epoch so far: losses, images, right answers
        if checkpoint_path:
            self.weights = checkpoint_path
            if not resume_training:
                self._load_checkpoint(checkpoint_path)
            elif position := self._resume(checkpoint_path):
                start_epoch = self.epoch
        if self.logger:
            self.logger.global_step = self.global_step
            self.logger.before_metrics()  # the proof of what was built comes before the first step
        results = []
        for epoch in range(start_epoch, t.epochs):
            if self._out_of_patience():
                self.stopped_by = "early_stopping"
                break
            results.append(self._epoch(epoch, position))
            position = 0
        return results

    def _epoch(self, epoch: int, position: int) -> MetricsResult:
        t = self.training_config
        rate = self.schedule.apply(self.optimizer, epoch)
        self.epoch, self.position = epoch, position
        train_loss = self._train_one_epoch(epoch, position)
        found = self._validate()
        metrics, per_class = found["metrics"], found["per_class"]
        value = metrics.get(t.monitor)
        if value is None:
            raise AdapterError(f"monitor = {t.monitor!r} is none of what this adapter reports: {', '.join(sorted(metrics))}")
        better = value == value and (
            self.best is None or (value > self.best if t.mode == "max" else value < self.best))
        self.waited = 0 if better else self.waited + 1
        if better:
            self.best, self.best_epoch = value, epoch
        result = MetricsResult(epoch=epoch, train_loss=train_loss, val_loss=metrics["loss"], metrics={k: v for k, v in metrics.items() if k != "loss"})
        if self.logger:
            self.logger.global_step = self.global_step
            self.logger.log_metrics(epoch, loss=train_loss, learning_rate=rate, extra_metrics={
                "train_accuracy": self.totals[2] / max(1, self.totals[1]), "train_images_per_second": self.speed,
                **{f"val_{k}": v for k, v in metrics.items()}})
        every = self.checkpoint_policy.get("every") or 1
        write = better or self.best is None or epoch + 1 == t.epochs or self._out_of_patience() or (epoch + 1) % every == 0
        # The report before the checkpoint: what resumes from that would not report it again.
        self._save_validation_result(epoch, self.model_config.task_type, t.monitor, value, metrics["loss"], metrics,
                                     per_class, found["confusion_matrix"], str(self._checkpoint_path(f"epoch_{epoch}")) if write else None, found["pr_curves"],
                                     found["samples"])
        self.per_class = per_class
        if write:
            self._save_checkpoint(epoch, result, better)
            self.position = 0  # until here a stop keeps the whole epoch's training
        return result

    def make_schedule(self, config: dict[str, Any], base_lr: float) -> Schedule:
        """The learning rate by epoch. Override to offer other schedules."""
        return Schedule(config, self.training_config.epochs, base_lr)

    def mix(self, images: Any, labels: Any, epoch: int, position: int) -> tuple[Any, Any]:
        """Override to change a training batch as a whole: ``images`` [n, 3, size, size],
        ``labels`` [n], which may become probabilities [n, classes]. ``position`` is
        that of its first image in the epoch. Draw at random inside
        ``training.draws_of(seed, epoch, position, len(labels))``, a key that no
        image's own draws have: a resumed training then does the same."""
        return images, labels

    def _out_of_patience(self) -> bool:
        return bool(self.patience) and self.waited >= self.patience

    def _train_one_epoch(self, epoch: int, position: int) -> float:
        t = self.training_config
        self.model.train()
        self.train_set.epoch = epoch
        order = list(batches(epoch_order(len(self.train_set), t.seed, epoch)[:self.used], t.batch_size, self.drop_last, position))
        if not position:
            self.totals = [0.0, 0, 0]
        windows = [order[i:i + self.accumulation] for i in range(0, len(order), self.accumulation)]
        data = iter(self._loader(self.train_set, order))
        started = told = time.monotonic()
        seen = 0
        for window in windows:
            in_window = sum(len(b) for b in window)
            self.optimizer.zero_grad(set_to_none=True)
            for batch in window:
                images, labels = self.mix(*next(data), epoch, position + seen)
                loss, right = self.micro.run(images, labels, lambda x, y, share, k=len(batch): self._backward(x, y, share * k / in_window),
                                      lambda: self.optimizer.zero_grad(set_to_none=True))
                self.totals[0] += loss * in_window
                self.totals[1] += len(batch)
                self.totals[2] += int(right)
                seen += len(batch)
            self._update()
            self.position = position + seen
            now = time.monotonic()
            if self.logger and (now - told >= _PROGRESS_SECONDS or window is windows[-1]):
                told, speed = now, seen / max(now - started, 1e-9)
                left = (self.used - self.position + (t.epochs - epoch - 1) * self.used) / speed
                self.logger.global_step = self.global_step
                self.logger.log_progress(epoch, t.epochs, -(-self.position // t.batch_size), -(-self.used // t.batch_size),
                                         self.totals[0] / self.totals[1], speed, left)
            self.stop_point()
        self.speed = seen / max(time.monotonic() - started, 1e-9)
        return self.totals[0] / max(1, self.totals[1])

    def _backward(self, images: Any, labels: Any, share: float) -> Any:
        """Adds one micro-batch's gradient, weighted by its share of the update's
        samples. Returns its loss, so weighted, and how many answers are right."""
        import torch

        images, labels = images.to(self.device), labels.to(self.device)
        with self.precision.autocast():
            logits = self.model(images)
            loss = self.criterion(logits, labels) * share
        self.scaler.scale(loss).backward()
        truth = labels if labels.ndim == 1 else labels.argmax(1)  # of a mixed image, what there is most of
        return torch.stack([loss.detach().double(), (logits.detach().argmax(1) == truth).sum().double()]).cpu()

    def _update(self) -> None:
        import torch

        scaler = self.scaler
        if self.clip > 0:
            scaler.unscale_(self.optimizer)
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.clip)
        scaler.step(self.optimizer)
        scaler.update()
        if self.ema:
            self.ema.update(self.model)
        self.global_step += 1

    def stop_point(self) -> None:
        """Called after every update, where a checkpoint can be written."""
        if self.logger and self.logger.stopping():
            raise Stop()
        if self.position < self.used:  # the epoch's end has its own
            self._save_when_due(self._save_within)

    def _save_within(self) -> None:
        if self.logger:
            self.logger.global_step = self.global_step
        self.save_on_stop()

    # -- validation --------------------------------------------------------------

    def _validate(self, told: Callable[[int], None] = lambda _images: None) -> dict[str, Any]:
        import torch

        model = self.ema.model if self.ema else self.model
        model.eval()
        n = self.model_config.num_classes or len(self.dataset_config.classes)
        matrix, curves = torch.zeros(n, n, dtype=torch.int64), Curves(n)
        samples = Samples([path for path, _ in self.val_set.samples])
        loss, top5, count = 0.0, 0, 0
        order = list(batches(list(range(len(self.val_set))), self.training_config.batch_size, False))
        with torch.no_grad():
            for images, labels in self._loader(self.val_set, order):
                images, labels = images.to(self.device), labels.to(self.device)
                with self.precision.autocast():
                    logits = model(images).float()
                loss += float(torch.nn.functional.cross_entropy(logits, labels, reduction="sum"))
                top5 += int((logits.topk(min(5, n), dim=1).indices == labels[:, None]).any(1).sum())
                matrix += torch.bincount((labels * n + logits.argmax(1)).cpu(), minlength=n * n).reshape(n, n)
                curves.add(logits, labels)
                samples.add(logits, labels)
                count += len(labels)
                told(count)
        classes = self.dataset_config.classes or [str(i) for i in range(n)]
        metrics, per_class = figures(matrix.tolist(), classes)
        return {"loss": loss / count, "metrics": {"loss": loss / count, "top5_accuracy": top5 / count, **metrics}, "per_class": per_class,
                "confusion_matrix": matrix.tolist(), "pr_curves": curves.figures(classes), "samples": samples.figures(),
                "classes": self.dataset_config.classes}

    def evaluate(self, checkpoint_path: str, split: str) -> dict[str, Any]:
        """As validation during training measures, on any split."""
        from .deploy import restore

        self.prepare_dataset()
        if not self.samples.get(split):
            raise FileNotFoundError(f"dataset {self.dataset_config.dataset_path} has no images in split {split!r}")
        self.val_set = Images(self.samples[split], self.val_transform(), self.training_config.seed)
        self.model, self.device = restore(self, checkpoint_path), self.training_config.device
        self.ema, self.precision = None, Precision(False, self.device)
        return self._validate(self._progress(len(self.val_set)))

    def _progress(self, images: int) -> Callable[[int], None]:
        """Tells, now and then, how many of the images are done."""
        started = told = time.monotonic()

        def tell(done: int) -> None:
            nonlocal told
            now = time.monotonic()
            if self.logger and (now - told >= _PROGRESS_SECONDS or done == images):
                told, speed = now, done / max(now - started, 1e-9)
                self.logger.log_progress(0, 1, done, images, 0.0, speed, (images - done) / speed)

        return tell

    # -- checkpoints -------------------------------------------------------------

    def _checkpoint_extra(self) -> dict[str, Any]:
        return {"best": self.best, "best_epoch": self.best_epoch, "waited": self.waited, "global_step": self.global_step,
                "totals": list(self.totals), "micro_batch": self.micro.size, "per_class": self.per_class}

    def save_on_stop(self) -> None:
        """Writes ``latest`` where training stands, in an epoch or at its end."""
        if hasattr(self, "optimizer") and self.position:
            checkpoints.save(self._checkpoint_path("latest"), epoch=self.epoch - 1, sample_position=self.position, extra=self._checkpoint_extra(),
                             **self._checkpoint_parts())

    def _resume(self, path: str) -> int:
        """Goes on where a checkpoint stands; returns the sample position in ``self.epoch``."""
        state = self._load_checkpoint(path, resume_training=True)
        extra = state["extra"]
        self.best, self.best_epoch, self.waited = extra["best"], extra["best_epoch"], extra["waited"]
        self.global_step, self.totals, self.micro.size = extra["global_step"], [*extra["totals"], 0][:3], extra["micro_batch"]
        self.epoch = int(state["epoch"]) + 1
        return int(state["sample_position"])

    def applied_config(self) -> dict[str, Any]:
        """Read back from the objects: optimizer, schedule, transforms, loss, averages."""
        group, kind = self.optimizer.param_groups[0], type(self.optimizer).__name__.lower()
        out: dict[str, Any] = {
            "optimizer.type": kind, "optimizer.learning_rate": self.schedule.base_lr, "optimizer.weight_decay": group["weight_decay"],
            "scheduler.type": self.schedule.type, "scheduler.warmup_epochs": self.schedule.warmup_epochs,
            "mixed_precision": self.precision.active, "gradient_clip_value": self.clip, "gradient_accumulation": self.accumulation,
            "label_smoothing": self.criterion.label_smoothing, "ema_decay": self.ema.decay if self.ema else 0.0,
            "early_stopping.patience": self.patience, "drop_last": self.drop_last}
        if kind == "sgd":
            out |= {"optimizer.momentum": group["momentum"], "optimizer.nesterov": group["nesterov"]}
        else:
            out |= {"optimizer.beta1": group["betas"][0], "optimizer.beta2": group["betas"][1], "optimizer.eps": group["eps"]}
        if self.schedule.type == "cosine":
            out |= {"scheduler.T_max": self.schedule.T_max, "scheduler.eta_min": self.schedule.eta_min}
        elif self.schedule.type == "step":
            out |= {"scheduler.step_size": self.schedule.step_size, "scheduler.gamma": self.schedule.gamma}
        return out | {f"augmentation.{k}": v for k, v in self.augmentation.items()}

    def applied_attributes(self) -> dict[str, Any]:
        """Read back from the model and the precision, and what decides which epoch is best."""
        import torch

        parameters, t = list(self.model.parameters()), self.training_config
        kind = self.precision.dtype if self.precision.active else torch.float32
        return {"parameters": sum(p.numel() for p in parameters if p.requires_grad), "frozen": sum(not p.requires_grad for p in parameters),
                "precision": str(kind).removeprefix("torch."), "weights": self.weights, "monitor": t.monitor, "mode": t.mode, "num_workers": t.num_workers}

    def _tell(self, text: str, level: str = "WARNING") -> None:
        if self.logger:
            self.logger.log_message(text, level=level)


def _has_batch_norm(model: Any) -> bool:
    import torch

    return any(isinstance(m, torch.nn.modules.batchnorm._BatchNorm) for m in model.modules())


def figures(matrix: list[list[int]], classes: list[str]) -> tuple[dict[str, float], dict[str, dict[str, float]]]:
    """Accuracy and macro means, and precision, recall, F1 and support by class,
    of a confusion matrix ``[truth][prediction]``. An undefined ratio is 0.

    >>> figures([[3, 1], [0, 4]], ["cat", "dog"])[0]["accuracy"]
    0.875
    """
    n = len(matrix)
    per_class = {}
    for i, name in enumerate(classes[:n]):
        hit, truth, said = matrix[i][i], sum(matrix[i]), sum(row[i] for row in matrix)
        p, r = hit / said if said else 0.0, hit / truth if truth else 0.0
        per_class[name] = {"precision": p, "recall": r, "f1": 2 * p * r / (p + r) if p + r else 0.0, "support": float(truth)}
    total = sum(map(sum, matrix))
    metrics = {"accuracy": sum(matrix[i][i] for i in range(n)) / total if total else 0.0}
    for key in ("precision", "recall", "f1"):
        metrics[key] = sum(c[key] for c in per_class.values()) / max(1, len(per_class))
    return metrics, per_class

"""The framework's Trainer with our data order, checkpoints and reports."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional

import numpy as np
import torch
from transformers import Trainer, TrainerCallback, TrainingArguments
from transformers.trainer_callback import TrainerState

from .. import checkpoints
from ..base import Stop
from ..classification import figures as class_figures
from ..curves import Curves
from ..detection_metrics import DetectionMetrics
from ..loading import AdapterError
from ..results import MetricsResult
from ..samples import Samples
from .hf_data import Boxed, EpochOrder

if TYPE_CHECKING:
    from .transformers import TransformersAdapter

_PROGRESS_SECONDS = 1.0


class PlannedTrainer(Trainer):
    """Reads and resumes from the platform's single-file checkpoints."""

    adapter: "TransformersAdapter"
    reporter: "Reporter"
    restored: Optional[dict[str, Any]] = None

    def _get_train_sampler(self, *_args: Any, **_kwargs: Any) -> Any:
        return EpochOrder(len(self.train_dataset), self.args.seed)

    def training_step(self, model: Any, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        count = len(inputs["labels"])
        loss = super().training_step(model, inputs, *args, **kwargs)
        value = float(loss) * self.current_gradient_accumulation_steps  # it is divided for the sum over the window
        if not np.isfinite(value):
            raise FloatingPointError(f"the loss became {value}; lower the learning rate, or see the data")
        self.reporter.add(value, count)
        return loss

    def compute_loss(self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, **kwargs: Any) -> Any:
        labels = inputs["labels"]  # the framework takes them out where it smooths them
        loss, outputs = super().compute_loss(model, inputs, return_outputs=True, **kwargs)
        if not self.adapter.detects:
            self.reporter.right += int((outputs.logits.detach().argmax(1) == labels).sum())
        return (loss, outputs) if return_outputs else loss

    def lr_scheduler_of(self) -> Any:
        return getattr(self.lr_scheduler, "scheduler", self.lr_scheduler)

    # -- resume: the framework asks for folders, we have one file ----------------

    def run(self, checkpoint: Optional[str]) -> list[MetricsResult]:
        folder = None
        if checkpoint:
            self.restored = torch.load(checkpoint, map_location="cpu", weights_only=True)
            folder = Path(self.args.output_dir, "resume")
            folder.mkdir(parents=True, exist_ok=True)
            TrainerState(global_step=self.restored["extra"]["global_step"], train_batch_size=self.args.train_batch_size,
                         logging_steps=self.args.logging_steps, save_steps=self.args.save_steps).save_to_json(str(folder / "trainer_state.json"))
            self.reporter.take(self.restored["extra"])
            if self.restored["extra"]["updates"] >= self.args.num_train_epochs * self.restored["extra"]["per_epoch"]:
                return []
        self.train(resume_from_checkpoint=str(folder) if folder else None)
        return self.reporter.results

    def _load_from_checkpoint(self, _folder: Any, model: Any = None) -> None:
        assert self.restored is not None
        (model or self.model).load_state_dict(self.restored["model_state_dict"])

    def _load_optimizer_and_scheduler(self, folder: Any) -> None:
        if folder is None or self.restored is None:
            return
        optimizer, extra = getattr(self.optimizer, "optimizer", self.optimizer), self.restored["extra"]
        if extra["optimizer"] == type(optimizer).__name__:
            # The configuration's numbers count, the checkpoint's state goes on.
            now = [{k: v for k, v in g.items() if k != "params"} for g in optimizer.param_groups]
            optimizer.load_state_dict(self.restored["optimizer_state_dict"])
            for group, values in zip(optimizer.param_groups, now):
                group.update(values)
        else:
            self.adapter._tell(f"the optimizer was {extra['optimizer']} and is {type(optimizer).__name__} now; its state starts anew")
        scheduler = self.lr_scheduler_of()
        scheduler.last_epoch = extra["updates"]
        for group, base, factor in zip(optimizer.param_groups, scheduler.base_lrs, scheduler.lr_lambdas):
            group["lr"] = base * factor(extra["updates"])

    def _load_scaler(self, _folder: Any) -> None:
        """bfloat16 needs none."""

    def _load_rng_state(self, folder: Any) -> None:
        if folder is not None and self.restored is not None:
            checkpoints.set_rng_state(self.restored["rng"])

    # -- checkpoints -------------------------------------------------------------

    def whole_state(self, epoch: int, metrics: dict[str, float]) -> dict[str, Any]:
        """Everything that training is made of, after ``epoch`` (from 0) and the reporter's steps beyond it."""
        optimizer, about = getattr(self.optimizer, "optimizer", self.optimizer), self.adapter
        config = self.model.config
        return {
            "epoch": epoch, "sample_position": 0, "metrics": metrics, "rng": checkpoints.rng_state(),
            "model_state_dict": self.model.state_dict(), "optimizer_state_dict": optimizer.state_dict(),
            "extra": self.reporter.extra() | {
                "global_step": self.state.global_step, "updates": self.state.global_step, "optimizer": type(optimizer).__name__,
                "model": {"name": about.model_config.model_name, "image_size": about.model_config.image_size,
                          "batch_size": about.training_config.batch_size, "classes": about.dataset_config.classes,
                          "config": _model_settings(config) if about.detects else {}}}}

    def save_between(self) -> None:
        """Writes ``latest`` after the last whole update, unless an epoch's end just did."""
        if self.reporter.between is not None:
            checkpoints.atomic_save(self.reporter.between, self.adapter._checkpoint_path("latest"))


def _model_settings(config: Any) -> dict[str, Any]:
    """The settings that stand in a detector's own configuration, by our names."""
    return {"queries": getattr(config, "num_detection_tokens", None) or config.num_queries,
            "loss": {"bbox": config.bbox_loss_coefficient, "giou": config.giou_loss_coefficient, "background": config.eos_coefficient}}


class Reporter(TrainerCallback):
    """Measures after each epoch, reports, keeps checkpoints, stops where asked."""

    def __init__(self, adapter: "TransformersAdapter", patience: int) -> None:
        self.adapter, self.patience = adapter, patience
        self.results: list[MetricsResult] = []
        self.best: Optional[float] = None
        self.waited, self.totals, self.per_class = 0, [0.0, 0], {}
        self.right = 0  # answers in training so far in this epoch
        self.per_epoch = 0
        self.between: Optional[dict[str, Any]] = None
        self._told = 0.0

    def add(self, loss: float, count: int) -> None:
        self.totals = [self.totals[0] + loss * count, self.totals[1] + count]

    def extra(self) -> dict[str, Any]:
        return {"best": self.best, "waited": self.waited, "totals": [*self.totals, self.right], "per_class": self.per_class, "per_epoch": self.per_epoch}

    def take(self, extra: dict[str, Any]) -> None:
        self.best, self.waited, self.per_class = extra["best"], extra["waited"], extra["per_class"]
        loss, count, self.right = [*extra["totals"], 0][:3]
        self.totals = [loss, count]

    @property
    def trainer(self) -> PlannedTrainer:
        return self.adapter.trainer

    def on_train_begin(self, args: Any, state: Any, control: Any, **_kwargs: Any) -> None:
        self.per_epoch = state.max_steps // int(args.num_train_epochs)
        self._started, self._first = time.monotonic(), state.global_step
        logger = self.adapter.logger
        if logger:
            logger.global_step = state.global_step
            logger.before_metrics()
        if self.patience and self.waited >= self.patience:
            control.should_training_stop = True

    def on_step_end(self, args: Any, state: Any, control: Any, **_kwargs: Any) -> None:
        logger, now = self.adapter.logger, time.monotonic()
        epoch, step = divmod(state.global_step - 1, self.per_epoch)
        if not logger:
            return
        if now - self._told >= _PROGRESS_SECONDS:
            self._told = now
            speed = (state.global_step - self._first) / (now - self._started)
            logger.global_step = state.global_step
            logger.log_progress(epoch, int(args.num_train_epochs), step + 1, self.per_epoch, self.totals[0] / max(1, self.totals[1]),
                                speed * args.per_device_train_batch_size * args.gradient_accumulation_steps, (state.max_steps - state.global_step) / speed)
        if step + 1 == self.per_epoch:
            return  # the epoch's end has its own checkpoint
        if logger.stopping():
            self.keep_place(epoch)
            raise Stop()
        self.adapter._save_when_due(lambda: self.save_within(epoch))

    def keep_place(self, epoch: int) -> None:
        self.between = self.trainer.whole_state(epoch - 1, {})

    def save_within(self, epoch: int) -> None:
        self.adapter.logger.global_step = self.trainer.state.global_step
        self.keep_place(epoch)
        self.trainer.save_between()
        self.between = None  # later updates are not in it

    def on_epoch_end(self, args: Any, state: Any, control: Any, **_kwargs: Any) -> None:
        adapter, t, logger = self.adapter, self.adapter.training_config, self.adapter.logger
        epoch = state.global_step // self.per_epoch - 1
        train_loss, trained = self.totals[0] / max(1, self.totals[1]), {}
        if not adapter.detects:
            trained = {"train_accuracy": self.right / max(1, self.totals[1])}
        self.totals, self.right = [0.0, 0], 0
        found = measure(self.trainer.model, adapter.other_sets["val"], adapter.dataset_config.classes, t.batch_size)
        metrics, self.per_class = found["metrics"], found["per_class"]
        value = metrics.get(t.monitor)
        if value is None:
            raise AdapterError(f"monitor = {t.monitor!r} is none of what this adapter reports: {', '.join(sorted(metrics))}")
        better = value == value and (self.best is None or (value > self.best if t.mode == "max" else value < self.best))
        self.waited = 0 if better else self.waited + 1
        self.best = value if better else self.best
        rate = adapter.schedule.lr(epoch)
        result = MetricsResult(epoch=epoch, train_loss=train_loss, val_loss=found["loss"],
                               metrics={k: v for k, v in metrics.items() if k != "loss"})
        self.results.append(result)
        if logger:
            logger.global_step = state.global_step
            logger.log_metrics(epoch, loss=train_loss, learning_rate=rate, extra_metrics=trained | {f"val_{k}": v for k, v in metrics.items()})
            logger.log_validation(epoch, str(adapter.model_config.task_type), t.monitor, value, found["loss"], metrics, self.per_class,
                                  found["confusion_matrix"], str(adapter._checkpoint_path(f"epoch_{epoch}")), classes=found["classes"], pr_curves=found["pr_curves"],
                                  samples=found.get("samples"))
        adapter._keep_checkpoint(self.trainer.whole_state(epoch, {**result.metrics, "loss": found["loss"]}), epoch, result, better)
        if self.patience and self.waited >= self.patience and epoch + 1 < t.epochs:
            adapter._tell(f"stopped early: {t.monitor} did not improve for {self.patience} epochs")
            control.should_training_stop = True


def build(adapter: "TransformersAdapter", optimizer: Any, scheduler: Any, arguments: dict[str, Any], patience: int) -> PlannedTrainer:
    """The Trainer of an adapter whose model and data are there."""
    if adapter.detects:
        arguments["label_smoothing_factor"] = 0.0
    reporter = Reporter(adapter, patience)
    trainer = PlannedTrainer(model=adapter.model, args=TrainingArguments(**arguments), train_dataset=adapter.train_set,
                             data_collator=type(adapter.train_set).collate, callbacks=[reporter], optimizers=(optimizer, scheduler))
    trainer.adapter, trainer.reporter = adapter, reporter
    trainer.model_accepts_loss_kwargs = False  # losses are means of their batch, averaged over an accumulation window
    return trainer


class Outputs(torch.nn.Module):
    """A model that gives tensors: logits, and boxes where it detects."""

    def __init__(self, model: Any, detects: bool) -> None:
        super().__init__()
        self.model, self.detects = model, detects

    def forward(self, images: Any) -> Any:
        out = self.model(pixel_values=images)
        return (out.logits, out.pred_boxes) if self.detects else out.logits


def measure(model: Any, data: Any, classes: list[str], batch_size: int) -> dict[str, Any]:
    """Loss, metrics, per-class figures and confusion matrix of a model over a dataset, in its order."""
    device, was_training = next(model.parameters()).device, model.training
    model.eval()
    rng = checkpoints.rng_state()
    detects = isinstance(data, Boxed)
    counted = DetectionMetrics(classes) if detects else None
    matrix, curves, loss, top5 = np.zeros((len(classes), len(classes)), dtype=int), Curves(len(classes)), 0.0, 0
    samples = Samples([] if detects else [path for path, _ in data.samples])
    with torch.no_grad():
        for start in range(0, len(data), batch_size):
            rows = [data[i] for i in range(start, min(start + batch_size, len(data)))]
            batch = type(data).collate(rows)
            images = batch["pixel_values"].to(device)
            if not detects:
                labels, logits = batch["labels"], model(pixel_values=images).logits.float().cpu()
                loss += float(torch.nn.functional.cross_entropy(logits, labels, reduction="sum"))
                top5 += int((logits.topk(min(5, len(classes)), dim=1).indices == labels[:, None]).any(1).sum())
                np.add.at(matrix, (labels.numpy(), logits.argmax(1).numpy()), 1)
                curves.add(logits, labels)
                samples.add(logits, labels)
                continue
            truth = [{k: v.to(device) for k, v in r["labels"].items()} for r in rows]
            out = model(pixel_values=images, labels=truth)
            loss += float(out.loss) * len(rows)
            count(counted, out, data.rows[start:start + len(rows)])
    model.train(was_training)
    checkpoints.set_rng_state(rng)
    loss /= max(1, len(data))
    if counted is not None:
        found = counted.figures()
    else:
        numbers, per_class = class_figures(matrix.tolist(), classes)
        found = {"metrics": {"top5_accuracy": top5 / max(1, len(data))} | numbers, "per_class": per_class, "confusion_matrix": matrix.tolist(), "classes": classes,
                 "pr_curves": curves.figures(classes), "samples": samples.figures()}
    found["metrics"]["loss"] = found["loss"] = loss
    return found


def count(counted: DetectionMetrics, out: Any, rows: list[Any]) -> None:
    """Adds a batch's detections: of each query its likeliest class."""
    scores, labels = out.logits.float().softmax(-1)[..., :-1].max(-1)
    for row, score, label, box in zip(rows, scores.cpu().numpy(), labels.cpu().numpy(), out.pred_boxes.float().cpu().numpy()):
        size = np.array([row.width, row.height] * 2, dtype=np.float64)
        corners = np.concatenate([box[:, :2] - box[:, 2:] / 2, box[:, :2] + box[:, 2:] / 2], 1) * size
        truth = np.array([[b.x, b.y, b.x + b.width, b.y + b.height] for b in row.boxes], dtype=np.float64).reshape(-1, 4)
        counted.add(corners, score, label, truth, np.array([b.label for b in row.boxes], dtype=int), np.array([b.crowd for b in row.boxes], bool))

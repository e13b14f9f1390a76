"""The framework's trainers with planned data, our checkpoints and our reports.

The framework keeps a half-precision moving average and forgets its random
generators, so that its own resume starts another training. Here a checkpoint
holds everything in single precision: weights, moving average, optimizer,
scaler, generators, and the gradients of an accumulation window that is open.
The order of samples is a function of (seed, epoch). On a CPU, a training that
was killed and resumed therefore ends bit for bit as one that was not.
"""

from __future__ import annotations

import fnmatch
import math
import time
from copy import copy
from typing import TYPE_CHECKING, Any, Optional

import numpy as np
import torch
from ultralytics.data.build import build_dataloader
from ultralytics.engine import trainer as engine
from ultralytics.models import yolo
from ultralytics.utils.torch_utils import unwrap_model

from .. import checkpoints
from ..base import Stop
from ..classification import figures as class_figures
from ..curves import Curves, most_points, sampled
from ..loading import AdapterError
from ..results import MetricsResult
from . import yolo_data

if TYPE_CHECKING:
    from .ultralytics import UltralyticsAdapter

_PROGRESS_SECONDS = 1.0
_CONFIDENT = 0.25  # detections that the confusion matrix counts; the framework's own choice for its plots
# What an optimizer is told by the configuration, and a resumed one takes from it instead of the checkpoint.
_HYPERPARAMETERS = ("initial_lr", "weight_decay", "momentum", "betas", "nesterov")


class Planned:
    """What every task's trainer does our way."""

    adapter: "UltralyticsAdapter"
    data_plan: yolo_data.Data

    def __init__(self, overrides: dict[str, Any]) -> None:
        self.start: tuple[Optional[str], bool] = (None, False)
        self.results: list[MetricsResult] = []
        self.figures: dict[str, Any] = {}
        self.best_value: Optional[float] = None
        self.pending = 0  # batches whose gradients wait for the next update
        self.window = 1
        self.batches_done = self.updates_done = 0
        self._restored: Optional[dict[str, Any]] = None
        self._told = 0.0
        super().__init__(overrides=overrides)  # type: ignore[call-arg]
        for event in ("on_pretrain_routine_end", "on_train_start", "on_train_epoch_start", "on_train_batch_start", "on_train_batch_end"):
            self.add_callback(event, getattr(type(self), event))  # type: ignore[attr-defined]

    # -- data --------------------------------------------------------------------

    def get_dataset(self) -> dict[str, Any]:
        return self.data_plan.described()

    def build_dataset(self, img_path: str, mode: str = "train", batch: Optional[int] = None) -> Any:
        rows = self.data_plan.splits[img_path]
        if self.args.task == "classify":
            return yolo_data.Labelled(rows, self.args, mode == "train")
        stride = max(int(unwrap_model(self.model).stride.max()), 32)
        train = mode == "train"
        return yolo_data.Boxes(
            img_path=img_path, data=self.data | {"rows": self.data_plan.splits}, task=self.args.task, imgsz=self.args.imgsz, batch_size=batch,
            augment=train, hyp=self.args, rect=not train, stride=stride, pad=0.0 if train else 0.5, single_cls=self.args.single_cls,
            prefix=f"{mode}: ")

    def get_dataloader(self, dataset_path: str, batch_size: int = 16, rank: int = 0, mode: str = "train") -> Any:
        loader = super().get_dataloader(dataset_path, batch_size, rank, mode)  # type: ignore[misc]
        if mode == "val":  # the framework shuffles it for classification, which would move the mean of the batches' losses
            loader = build_dataloader(loader.dataset, batch_size, self.args.workers, shuffle=False, rank=-1, device=self.device)
        return loader

    # -- building ----------------------------------------------------------------

    def _build_train_pipeline(self) -> None:
        if self.optimizer is not None:  # the framework begins the epoch anew with smaller batches
            self.pending = 0
            self.adapter.tell(f"out of memory: batches are {self.batch_size} from here on")
        super()._build_train_pipeline()  # type: ignore[misc]
        # The framework counts accumulated batches from the start of its process; we count them over the training.
        self.window, self.accumulate = self.accumulate, 1

    def _get_warmup_iterations(self, num_batches: int) -> int:
        return round(self.args.warmup_epochs * num_batches)

    def get_validator(self) -> Any:
        validator = super().get_validator()  # type: ignore[misc]
        kind = _Ranking if self.args.task == "classify" else _Counting
        validator.__class__ = type(kind.__name__.strip("_"), (kind, type(validator)), {})
        return validator

    def resume_training(self, ckpt: Any) -> None:
        path, whole = self.start
        if not path:
            return
        state = torch.load(path, map_location=self.device, weights_only=True)
        model = unwrap_model(self.model)
        if not whole:
            load_weights(model, state.get("ema_state_dict") or state.get("model_state_dict") or state, path)
            self.ema = engine.ModelEMA(self.model)
            return
        extra = state["extra"]
        model.load_state_dict(state["model_state_dict"])
        self.ema.ema.load_state_dict(state["ema_state_dict"])
        self.ema.updates = extra["ema_updates"]
        if extra["optimizer"] == type(self.optimizer).__name__:
            now = [{k: g[k] for k in _HYPERPARAMETERS if k in g} for g in self.optimizer.param_groups]
            self.optimizer.load_state_dict(state["optimizer_state_dict"])
            for group, values in zip(self.optimizer.param_groups, now):
                group.update(values)
        else:
            self.adapter.tell(f"the optimizer was {extra['optimizer']} and is {type(self.optimizer).__name__} now; its state starts anew")
        self.scaler.load_state_dict(state["scaler_state_dict"])
        self.best_value, self.best_fitness = extra["best"], extra["best_fitness"]
        self.stopper.best_fitness, self.stopper.best_epoch = extra["stopper"]
        self.stopper.possible_stop = extra["possible_stop"]
        self.pending, self.batches_done, self.updates_done = extra["pending"], extra["batches_done"], extra["global_step"]
        self.start_epoch = int(state["epoch"]) + 1
        self._restored = state

    def on_pretrain_routine_end(self) -> None:
        model = unwrap_model(self.model)
        if self.adapter.model_config.weights and not self.start[0]:
            load_weights(model, weights_of(self.adapter.model_config.weights), self.adapter.model_config.weights)
            self.ema = engine.ModelEMA(self.model)
        for name, parameter in model.named_parameters():
            if any(fnmatch.fnmatchcase(name, pattern) for pattern in self.adapter.model_config.freeze):
                parameter.requires_grad_(False)
        model.criterion = model.init_criterion()  # now, so that its gains can be read back before the first step
        if hasattr(model.criterion, "update"):
            for _ in range(self.start_epoch):
                model.criterion.update()

    # -- the loop ----------------------------------------------------------------

    def on_train_start(self) -> None:
        logger = self.adapter.logger
        if logger:
            logger.global_step = self.updates_done
            logger.before_metrics()
        self._started, self._seen = time.monotonic(), 0

    def on_train_epoch_start(self) -> None:
        # A new iterator, seeded by the epoch: what a resumed process sees too. The mosaic's memory starts empty with it.
        self.batches_done = self.epoch * len(self.train_loader)
        self.train_loader.reset()
        self.train_loader.generator.manual_seed((self.args.seed * 1_000_003 + self.epoch) % 2**63)
        dataset = self.train_loader.dataset
        for i in getattr(dataset, "buffer", []):
            dataset.ims[i] = dataset.im_hw0[i] = dataset.im_hw[i] = None
        if hasattr(dataset, "buffer"):
            dataset.buffer = []
        if self._restored is not None:
            state, self._restored = self._restored, None
            checkpoints.set_rng_state(state["rng"])
            gradients = state["extra"]["gradients"]
            for name, parameter in unwrap_model(self.model).named_parameters():
                if name in gradients:
                    parameter.grad = gradients[name].to(parameter.device)

    def on_train_batch_start(self) -> None:
        if self.adapter.logger and self.adapter.logger.stopping():
            raise Stop()

    def optimizer_step(self) -> None:
        """Called after every batch; updates at the end of an accumulation window,
        which grows during warm-up as the framework's does."""
        warm = self._get_warmup_iterations(len(self.train_loader))
        window = self.window
        if warm and self.batches_done <= warm:
            window = max(1, int(np.interp(self.batches_done, [0, warm], [1, self.window]).round()))
        self.pending += 1
        self.batches_done += 1
        if self.pending >= window:
            super().optimizer_step()  # type: ignore[misc]
            self.pending = 0
            self.updates_done += 1

    def on_train_batch_end(self) -> None:
        now, logger = time.monotonic(), self.adapter.logger
        batch, batches = self.batches_done - self.epoch * len(self.train_loader), len(self.train_loader)
        self._seen += self.train_loader.batch_size
        if logger and now - self._told >= _PROGRESS_SECONDS:
            self._told = now
            speed = self._seen / (now - self._started)
            left = ((self.epochs - self.epoch) * batches - batch) * self.train_loader.batch_size / speed
            logger.global_step = self.updates_done
            logger.log_progress(self.epoch, self.epochs, batch, batches, self._train_loss(), speed, left)

    def _train_loss(self) -> float:
        return float(sum(float(v) for v in self.tloss.values()))

    def validate(self) -> tuple[dict[str, Any], float]:
        metrics = self.validator(self)
        metrics.pop("fitness", None)
        loss = sum(float(v.sum()) for v in self.validator.loss.values()) / len(self.validator.dataloader)
        self.figures = report(self.validator, self.data_plan.classes, loss)
        t = self.adapter.training_config
        value = self.figures["metrics"].get(t.monitor)
        if value is None:
            raise AdapterError(f"monitor = {t.monitor!r} is none of what ultralytics reports: {', '.join(sorted(self.figures['metrics']))}")
        fitness = value if t.mode == "max" else -value
        if self.best_fitness is None or fitness > self.best_fitness:
            self.best_fitness = fitness
        return metrics, fitness

    def _handle_nan_recovery(self, epoch: int) -> bool:
        # The platform retries from a checkpoint, by the retry block; the framework would go back silently.
        if self.loss is not None and not bool(self.loss.isfinite().all()):
            raise FloatingPointError(f"the loss became {float(self.loss.sum())} in epoch {epoch + 1}; lower the learning rate, or see the data")
        return False

    def save_model(self) -> bool:
        """In place of the framework's: reports the epoch and keeps its whole state."""
        t, logger = self.adapter.training_config, self.adapter.logger
        metrics = self.figures["metrics"]
        value = metrics[t.monitor]
        better = not math.isnan(value) and (self.best_value is None or (value > self.best_value if t.mode == "max" else value < self.best_value))
        if better:
            self.best_value = value
        rate = float(self.optimizer.param_groups[0]["lr"])
        result = MetricsResult(epoch=self.epoch, train_loss=self._train_loss(), val_loss=metrics["loss"],
                               metrics={k: v for k, v in metrics.items() if k != "loss"})
        self.results.append(result)
        if logger:
            logger.global_step = self.updates_done
            parts = {f"train_{k.removesuffix('_loss')}_loss": float(v) for k, v in self.tloss.items()} if len(self.tloss) > 1 else {}
            logger.log_metrics(self.epoch, loss=result.train_loss, learning_rate=rate,
                               extra_metrics={f"val_{k}": v for k, v in metrics.items()} | parts)
            logger.log_validation(self.epoch, str(self.adapter.model_config.task_type), t.monitor, value, metrics["loss"], metrics,
                                  self.figures["per_class"], self.figures["confusion_matrix"],
                                  str(self.adapter._checkpoint_path(f"epoch_{self.epoch}")), classes=self.figures["classes"],
                                  pr_curves=self.figures["pr_curves"])
        self.adapter._keep_checkpoint(self._state(result), self.epoch, result, better)
        return True

    def _state(self, result: MetricsResult) -> dict[str, Any]:
        model = unwrap_model(self.model)
        gradients = {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None} if self.pending else {}
        return {
            "epoch": self.epoch, "sample_position": 0, "metrics": {**result.metrics, "loss": result.val_loss}, "rng": checkpoints.rng_state(),
            "model_state_dict": model.state_dict(), "ema_state_dict": self.ema.ema.state_dict(),
            "optimizer_state_dict": self.optimizer.state_dict(), "scaler_state_dict": self.scaler.state_dict(),
            "extra": {
                "global_step": self.updates_done, "per_class": self.figures["per_class"], "ema_updates": self.ema.updates, "optimizer": type(self.optimizer).__name__, "best": self.best_value,
                "best_fitness": self.best_fitness, "stopper": [float(self.stopper.best_fitness), self.stopper.best_epoch],
                "possible_stop": bool(self.stopper.possible_stop), "pending": self.pending, "gradients": gradients,
                "batches_done": self.batches_done,
                "model": {"name": self.adapter.model_config.model_name, "task": self.args.task, "image_size": self.args.imgsz, "batch_size": self.batch_size,
                          "classes": self.data_plan.classes, "keypoints": self.data_plan.keypoints, "config": self._measured_by()},
            }}

    def _measured_by(self) -> dict[str, Any]:
        """The settings that decide what a measurement gives."""
        args = self.args
        out: dict[str, Any] = {"validation": {"iou": args.iou, "max_detections": args.max_det}} if args.task != "classify" else {}
        if args.task != "classify":
            out["single_class"] = bool(args.single_cls)
        if args.task == "segment":
            out["mask"] = {"overlap": args.overlap_mask, "ratio": args.mask_ratio}
        return out

    def save_metrics(self, metrics: dict[str, Any]) -> None:
        """The framework's CSV file; events tell the same."""

    def final_eval(self) -> None:
        """The framework would measure its half-precision file once more; each epoch
        was measured in full precision already."""

    # -- measuring ---------------------------------------------------------------

    def evaluate(self, path: str, split: str) -> dict[str, Any]:
        self.setup_model()
        self.model = self.model.to(self.device)
        self.set_model_attributes()
        model = unwrap_model(self.model)
        state = torch.load(path, map_location=self.device, weights_only=True)
        load_weights(model, state["ema_state_dict"], path, strict=True)
        self.stride = max(int(model.stride.max()), 32) if hasattr(model, "stride") else 32
        self.test_loader = self.get_dataloader(split, batch_size=self.batch_size * 2, rank=-1, mode="val")
        self.validator, self.amp, self.epoch = self.get_validator(), False, 0
        self.ema, self.stopper = engine.ModelEMA(self.model), engine.EarlyStopping(0)
        # The keys of the loss are known once it was computed.
        batch = self.preprocess_batch(next(iter(self.test_loader)))
        with torch.no_grad():
            _, self.loss_items = self.ema.ema.loss(batch)
        self.test_loader.reset()  # it would go on behind that batch
        self.validator(self)
        loss = sum(float(v.sum()) for v in self.validator.loss.values()) / len(self.validator.dataloader)
        return report(self.validator, self.data_plan.classes, loss)


class _Counting:
    """A validator whose confusion matrix is filled without the framework's plots."""

    def update_metrics(self, preds: list[dict[str, Any]], batch: dict[str, Any]) -> None:
        super().update_metrics(preds, batch)  # type: ignore[misc]
        for i, pred in enumerate(preds):
            self.confusion_matrix.process_batch(self._prepare_pred(pred), self._prepare_batch(i, batch), conf=_CONFIDENT)  # type: ignore[attr-defined]


class _Ranking:
    """A validator of classes that also keeps what precision-recall curves need."""

    def init_metrics(self, model: Any) -> None:
        super().init_metrics(model)  # type: ignore[misc]
        self.curves = Curves(len(self.names))  # type: ignore[attr-defined]

    def update_metrics(self, preds: Any, batch: dict[str, Any]) -> None:
        super().update_metrics(preds, batch)  # type: ignore[misc]
        self.curves.add(preds.float().clamp(min=1e-38).log(), batch["cls"])  # probabilities


def report(validator: Any, classes: list[str], loss: float) -> dict[str, Any]:
    """A validator's figures under the platform's names. The confusion matrix is
    ``[truth][prediction]``; detection has a last row and column for background."""
    metrics, matrix = validator.metrics, validator.confusion_matrix.matrix.T
    if not hasattr(metrics, "box"):
        rows = matrix[:len(classes), :len(classes)].astype(int).tolist()
        numbers, per_class = class_figures(rows, classes)
        return {"loss": loss, "metrics": {"loss": loss, "top5_accuracy": float(metrics.top5)} | numbers, "per_class": per_class,
                "confusion_matrix": rows, "classes": classes, "pr_curves": validator.curves.figures(classes)}
    boxes, main = metrics.box, getattr(metrics, "seg", None) or getattr(metrics, "pose", None) or metrics.box
    numbers = {"loss": loss, "map": float(main.map), "map50": float(main.map50), "precision": float(main.mp), "recall": float(main.mr)}
    if main is not boxes:
        numbers |= {"box_map": float(boxes.map), "box_map50": float(boxes.map50)}
    per_class = {name: {"map": 0.0, "map50": 0.0, "precision": 0.0, "recall": 0.0, "support": 0.0} for name in classes}
    curves, falling = {}, np.asarray(main.px)[::-1]
    for row, label in enumerate(main.ap_class_index):
        precision, recall, map50, average = (float(v) for v in main.class_result(row))
        per_class[classes[label]] = {"map": average, "map50": map50, "precision": precision, "recall": recall,
                                     "support": float(metrics.nt_per_class[label])}
        found = np.asarray(main.r_curve[row])[::-1] > 0  # from the first score that finds one
        if found.any():
            curves[classes[label]] = sampled(map50, falling[found], np.asarray(main.p_curve[row])[::-1][found],
                                             np.asarray(main.r_curve[row])[::-1][found], most_points(len(classes)))
    return {"loss": loss, "metrics": numbers, "per_class": per_class, "confusion_matrix": matrix.astype(int).tolist(),
            "classes": [*classes, "background"], "pr_curves": curves}


def build(adapter: "UltralyticsAdapter", overrides: dict[str, Any]) -> Any:
    """The trainer of the adapter's task, not set up yet."""
    base = {"object_detection": yolo.detect.DetectionTrainer, "instance_segmentation": yolo.segment.SegmentationTrainer,
            "pose_estimation": yolo.pose.PoseTrainer, "image_classification": yolo.classify.ClassificationTrainer}[str(adapter.model_config.task_type)]
    # It would download a model to try half precision with.
    engine.check_amp = lambda model: next(model.parameters()).device.type == "cuda"
    return type("PlannedTrainer", (Planned, base), {"adapter": adapter, "data_plan": adapter.data})(overrides)


def weights_of(path: str) -> dict[str, Any]:
    """The tensors of a weights file: safetensors, a state, our checkpoint, or the
    framework's own ``.pt`` (which is a pickled model: take it only from whom you trust)."""
    if path.endswith(".safetensors"):
        from safetensors.torch import load_file

        return load_file(path)
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception:
        from ultralytics.nn.tasks import load_checkpoint

        return load_checkpoint(path)[0].float().state_dict()
    return state.get("ema_state_dict") or state.get("model_state_dict") or state


def load_weights(model: Any, state: dict[str, Any], path: str, strict: bool = False) -> None:
    """Takes what fits. A head of other classes starts anew; a file of another model is refused."""
    own = model.state_dict()
    fits = {n: v for n, v in state.items() if n in own and own[n].shape == v.shape}
    if len(fits) < (len(own) if strict else 0.5 * len(own)):
        raise AdapterError(f"{path} does not fit the model: {len(fits)} of its {len(own)} tensors have the same name and shape")
    model.load_state_dict(fits, strict=False)


def about(checkpoint: str) -> dict[str, Any]:
    """What a checkpoint of ours says of its model."""
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)
    told = (state.get("extra") or {}).get("model") if isinstance(state, dict) else None
    if not told:
        raise AdapterError(f"{checkpoint} is no checkpoint of the ultralytics adapter")
    return told


def export_onnx(checkpoint: str, path: str) -> dict[str, Any]:
    """See UltralyticsAdapter.export_onnx."""
    from ultralytics.nn.tasks import ClassificationModel, DetectionModel, PoseModel, SegmentationModel

    told = about(checkpoint)
    kind = {"detect": DetectionModel, "segment": SegmentationModel, "pose": PoseModel, "classify": ClassificationModel}[told["task"]]
    more = {"data_kpt_shape": (told["keypoints"], 3)} if told["task"] == "pose" else {}
    model = kind(f"{told['name']}.yaml", nc=len(told["classes"]), ch=3, verbose=False, **more)
    load_weights(model, torch.load(checkpoint, map_location="cpu", weights_only=True)["ema_state_dict"], checkpoint, strict=True)
    model = copy(model).eval().fuse(verbose=False)
    for module in model.modules():
        if hasattr(module, "export"):
            module.export, module.format, module.dynamic = True, "onnx", True
    size = told["image_size"]
    images = torch.rand(2, 3, size, size, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        first = model(images)
        expected = list(first) if isinstance(first, (tuple, list)) else [first]
        outputs = [f"output{i}" for i in range(len(expected))]
        torch.onnx.export(model, (images,), path, input_names=["images"], output_names=outputs, opset_version=18, dynamo=False,
                          dynamic_axes={name: {0: "N"} for name in ["images", *outputs]})
    return {"input": "float32 NCHW RGB, pixel/255", "image_size": size, "classes": told["classes"], "yolo_task": told["task"],
            "parity": (images, expected)}

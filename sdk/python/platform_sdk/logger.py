"""TrainingLogger: how an adapter tells what happens."""

from __future__ import annotations

import logging
import os
from typing import Any, Callable, Optional

from .events import Backend, Discard, Spool

_LEVELS = {"DEBUG": "debug", "INFO": "info", "WARNING": "warning", "WARN": "warning", "ERROR": "error", "CRITICAL": "error"}
_log = logging.getLogger("platform_sdk")


class TrainingLogger:
    """Reports metrics, states and messages of one run.

    Events go to the attempt's event file; whoever runs the step brings them
    to the database, the API and the page. A logger without a sink accepts
    every call and keeps nothing, so adapters run in tests as they are.

    ``enabled`` tells whether reports are kept; ``backend_url`` is the address
    of the platform, when the step was told one (``PLATFORM_BACKEND_URL``). Outside
    a step, reports go there, with the token in ``PLATFORM_BACKEND_TOKEN``, and
    ``close`` waits for the last of them.
    ``epoch`` counts from 0 in every method, as adapters count. A level or a
    status that is none, is a ValueError.

    >>> logger = TrainingLogger(job_id=7)
    >>> logger.log_metrics(0, loss=1.2, accuracy=0.4, learning_rate=1e-3, extra_metrics={"val_loss": 1.1})
    >>> logger.log_message("the data has two classes", level="INFO")
    >>> logger.enabled
    False
    """

    def __init__(self, job_id: int = 0, project_id: Optional[int] = None, sink: Spool | Backend | Discard | None = None,
                 backend_url: Optional[str] = None, enabled: Optional[bool] = None) -> None:
        self.job_id = job_id
        self.project_id = project_id
        self.backend_url = backend_url or os.environ.get("PLATFORM_BACKEND_URL", "")
        if sink is None and self.backend_url and job_id and enabled is not False:
            sink = Backend(self.backend_url, job_id, os.environ.get("PLATFORM_BACKEND_TOKEN", ""))
        self._sink: Spool | Backend | Discard = sink or Discard()
        self.enabled = not isinstance(self._sink, Discard) if enabled is None else enabled
        self.logged_epochs: set[int] = set()
        self.status: Optional[str] = None
        self.error: Optional[str] = None
        # Called before the first metric: the step proves there which config was read.
        self.before_metrics: Callable[[], None] = lambda: None
        # Whether the step was asked to stop; loops that can checkpoint anywhere ask it after each update.
        self.stopping: Callable[[], bool] = lambda: False
        self.resumed_at = 0  # the global step from which this attempt goes on
        self._steps: Optional[int] = None
        self._values: dict[int, dict[str, float]] = {}  # validation metrics by epoch
        self._validated: set[int] = set()
        self.per_class: dict[int, dict[str, dict[str, float]]] = {}  # by epoch, as reported

    @property
    def global_step(self) -> int:
        """Optimizer updates done; adapters that count them set it. For those
        that do not, an epoch is a step."""
        return self._steps or 0

    @global_step.setter
    def global_step(self, steps: int) -> None:
        self._steps = steps

    def step_after(self, epochs: int) -> int:
        """The global step now, or the number of epochs done where nobody counts steps."""
        return epochs if self._steps is None else self._steps

    def log_metrics(self, epoch: int, loss: Optional[float] = None, accuracy: Optional[float] = None,
                    learning_rate: Optional[float] = None, extra_metrics: Optional[dict[str, Any]] = None) -> None:
        """Reports one epoch: ``loss`` and ``learning_rate`` of training,
        ``accuracy`` (in [0, 1]) of validation; in ``extra_metrics`` a name with
        the prefix ``val_`` or ``test_`` belongs to that split, another to validation,
        but for ``train_`` ones."""
        self.before_metrics()
        splits: dict[str, dict[str, float]] = {}

        def put(split: str, name: str, value: Any) -> None:
            number = _number(value)
            if number is not None:
                splits.setdefault(split, {})[name] = number

        put("train", "loss", loss)
        put("train", "learning_rate", learning_rate)
        put("val", "accuracy", accuracy)
        for name, value in (extra_metrics or {}).items():
            split, rest = _split(name)
            put(split, rest, value)
        for split, values in splits.items():
            self._sink.emit("metrics", {"epoch": epoch + 1, "global_step": self.step_after(epoch + 1), "split": split, "values": values})
        self._values[epoch] = splits.get("val", {})
        self.logged_epochs.add(epoch)

    def log_validation(self, epoch: int, task_type: str, primary_metric_name: str, primary_metric_value: float,
                       overall_loss: Optional[float] = None, metrics: Optional[dict[str, Any]] = None,
                       per_class_metrics: Optional[Any] = None, confusion_matrix: Optional[Any] = None,
                       checkpoint_path: Optional[str] = None, classes: Optional[list[str]] = None,
                       split: str = "val", pr_curves: Optional[dict[str, Any]] = None,
                       samples: Optional[list[dict[str, Any]]] = None) -> None:
        """Reports one validation pass: per-class metrics by class name, a confusion
        matrix ``[truth][prediction]`` of counts, precision-recall curves by class
        (``platform_sdk.curves``), images to look at (``platform_sdk.samples``)."""
        self.before_metrics()
        per_class = _per_class(per_class_metrics)
        self._sink.emit("validation", {
            "epoch": epoch + 1, "global_step": self.step_after(epoch + 1), "task_type": task_type, "split": split,
            "primary_metric_name": primary_metric_name, "primary_metric_value": float(primary_metric_value),
            "overall_loss": float(overall_loss) if overall_loss is not None else 0.0,
            "metrics": _numbers(metrics or {}), "per_class_metrics": per_class,
            "classes": classes, "confusion_matrix": confusion_matrix, "pr_curves": pr_curves, "samples": samples, "checkpoint_path": checkpoint_path,
        })
        self._validated.add(epoch)
        if per_class:
            self.per_class[epoch] = per_class

    def ensure_validation(self, epoch: int, task_type: str, monitor: str) -> None:
        """Reports the validation of an epoch from its metrics where the adapter
        has not: it comes before the epoch's checkpoint, or a crash would lose it."""
        values = self._values.get(epoch)
        if epoch not in self._validated and values:
            name = monitor if monitor in values else next(iter(values))
            self.log_validation(epoch, task_type, name, values[name], values.get("loss"), values)

    def log_progress(self, epoch: int, epochs: int, step: int, steps: int, loss: float,
                     images_per_second: float = 0.0, eta_seconds: float = 0.0) -> None:
        """Reports where training is; ``step`` counts from 1 within the epoch."""
        self._sink.emit("progress", {
            "epoch": epoch + 1, "epochs": epochs, "step": step, "steps": steps, "global_step": self.global_step,
            "loss": float(loss), "images_per_second": float(images_per_second), "eta_seconds": float(eta_seconds),
        })

    def log_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Announces a checkpoint that is complete on disk."""
        self._sink.emit("checkpoint", checkpoint)

    def update_status(self, status: str, error: Optional[str] = None) -> None:
        """Tells ``running``, ``completed`` or ``failed`` (with what went wrong)."""
        if status not in ("running", "completed", "failed"):
            raise ValueError(f"status {status!r} is none of running, completed, failed")
        self.status, self.error = status, error
        if status == "running":  # how the attempt ends is told once, by its result
            self._sink.emit("status", {"state": status})

    def close(self) -> None:
        """Waits until what was reported has arrived, or is in its file."""
        self._sink.close()

    def log_message(self, text: str, level: str = "INFO") -> None:
        """Tells people something. ``level`` is DEBUG, INFO, WARNING or ERROR."""
        known = _LEVELS.get(level.upper())
        if known is None:
            raise ValueError(f"level {level!r} is none of DEBUG, INFO, WARNING, ERROR")
        self._sink.emit("message", {"level": known, "text": str(text)})


def _split(name: str) -> tuple[str, str]:
    for split in ("train", "val", "test"):
        if name.startswith(split + "_"):
            return split, name[len(split) + 1:]
    if name in ("learning_rate", "lr"):
        return "train", "learning_rate"
    return "val", name


def _number(value: Any) -> Optional[float]:
    if value is None or isinstance(value, str):
        return None
    try:
        return float(value)
    except (TypeError, ValueError):
        _log.warning("metric value %r is not a number; it is not reported", value)
        return None


def _numbers(values: dict[str, Any]) -> dict[str, float]:
    return {k: n for k, v in values.items() if (n := _number(v)) is not None}


def _per_class(value: Any) -> Optional[dict[str, dict[str, float]]]:
    """Takes ``{class: {metric: value}}`` or ``[{"class": name, metric: value}]``."""
    if value is None:
        return None
    if isinstance(value, dict):
        return {str(k): _numbers(v) if isinstance(v, dict) else {"value": float(v)} for k, v in value.items()}
    out = {}
    for i, row in enumerate(value):
        name = row.get("class", row.get("class_name", row.get("name", i)))
        out[str(name)] = _numbers({k: v for k, v in row.items() if k not in ("class", "class_name", "name")})
    return out

"""``python -m platform_sdk.step task.json --adapter FILE``: one attempt of a run.

Obeys the run protocol (docs/protocol.md). Exit codes: 0 completed, 1 failed,
8 cancelled.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import math
import os
import signal
import sys
import traceback
from pathlib import Path
from typing import Any, Optional

from . import __version__, checkpoints, deploy
from .base import Stop, TrainingAdapter
from .config import DatasetConfig, DatasetFormat, ModelConfig, TaskType
from .events import Spool
from .loading import AdapterError, SettingError, adapter_class, load_module
from .logger import TrainingLogger
from .reader import ReadLog, RecordingDict, RecordingTrainingConfig, nest
from .results import MetricsResult, measured

EXIT_COMPLETED, EXIT_FAILED, EXIT_CANCELLED = 0, 1, 8
# Of the time between SIGTERM and SIGKILL, the part in which the adapter may reach a safe point by itself.
_PATIENCE = float(os.environ.get("RUNNER_STOP_PATIENCE", "5"))
_TRACEBACK_LINES = 20
# The settings of a run, beside its checkpoints.
_CONFIG = "config.json"


class ConfigNotApplied(Exception):
    """The user wrote a setting that the adapter never read."""


class Step:
    """One attempt: builds the adapter from the task, runs it, tells what happened."""

    def __init__(self, task: dict[str, Any], source: str, strict: bool = False) -> None:
        self.task, self.source, self.strict = task, source, strict
        self.spool = Spool(task["attempt_dir"], int(task["attempt"]))
        self.log = ReadLog()
        self.proved = False
        self.stopping = False
        self._resumed: Optional[tuple[int, str]] = None
        self.logger = TrainingLogger(job_id=int(task["job_id"]), sink=self.spool)
        self.logger.stopping = lambda: self.stopping
        self.logger.before_metrics = self.safe_point
        self.adapter: Optional[TrainingAdapter] = None

    def run(self) -> int:
        self._hold_lock()
        self._catch_signals()
        try:
            if self.task["kind"] == "evaluate":
                return self._end("completed", "", "", [], self._evaluate())
            if self.task["kind"] == "export":
                return self._end("completed", "", "", [], self._export())
            results = self._train()
            self._prove()
            self._report_unlogged(results)
            assert self.adapter is not None
            self.adapter.announce_checkpoints()
            self.adapter.wait_for_uploads()
            if self.logger.status == "failed":
                return self._end("failed", "user", self.logger.error or "the adapter reported failure", results)
            return self._end("completed", "", "", results, self._publish())
        except (Stop, KeyboardInterrupt):
            self._checkpoint_on_stop()
            return self._end("cancelled", "", "stopped by a signal", [])
        except (ConfigNotApplied, SettingError) as error:
            return self._end("failed", "config", str(error), [])
        except AdapterError as error:
            return self._end("failed", "user", str(error), [])
        except BaseException as error:
            traceback.print_exc()
            return self._end("failed", cause_of(error), _last_lines(error), [])
        finally:
            self.spool.close()

    # -- building ----------------------------------------------------------------

    def _train(self) -> list[MetricsResult]:
        train = self.task["train"]
        adapter = self.adapter = self._build(train, {"train": "train", "val": "val", "test": "test"})
        adapter.checkpoint_policy = train.get("checkpoint") or {}
        # What is done with a checkpoint later builds the same network.
        Path(adapter.output_dir, "checkpoints", _CONFIG).write_text(json.dumps(train.get("config") or {}), encoding="utf-8")
        start_epoch, checkpoint, resume = self._start()
        if hasattr(sys.modules.get("torch"), "manual_seed"):
            sys.modules["torch"].manual_seed(train.get("seed") or 0)
        if resume and checkpoint:
            self._resumed = (start_epoch, checkpoint)
            checkpoints.settle(Path(adapter.output_dir, "checkpoints"), checkpoint, train.get("monitor") or "accuracy", train.get("mode") == "min")
        self.spool.emit("status", {"state": "running"})
        return list(adapter.train(start_epoch=start_epoch, checkpoint_path=checkpoint, resume_training=resume) or [])

    def _build(self, train: dict[str, Any], splits: dict[str, str]) -> TrainingAdapter:
        """The adapter for this task. ``splits`` names the planned split that each
        folder of a dataset holds, for adapters that read folders."""
        task = self.task
        adapter_type = adapter_class(load_module(self.source), task["adapter"])
        model, dataset = task["model"], task.get("dataset") or {}
        config = nest(train.get("config") or {})
        if "learning_rate" in train:
            # Both places that the platform names hold the one learning rate.
            config.setdefault("optimizer", {}).setdefault("learning_rate", train["learning_rate"])
        classes, path, index = dataset.get("classes") or [], dataset.get("path") or "", dataset.get("index_path")
        if index and not adapter_type.reads_index and dataset.get("format") in ("dice", "imagefolder"):
            path = str(deploy.split_folder(index, Path(task["attempt_dir"], "data"), splits))
            classes = sorted(classes)  # as folders are read
        return adapter_type(
            model_config=ModelConfig(
                framework=task["adapter"], task_type=TaskType(task["task"]), model_name=model["name"],
                num_classes=model.get("num_classes") or len(classes) or None,
                image_size=model.get("image_size") or 224, pretrained=bool(model.get("pretrained")),
                weights=(model.get("weights") or {}).get("path"), freeze=model.get("freeze") or []),
            dataset_config=DatasetConfig(
                dataset_path=path, format=DatasetFormat(dataset.get("format") or "imagefolder"), classes=classes, index_path=index),
            training_config=RecordingTrainingConfig.recording(
                self.log, epochs=train.get("epochs") or 1, batch_size=train.get("batch_size") or 32,
                learning_rate=train.get("learning_rate") or 1e-3, device=device_of(train.get("device")), seed=train.get("seed") or 0,
                num_workers=train.get("num_workers") or 0, monitor=train.get("monitor") or "accuracy", mode=train.get("mode") or "max",
                advanced_config=RecordingDict(config, self.log)),
            output_dir=task["run_dir"], job_id=int(task["job_id"]), logger=self.logger)

    # -- what is done with a checkpoint --------------------------------------------

    def _evaluate(self) -> dict[str, Any]:
        task, spec = self.task, self.task["evaluate"]
        checkpoint, split = spec["checkpoint"], spec.get("split") or "val"
        self.adapter = self._build({"batch_size": spec.get("batch_size"), "device": spec.get("device"), "config": config_of(checkpoint["path"])}, {"train": split, "val": split})
        self.spool.emit("status", {"state": "running"})
        found = self.adapter.evaluate(checkpoint["path"], split)
        metrics = {k: float(v) for k, v in found["metrics"].items()}
        at = {"epoch": int(checkpoint.get("epoch") or 0), "global_step": int(checkpoint.get("global_step") or 0)}
        primary = next((n for n in ("accuracy", "map", "map50") if n in metrics), next(iter(metrics)))
        self.spool.emit("metrics", {**at, "split": split, "values": metrics})
        self.spool.emit("validation", {
            **at, "task_type": task["task"], "split": split, "primary_metric_name": primary, "primary_metric_value": metrics[primary],
            "overall_loss": float(found.get("loss") or 0.0), "metrics": metrics, "per_class_metrics": found.get("per_class"),
            "classes": found.get("classes"), "confusion_matrix": found.get("confusion_matrix"), "pr_curves": found.get("pr_curves"),
            "samples": found.get("samples"), "checkpoint_path": checkpoint["path"]})
        return {"metrics": metrics, "last_metrics": metrics, "per_class": found.get("per_class") or {}}

    def _export(self) -> dict[str, Any]:
        task, spec = self.task, self.task["export"]
        if (spec.get("format") or "onnx") != "onnx" or (spec.get("precision") or "fp32") != "fp32":
            raise AdapterError(f"export to {spec.get('format')} in {spec.get('precision')} is not available; use format = \"onnx\", precision = \"fp32\"")
        self.adapter = self._build({"device": "cpu", "config": config_of(spec["checkpoint"]["path"])}, {"train": "train", "val": "val"})
        self.spool.emit("status", {"state": "running"})
        artifact, worst = self._write_model(spec["checkpoint"]["path"])
        if worst is not None:
            self.logger.log_message(f"the exported model's outputs differ from the framework's by at most {worst:.1g} of their size")
        return {"artifacts": [artifact]}

    def _publish(self) -> dict[str, Any]:
        """The best checkpoint's model.onnx, where the adapter has it published. The training counts without it, too."""
        assert self.adapter is not None
        best = self.adapter.checkpoints.get("best")
        if not self.adapter.publishes_model or best is None:
            return {}
        missing = [name for name in ("onnx", "onnxruntime") if importlib.util.find_spec(name) is None]
        if missing:
            self.logger.log_message(f"no model.onnx is written: {' and '.join(missing)} not installed; add to the adapter's requirements")
            return {}
        try:
            return {"artifacts": [self._write_model(best["path"])[0]]}
        except Exception as error:
            self.logger.log_message(f"no model.onnx could be written: {error}", level="WARNING")
            Path(self.task["run_dir"], "artifacts", "model.onnx").unlink(missing_ok=True)
            return {}

    def _write_model(self, checkpoint: str) -> tuple[dict[str, Any], Optional[float]]:
        """Writes a checkpoint as artifacts/model.onnx and holds it against the
        network. Returns the artifact and how far they are apart, None where the adapter cannot tell."""
        assert self.adapter is not None
        task, folder, worst = self.task, Path(self.task["run_dir"], "artifacts"), None
        folder.mkdir(parents=True, exist_ok=True)
        path = str(folder / "model.onnx")
        about = dict(self.adapter.export_onnx(checkpoint, path))
        parity = about.pop("parity", None)
        if parity is None:
            self.logger.log_message("the adapter gave no outputs to hold the exported model against; it was not checked", level="WARNING")
        else:
            worst = deploy.check_parity(path, *parity)
        deploy.write_metadata(path, {"model": task["model"]["name"], "task": task["task"], "adapter": task["adapter"], **about})
        return {"name": "model.onnx", "path": path, "sha256": checkpoints.sha256(path), "size": os.path.getsize(path), "media_type": "application/onnx"}, worst

    def _start(self) -> tuple[int, Optional[str], bool]:
        """Where to begin: epoch (from 0), checkpoint, and whether all of its state counts."""
        if self.task.get("resume"):
            found, broken = checkpoints.newest(Path(self.task["run_dir"], "checkpoints"))
            for path in broken:
                self.logger.log_message(f"checkpoint {path} is unreadable; going on from the one before", level="WARNING")
            if found is not None:
                epoch = found.epoch if found.epoch is not None else _epoch_in(found.path)
                return epoch + 1, str(found.path), True
        start = self.task["train"].get("start")
        if start:
            checkpoint = start["checkpoint"]
            whole = start.get("mode") == "resume"
            return (int(checkpoint.get("epoch") or 0) if whole else 0), checkpoint["path"], whole
        return 0, None, False

    # -- proof -------------------------------------------------------------------

    def safe_point(self) -> None:
        """Runs before the first metric or checkpoint, and wherever training may stop."""
        self._prove()
        if self.stopping:
            raise Stop()

    def _prove(self) -> None:
        if self.proved or self.adapter is None:
            return
        self.proved = True
        train = self.task["train"]
        wanted = dict(train.get("config") or {})
        built = self.adapter.applied_config()
        if built is not None:
            values, proof = dict(built), "objects"
        else:
            values, proof = {n: v for n, v in wanted.items() if self._was_read(n)}, "read"
        self.spool.emit("config_applied", {
            "values": values, "proof": proof,
            "attributes": self._attributes(train),
            "environment": environment()})
        if self._resumed:
            epoch, path = self._resumed
            self.logger.resumed_at = self.logger.step_after(epoch)
            self.spool.emit("resumed", {"checkpoint": path, "epoch": epoch, "global_step": self.logger.resumed_at})
        asked = wanted if self.strict else train.get("written") or []
        unread = [n for n in asked if n not in values and not self._was_read(n)]
        if unread:
            raise ConfigNotApplied(
                f"{', '.join(sorted(unread))}: {'in force' if self.strict else 'written in the configuration'}, and adapter {self.task['adapter']!r} never read it, so it "
                "would have no effect; remove it, or make the adapter use it")
        different = [n for n in train.get("written") or [] if n in values and n in wanted and not _same(wanted[n], values[n])]
        if different:
            raise ConfigNotApplied("; ".join(
                f"{n}: {wanted[n]!r} is written in the configuration, and {values[n]!r} is in force" for n in sorted(different))
                + "; remove it, or run where it can be had")
        if self._resumed:  # the attempt that wrote it may have died before it could say so
            self.adapter.announce_checkpoints()
        ignored = sorted(n for n in wanted if n not in values and n not in (train.get("written") or []))
        if ignored:
            self.logger.log_message(f"settings from defaults or the preset that the adapter does not read: {', '.join(ignored)}", level="WARNING")

    def _attributes(self, train: dict[str, Any]) -> dict[str, Any]:
        """The train block's own numbers, as far as the adapter read them. The
        seed counts at once: the step seeds torch before the adapter trains."""
        assert self.adapter is not None
        model = self.adapter.model_config
        out: dict[str, Any] = {n: train[n] for n in ("epochs", "batch_size", "seed") if n in train and n in self.log.names}
        if "seed" in train and "torch" in sys.modules:
            out["seed"] = train["seed"]
        if self._was_read("optimizer.learning_rate"):
            out["learning_rate"] = train["learning_rate"]
        if "device" in self.log.names:
            out["device"] = self.adapter.training_config.device
        return out | {"num_classes": model.num_classes, "image_size": model.image_size} | self.adapter.applied_attributes()

    def _was_read(self, name: str) -> bool:
        if name == "optimizer.learning_rate":
            return name in self.log.names or "learning_rate" in self.log.names
        return name in self.log.names

    # -- reporting ---------------------------------------------------------------

    def _report_unlogged(self, results: list[MetricsResult]) -> None:
        for r in results:
            if r.epoch not in self.logger.logged_epochs:
                extra = {**r.metrics, **({"val_loss": r.val_loss} if r.val_loss is not None else {})}
                self.logger.log_metrics(r.epoch, loss=r.train_loss, extra_metrics=extra)

    def _end(self, state: str, cause: str, error: str, results: list[MetricsResult], more: Optional[dict[str, Any]] = None) -> int:
        body: dict[str, Any] = {"state": state, **(more or {})}
        if cause:
            body["cause"] = cause
        if error:
            body["error"] = error
        if results:
            train = self.task["train"]
            best = best_of(results, train.get("monitor") or "accuracy", train.get("mode") or "max")
            body["last_metrics"] = _flat(results[-1])
            body["metrics"] = _flat(best)
            body["per_class"] = self.logger.per_class.get(best.epoch, {})
        if self.adapter is not None and self.task["kind"] == "train":
            if self.adapter.stopped_by:
                body["stopped_by"] = self.adapter.stopped_by
            for role in ("best", "latest"):
                if role in self.adapter.checkpoints:
                    body[role] = self.adapter.checkpoints[role]
            # The best epoch may be one of an earlier attempt.
            if state == "completed" and body.get("best", {}).get("metrics"):
                body["metrics"] = body["best"]["metrics"]
                body["per_class"] = self.adapter.best_per_class or body.get("per_class", {})
        self.spool.emit("result", body)
        return {"completed": EXIT_COMPLETED, "cancelled": EXIT_CANCELLED}.get(state, EXIT_FAILED)

    # -- signals and the lock ----------------------------------------------------

    def _catch_signals(self) -> None:
        def ask(_signum: int, _frame: Any) -> None:
            # First the adapter may reach its next report by itself; then it is interrupted where it is.
            if not self.stopping:
                self.stopping = True
                signal.setitimer(signal.ITIMER_REAL, _PATIENCE)

        def interrupt(_signum: int, _frame: Any) -> None:
            raise Stop()

        signal.signal(signal.SIGTERM, ask)
        signal.signal(signal.SIGINT, ask)
        signal.signal(signal.SIGALRM, interrupt)

    def _checkpoint_on_stop(self) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        self.stopping = False
        if self.adapter is None:
            return
        try:
            save = getattr(self.adapter, "save_on_stop", None)
            if save is not None:
                save()
            self.adapter.announce_checkpoints()
        except Exception as error:
            self.logger.log_message(f"no checkpoint could be written on stop: {error}", level="WARNING")

    def _hold_lock(self) -> None:
        """Keeps the attempt's lock for life, and out of forked loader workers."""
        text = os.environ.pop("RUNNER_LOCK_FD", "")
        if not text:
            return
        fd = int(text)
        os.set_inheritable(fd, False)

        def close_in_child() -> None:
            try:
                os.close(fd)
            except OSError:
                pass

        os.register_at_fork(after_in_child=close_in_child)


def config_of(checkpoint: str) -> dict[str, Any]:
    """The settings that a checkpoint was trained with, which lie beside it; none
    where it was taken elsewhere without them."""
    path = Path(checkpoint).parent / _CONFIG
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def best_of(results: list[MetricsResult], monitor: str, mode: str) -> MetricsResult:
    """The epoch with the best monitored metric; strict improvement, NaN is never best."""
    best, best_value = results[0], None
    for r in results:
        value = _flat(r).get(monitor, r.train_loss if monitor == "train_loss" else None)
        if not isinstance(value, (int, float)) or value != value:
            continue
        if best_value is None or (value > best_value if mode == "max" else value < best_value):
            best, best_value = r, value
    return best


def _flat(r: MetricsResult) -> dict[str, float]:
    out = measured(r.metrics)
    if r.val_loss is not None:
        out["loss"] = r.val_loss
    return out


def cause_of(error: BaseException) -> str:
    """Classifies a crash for the retry block: oom, data, or user."""
    name, text = type(error).__name__, str(error).lower()
    if name == "OutOfMemoryError" or isinstance(error, MemoryError) or "out of memory" in text or "can't allocate memory" in text:
        return "oom"
    if isinstance(error, (FileNotFoundError, IsADirectoryError)) or name in ("UnidentifiedImageError", "DecompressionBombError"):
        return "data"
    if isinstance(error, FloatingPointError):
        return "nan"
    return "user"


def device_of(device: Optional[str]) -> str:
    """``auto`` becomes cuda where torch sees one."""
    if device and device != "auto":
        return device
    torch = sys.modules.get("torch")
    if torch is None:
        try:
            import torch  # type: ignore[no-redef]
        except ImportError:
            return "cpu"
    return "cuda" if torch.cuda.is_available() else "cpu"


def environment() -> dict[str, str]:
    """What results may depend on besides the configuration."""
    out = {"platform_sdk": __version__, "python": sys.version.split()[0]}
    for name in ("torch", "torchvision", "timm", "ultralytics", "transformers", "numpy"):
        module = sys.modules.get(name)
        if module is not None and hasattr(module, "__version__"):
            out[name] = str(module.__version__)
    torch = sys.modules.get("torch")
    if torch is not None and hasattr(torch, "get_num_threads"):
        out["threads"] = str(torch.get_num_threads())
    return out


def _same(wanted: Any, got: Any) -> bool:
    """Whether two values are one, numbers as exactly as a float32 tells them."""
    if isinstance(wanted, (int, float)) and isinstance(got, (int, float)):
        return math.isclose(wanted, got, rel_tol=1e-6) or (wanted != wanted and got != got)
    if isinstance(wanted, (list, tuple)) and isinstance(got, (list, tuple)):
        return len(wanted) == len(got) and all(map(_same, wanted, got))
    return bool(wanted == got)


def _epoch_in(path: Path) -> int:
    """The epoch that a ``latest`` file was written after, counted from 0."""
    import torch

    state = torch.load(path, map_location="cpu", weights_only=True)
    if not isinstance(state, dict) or "epoch" not in state:
        raise AdapterError(f"{path} does not say its epoch; save it with an \"epoch\" entry, or write epoch_N.pth beside it")
    return int(state["epoch"])


def _last_lines(error: BaseException) -> str:
    lines = "".join(traceback.format_exception(error)).rstrip().splitlines()
    return "\n".join(lines[-_TRACEBACK_LINES:])


def main(argv: Optional[list[str]] = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m platform_sdk.step", description="Runs one attempt of a training.")
    parser.add_argument("task", help="path of task.json")
    parser.add_argument("--adapter", required=True, help="adapter file, package folder or module name")
    parser.add_argument("--strict", action="store_true", help="settings of defaults and presets that the adapter never reads fail the run, too")
    args = parser.parse_args(argv)
    with open(args.task, encoding="utf-8") as file:
        task = json.load(file)
    if task.get("kind") not in ("train", "evaluate", "export"):
        print(f"Error: there are no steps of kind {task.get('kind')!r} in Python", file=sys.stderr)
        return EXIT_FAILED
    return Step(task, args.adapter, args.strict).run()


if __name__ == "__main__":
    sys.exit(main())

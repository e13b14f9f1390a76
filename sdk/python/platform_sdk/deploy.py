"""What is done with a checkpoint after training: measured on a split, written as ONNX.

The defaults of ``TrainingAdapter.evaluate`` and ``export_onnx``: they fit an
adapter that keeps its network in ``self.model``, its validation images in
``self.val_loader`` and the weights in a checkpoint's ``model_state_dict``, as
the platform's guide writes them. Others override the two methods.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .loading import AdapterError

if TYPE_CHECKING:
    from .base import TrainingAdapter

# How far an exported model's outputs may be from the framework's, relative to their size.
TOLERANCE = 1e-3


def restore(adapter: "TrainingAdapter", checkpoint_path: str) -> Any:
    """Builds the adapter's network and gives it a checkpoint's weights."""
    import torch

    # The checkpoint brings the weights; nothing is downloaded.
    adapter.model_config.pretrained, adapter.model_config.weights = False, None
    adapter.prepare_model()
    model = getattr(adapter, "model", None)
    if model is None:
        raise AdapterError(f"{type(adapter).__name__}.prepare_model() sets no self.model; set it, or override evaluate() and export_onnx()")
    state = torch.load(checkpoint_path, map_location="cpu", weights_only=True)
    weights = state.get("ema_state_dict") or state.get("model_state_dict") if isinstance(state, dict) else None
    if weights is None:
        raise AdapterError(f"{checkpoint_path} has no \"model_state_dict\"; save one, or override evaluate() and export_onnx()")
    model.load_state_dict(weights)
    return model.to(adapter.training_config.device).eval()


def evaluate_classifier(adapter: "TrainingAdapter", checkpoint_path: str) -> dict[str, Any]:
    """Accuracy, per-class figures and the confusion matrix of a classifier over ``adapter.val_loader``."""
    import torch

    from .classification import figures
    from .curves import Curves

    adapter.prepare_dataset()
    loader = getattr(adapter, "val_loader", None)
    if loader is None:
        raise AdapterError(f"{type(adapter).__name__}.prepare_dataset() sets no self.val_loader; set it, or override evaluate()")
    model, device = restore(adapter, checkpoint_path), adapter.training_config.device
    n = adapter.model_config.num_classes or len(adapter.dataset_config.classes)
    matrix, curves, loss, count = torch.zeros(n, n, dtype=torch.int64), Curves(n), 0.0, 0
    with torch.no_grad():
        for images, labels in loader:
            logits = model(images.to(device)).float().cpu()
            loss += float(torch.nn.functional.cross_entropy(logits, labels, reduction="sum"))
            matrix += torch.bincount(labels * n + logits.argmax(1), minlength=n * n).reshape(n, n)
            curves.add(logits, labels)
            count += len(labels)
    if not count:
        raise AdapterError(f"dataset {adapter.dataset_config.dataset_path} has no images to measure")
    classes = adapter.dataset_config.classes or [str(i) for i in range(n)]
    metrics, per_class = figures(matrix.tolist(), classes)
    return {"loss": loss / count, "metrics": {"loss": loss / count} | metrics, "per_class": per_class,
            "confusion_matrix": matrix.tolist(), "pr_curves": curves.figures(classes), "classes": classes}


def export_classifier(adapter: "TrainingAdapter", checkpoint_path: str, path: str) -> dict[str, Any]:
    """Writes the network as ONNX: input ``input`` (N, 3, size, size), output ``logits`` (N, classes)."""
    import torch

    model, size = restore(adapter, checkpoint_path).cpu(), adapter.model_config.image_size
    images = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = model(images)
        torch.onnx.export(model, (images,), path, input_names=["input"], output_names=["logits"], opset_version=18, dynamo=False,
                          dynamic_axes={"input": {0: "N"}, "logits": {0: "N"}})
    about = {"input": "float32 NCHW RGB, (pixel/255 - mean)/std", "image_size": size, "classes": adapter.dataset_config.classes,
             "parity": (images, [expected])}
    for name in ("mean", "std", "crop_pct", "interpolation"):
        if hasattr(adapter, name):
            value = getattr(adapter, name)
            about[name] = list(value) if isinstance(value, tuple) else value
    return about


def check_parity(path: str, images: Any, expected: list[Any]) -> float:
    """Runs the exported file and compares it with the framework's own outputs.
    Returns the largest difference, relative to the outputs' size; raises
    AdapterError beyond TOLERANCE."""
    import numpy
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    got = session.run(None, {session.get_inputs()[0].name: numpy.asarray(images)})
    if len(got) != len(expected):
        raise AdapterError(f"{path} has {len(got)} outputs, the model has {len(expected)}")
    worst = 0.0
    for name, a, b in zip((o.name for o in session.get_outputs()), got, expected):
        b = numpy.asarray(b)
        if a.shape != b.shape:
            raise AdapterError(f"{path}: output {name} has the shape {a.shape}, the model's has {b.shape}")
        difference = float(numpy.abs(a - b).max() / max(1.0, float(numpy.abs(b).max())))
        if not difference <= TOLERANCE:
            raise AdapterError(f"{path}: output {name} differs from the model's own by {difference:.2g} of its size, more than {TOLERANCE}: "
                               "the exported file does not compute what was trained")
        worst = max(worst, difference)
    return worst


def write_metadata(path: str, about: dict[str, Any]) -> None:
    """Puts what a user of the file must know into its metadata, strings as they
    are and the rest as JSON; synced to disk."""
    import onnx

    model = onnx.load(path)
    onnx.helper.set_model_props(model, {k: v if isinstance(v, str) else json.dumps(v) for k, v in sorted(about.items())})
    temporary = f"{path}.tmp"
    onnx.save(model, temporary)
    with open(temporary, "rb+") as file:
        os.fsync(file.fileno())
    os.replace(temporary, path)


def split_folder(index_path: str, folder: str | Path, splits: dict[str, str]) -> Path:
    """Lays planned images out as ``NAME/CLASS/*`` links, for adapters that read
    folders: ``splits`` names the planned split that fills each folder."""
    with open(index_path, encoding="utf-8") as file:
        index = json.load(file)
    folder = Path(folder)
    for name, planned in splits.items():
        rows = index["splits"].get(planned) or []
        for label in index["classes"]:
            (folder / name / label).mkdir(parents=True, exist_ok=True)
        for number, row in enumerate(rows):
            source = Path(row["p"])
            # In the planned order, and an error that names the link names the image.
            link = folder / name / index["classes"][row["l"]] / f"{number:07d}_{source.stem[-50:]}{source.suffix}"
            if not link.exists():
                link.symlink_to(source)
    return folder

"""The predictions of a validation that are worth looking at, as ``samples`` of a
validation event tells them: the worst errors, then some of the rest.
"""

from __future__ import annotations

import math
from typing import Any

_WRONG, _RIGHT = 32, 16  # as many as the native engine keeps


class Samples:
    """Takes batches of a classifier's logits in the order of its images::

        samples = Samples(["a.png", "b.png"])
        samples.add(logits, labels)
        samples.figures()
    """

    def __init__(self, paths: list[str]) -> None:
        self.paths = paths
        self.rows: list[tuple[int, int, float, float]] = []  # label, prediction, confidence, loss

    def add(self, logits: Any, labels: Any) -> None:
        """Counts a batch: tensors of logits (n, classes) and labels (n)."""
        chances = logits.double().log_softmax(1)
        best, said = chances.max(1)
        losses = -chances.gather(1, labels[:, None])[:, 0]
        self.rows += zip(labels.tolist(), said.tolist(), best.exp().tolist(), losses.tolist())

    def figures(self) -> list[dict[str, Any]]:
        """At most 48 images with ``label``, ``prediction``, ``confidence`` and ``loss``."""
        told = [{"path": path, "label": label, "prediction": said, "confidence": confidence, "loss": loss}
                for path, (label, said, confidence, loss) in zip(self.paths, self.rows) if math.isfinite(loss)]
        wrong = sorted((t for t in told if t["label"] != t["prediction"]), key=lambda t: -t["loss"])
        every = max(1, len(told) // _RIGHT)
        right = [t for t in told[every - 1::every] if t["label"] == t["prediction"]]
        return wrong[:_WRONG] + right[:_RIGHT]

"""Average precision and the confusion matrix of detections, as COCO measures.

Precision is taken at 101 recalls for each of the overlaps 0.50, 0.55 … 0.95, of
at most 100 detections an image; crowd regions neither reward nor punish.
numpy is imported when the class is made.
"""

from __future__ import annotations

from typing import Any

from .curves import curve, most_points

_CONFIDENT, _SAME = 0.25, 0.45  # score and overlap from which the confusion matrix counts a detection
_PER_IMAGE = 100


def overlaps(a: Any, b: Any, crowd: Any = None) -> Any:
    """Intersection over union of boxes ``(x1, y1, x2, y2)``, one row for each of
    ``a``; with a crowd in ``b``, intersection over the area of ``a``."""
    import numpy as np

    low, high = np.maximum(a[:, None, :2], b[None, :, :2]), np.minimum(a[:, None, 2:], b[None, :, 2:])
    inside = np.clip(high - low, 0, None).prod(2)
    area_a, area_b = (a[:, 2:] - a[:, :2]).prod(1), (b[:, 2:] - b[:, :2]).prod(1)
    union = area_a[:, None] + area_b[None, :] - inside
    if crowd is not None:
        union = np.where(crowd[None, :], area_a[:, None], union)
    return inside / np.maximum(union, 1e-12)


class DetectionMetrics:
    """Add images one by one, then ask for the figures::

        m = DetectionMetrics(["cat", "dog"])
        m.add(boxes, scores, labels, true_boxes, true_labels)
        m.figures()["metrics"]["map"]

    Boxes are arrays (n, 4) of x1, y1, x2, y2 in pixels; scores lie in [0, 1].
    """

    def __init__(self, classes: list[str]) -> None:
        import numpy as np

        self.classes, self.thresholds = classes, np.linspace(0.5, 0.95, 10)
        self.matrix = np.zeros((len(classes) + 1, len(classes) + 1), dtype=int)
        self.support = [0] * len(classes)
        # By class: score, hit and ignored at each threshold, of every detection.
        self._found: list[list[tuple[float, Any, Any]]] = [[] for _ in classes]

    def add(self, boxes: Any, scores: Any, labels: Any, true_boxes: Any, true_labels: Any, crowd: Any = None) -> None:
        """Counts one image."""
        import numpy as np

        crowd = np.zeros(len(true_labels), bool) if crowd is None else np.asarray(crowd, bool)
        order = np.argsort(-scores, kind="stable")[:_PER_IMAGE]
        boxes, scores, labels = boxes[order], scores[order], labels[order]
        for c in range(len(self.classes)):
            mine, truth = labels == c, true_labels == c
            self.support[c] += int((truth & ~crowd).sum())
            if not mine.any():
                continue
            is_crowd = crowd[truth]
            iou = overlaps(boxes[mine], true_boxes[truth], is_crowd)
            hit, ignored = np.zeros((mine.sum(), 10), bool), np.zeros((mine.sum(), 10), bool)
            for t, threshold in enumerate(self.thresholds):
                taken = np.zeros(truth.sum(), bool)
                for d in range(len(iou)):
                    free = np.where(taken | is_crowd, -1.0, iou[d])
                    if len(free) and free.max() >= threshold:
                        taken[free.argmax()] = hit[d, t] = True
                    elif (iou[d][is_crowd] >= threshold).any():
                        ignored[d, t] = True
            self._found[c] += list(zip(scores[mine].tolist(), hit, ignored))
        self._confuse(boxes[scores >= _CONFIDENT], labels[scores >= _CONFIDENT], true_boxes[~crowd], true_labels[~crowd])

    def _confuse(self, boxes: Any, labels: Any, true_boxes: Any, true_labels: Any) -> None:
        background, taken = len(self.classes), set()
        iou = overlaps(boxes, true_boxes) if len(boxes) and len(true_boxes) else None
        for d, label in enumerate(labels):
            best = max((t for t in range(len(true_labels)) if t not in taken), key=lambda t: iou[d][t], default=None) if iou is not None else None
            if best is not None and iou[d][best] >= _SAME:
                taken.add(best)
                self.matrix[true_labels[best], label] += 1
            else:
                self.matrix[background, label] += 1
        for t, label in enumerate(true_labels):
            if t not in taken:
                self.matrix[label, background] += 1

    def figures(self) -> dict[str, Any]:
        """``metrics`` (map, map50, precision, recall), ``per_class``, ``confusion_matrix``
        ``[truth][prediction]`` and its ``classes``, ``pr_curves`` at an overlap of 0.5.
        Precision and recall are at that overlap and the score where their F1 is best.
        A class without truth counts in none."""
        import numpy as np

        per_class, curves = {}, {}
        for c, name in enumerate(self.classes):
            found = sorted(self._found[c], key=lambda f: -f[0])
            average = np.zeros(10)
            precision = recall = 0.0
            if found and self.support[c]:
                hits, ignored = np.stack([f[1] for f in found]), np.stack([f[2] for f in found])
                right, wrong = hits.cumsum(0), (~hits & ~ignored).cumsum(0)
                recalls, precisions = right / self.support[c], right / np.maximum(right + wrong, 1)
                for t in range(10):
                    falling = np.maximum.accumulate(precisions[::-1, t])[::-1]
                    at = np.searchsorted(recalls[:, t], np.linspace(0, 1, 101), side="left")
                    average[t] = np.where(at < len(falling), falling[np.minimum(at, len(falling) - 1)], 0.0).mean()
                f1 = 2 * precisions[:, 0] * recalls[:, 0] / np.maximum(precisions[:, 0] + recalls[:, 0], 1e-12)
                precision, recall = float(precisions[f1.argmax(), 0]), float(recalls[f1.argmax(), 0])
                curves[name] = curve([f[0] for f in found], hits[:, 0], ~hits[:, 0] & ~ignored[:, 0], self.support[c],
                                     most_points(len(self.classes)), float(average[0]))
            per_class[name] = {"map": float(average.mean()), "map50": float(average[0]), "precision": precision, "recall": recall,
                               "support": float(self.support[c])}
        seen = [v for v in per_class.values() if v["support"]]
        metrics = {k: sum(v[k] for v in seen) / max(1, len(seen)) for k in ("map", "map50", "precision", "recall")}
        return {"metrics": metrics, "per_class": per_class, "confusion_matrix": self.matrix.tolist(), "classes": [*self.classes, "background"],
                "pr_curves": curves}

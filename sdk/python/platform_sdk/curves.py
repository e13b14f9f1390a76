"""Precision-recall curves, as ``pr_curves`` of a validation event tells them.

numpy is imported where it is needed.
"""

from __future__ import annotations

from typing import Any, Optional

# Scores are told apart by their log-odds, a bin for each 1/32 of [-32, 32), as
# the native engine does: what is kept does not grow with the samples, and every
# point of a curve is exact at its threshold.
_BINS, _PER_ODD = 2048, 32
_RANGE = _BINS / _PER_ODD / 2


def most_points(classes: int) -> int:
    """How many points a class's curve may have, so that many classes stay small together."""
    return min(max(4000 // max(classes, 1), 10), 60)


class Curves:
    """Adds up batches of a classifier's logits, each class against the rest::

        curves = Curves(2)
        curves.add(logits, labels)
        curves.figures(["cat", "dog"])["cat"]["ap"]
    """

    def __init__(self, classes: int) -> None:
        import numpy as np

        self.classes = classes
        self.of, self.others = np.zeros((classes, _BINS), dtype=np.int64), np.zeros((classes, _BINS), dtype=np.int64)

    def add(self, logits: Any, labels: Any) -> None:
        """Counts a batch: logits (n, classes) and labels (n), arrays or tensors."""
        import numpy as np

        scores, labels = _array(logits).astype(np.float64), _array(labels).astype(np.int64)
        with np.errstate(all="ignore"):
            parts = scores - scores.max(1, keepdims=True)
            powers = np.exp(parts)
            odds = parts - np.log(np.maximum(powers.sum(1, keepdims=True) - powers, 0))
            bins = np.clip(np.nan_to_num((odds + _RANGE) * _PER_ODD, nan=0.0), 0, _BINS - 1).astype(np.int64)
        flat = bins + np.arange(self.classes) * _BINS
        mine = np.arange(self.classes) == labels[:, None]
        for counts, chosen in ((self.of, mine), (self.others, ~mine)):
            counts += np.bincount(flat[chosen], minlength=counts.size).reshape(counts.shape)

    def figures(self, classes: list[str]) -> dict[str, dict[str, Any]]:
        """``ap``, ``thresholds``, ``precision`` and ``recall`` of each class that has samples."""
        import numpy as np

        edges = 1 / (1 + np.exp(_RANGE - np.arange(_BINS) / _PER_ODD))
        edges[0] = 0.0  # the last bin takes whatever scored less
        out = {}
        for name, of, others in zip(classes, self.of, self.others):
            at = np.flatnonzero(of + others)[::-1]
            found = curve(edges[at], of[at], others[at], int(of.sum()), most_points(self.classes))
            if found:
                out[name] = found
        return out


def curve(thresholds: Any, right: Any, wrong: Any, support: int, points: int, ap: Optional[float] = None) -> Optional[dict[str, Any]]:
    """One class's curve of what is right and wrong at falling thresholds, of at
    most ``points`` points. ``ap`` is precision summed over the steps of recall
    unless it is given. None where there is nothing to find, or nothing was found."""
    import numpy as np

    if not support or not len(thresholds):
        return None
    hits, taken = np.cumsum(right), np.cumsum(right) + np.cumsum(wrong)
    precision, recall = hits / np.maximum(taken, 1), hits / support
    if ap is None:
        ap = float((precision * np.diff(recall, prepend=0)).sum())
    end = int(np.argmax(hits == hits[-1])) + 1 if hits[-1] == support else len(hits)  # after the last hit precision only falls
    return sampled(ap, np.asarray(thresholds)[:end], precision[:end], recall[:end], points)


def sampled(ap: float, thresholds: Any, precision: Any, recall: Any, points: int) -> dict[str, Any]:
    """A curve of at most ``points`` of its points."""
    import numpy as np

    kept = _thin(precision, recall, points)
    return {"ap": ap, "thresholds": np.round(thresholds[kept], 4).tolist(), "precision": np.round(precision[kept], 4).tolist(),
            "recall": np.round(recall[kept], 4).tolist()}


def _thin(precision: Any, recall: Any, n: int) -> Any:
    """Places of at most n points that lie evenly along the line, its ends among them."""
    import numpy as np

    if len(recall) <= n:
        return np.arange(len(recall))
    along = np.concatenate(([0.0], np.cumsum(np.abs(np.diff(recall)) + np.abs(np.diff(precision)))))
    return np.unique(np.minimum(np.searchsorted(along, np.linspace(0, along[-1], n)), len(recall) - 1))


def _array(values: Any) -> Any:
    import numpy as np

    return np.asarray(values.detach().float().cpu() if hasattr(values, "detach") else values)

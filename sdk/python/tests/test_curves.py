"""Precision-recall curves against scikit-learn's definitions and pycocotools."""

import pytest

np = pytest.importorskip("numpy", reason="numpy is not installed")

from platform_sdk.curves import Curves  # noqa: E402
from platform_sdk.detection_metrics import DetectionMetrics  # noqa: E402


def average_precision(scores, truth):
    """scikit-learn's average_precision_score: the sum over distinct scores of (R_n - R_n-1) P_n."""
    ap = recall = 0.0
    for threshold in sorted(set(scores), reverse=True):
        hits, taken = truth[scores >= threshold].sum(), (scores >= threshold).sum()
        ap += (hits / truth.sum() - recall) * hits / taken
        recall = hits / truth.sum()
    return ap


def test_classifier_curves():
    rng, n = np.random.default_rng(1), 500
    labels = rng.integers(0, 3, n)
    logits = (2 * rng.normal(size=(n, 4)) + 2 * np.eye(4)[labels]).astype(np.float32)
    curves = Curves(4)
    for at in range(0, n, 64):
        curves.add(logits[at:at + 64], labels[at:at + 64])
    found = curves.figures(["a", "b", "c", "d"])
    assert sorted(found) == ["a", "b", "c"]  # of d there is no sample
    wide = logits.astype(np.float64)
    probability = np.exp(wide) / np.exp(wide).sum(1, keepdims=True)
    for k, name in enumerate("abc"):
        curve, scores, truth = found[name], probability[:, k], labels == k
        assert curve["ap"] == pytest.approx(average_precision(scores, truth), abs=5e-3)
        assert 20 < len(curve["recall"]) <= 60 and curve["recall"][-1] == 1
        edges = 1 / (1 + np.exp(32 - np.arange(2048) / 32))
        for threshold, precision, recall in zip(curve["thresholds"], curve["precision"], curve["recall"]):
            near = [scores >= t for t in edges[np.abs(edges - threshold) < 6e-5]]  # a threshold is told with four digits
            assert any(abs((taken & truth).sum() / max(taken.sum(), 1) - precision) < 6e-5 and
                       abs((taken & truth).sum() / truth.sum() - recall) < 6e-5 for taken in near), (name, threshold)


def test_scikit_learns_example():
    curves, scores = Curves(2), np.array([0.1, 0.4, 0.35, 0.8])
    curves.add(np.stack([np.zeros(4), np.log(scores / (1 - scores))], 1), np.array([0, 0, 1, 1]))
    curve = curves.figures(["no", "yes"])["yes"]
    assert curve["ap"] == pytest.approx(0.5 + 0.5 * 2 / 3)
    assert curve["precision"] == [1.0, 0.5, 0.6667] and curve["recall"] == [0.5, 0.5, 1.0]
    assert curve["thresholds"] == pytest.approx([0.8, 0.4, 0.35], abs=0.01)


def test_what_is_no_number_is_the_least_likely():
    curves = Curves(2)
    curves.add(np.array([[np.nan, np.nan], [1000.0, -1000.0]]), np.array([1, 0]))
    found = curves.figures(["a", "b"])
    assert found["a"]["ap"] == 1 and found["b"]["thresholds"] == [0.0]


def test_detection_curve_is_cocos():
    """Interpolated at 101 recalls, the curve's precision is that which COCO's AP at 0.5 averages."""
    rng, m = np.random.default_rng(2), DetectionMetrics(["a"])
    for _ in range(30):
        truth = np.concatenate([rng.uniform(0, 50, (3, 2)), rng.uniform(60, 100, (3, 2))], 1)
        boxes = np.concatenate([truth + rng.normal(0, 8, truth.shape), np.concatenate([rng.uniform(0, 50, (2, 2)), rng.uniform(60, 100, (2, 2))], 1)])
        m.add(boxes, rng.uniform(0.1, 1, 5), np.zeros(5, int), truth, np.zeros(3, int))
    found = m.figures()
    curve = found["pr_curves"]["a"]
    assert curve["ap"] == found["per_class"]["a"]["map50"]
    precision, recall = np.array(curve["precision"]), np.array(curve["recall"])
    average = np.mean([precision[recall >= r - 1e-4].max(initial=0.0) for r in np.linspace(0, 1, 101)])
    assert average == pytest.approx(curve["ap"], abs=0.02)  # of at most 60 points
    assert recall[-1] < 1 and len(recall) <= 60

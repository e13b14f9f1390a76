"""Generated data for the framework adapters: shapes with boxes, outlines and corners."""

import json
import math
import os
import random
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest

SDK = Path(__file__).parents[2]
CLASSES = ["circle", "square", "triangle"]


def shapes(folder, counts=None, size=64, seed=5):
    """Writes images with one to three shapes each and their planned list; returns the list's path.
    Each object has its box, its outline and four keypoints: left, top, right, bottom."""
    from PIL import Image, ImageDraw

    rng, splits = random.Random(seed), {}
    for split, n in (counts or {"train": 12, "val": 6, "test": 4}).items():
        rows = []
        (folder / split).mkdir(parents=True, exist_ok=True)
        for i in range(n):
            image = Image.new("RGB", (size, size), tuple(rng.randrange(0, 90) for _ in range(3)))
            draw, boxes = ImageDraw.Draw(image), []
            for _ in range(rng.randrange(1, 4)):
                label, r = rng.randrange(3), rng.randrange(size // 10, size // 5)
                x, y = rng.randrange(r, size - r), rng.randrange(r, size - r)
                corners = {0: 16, 1: 4, 2: 3}[label]
                turn = math.pi / 4 if label == 1 else -math.pi / 2
                outline = [(x + r * math.cos(turn + 2 * math.pi * k / corners), y + r * math.sin(turn + 2 * math.pi * k / corners))
                           for k in range(corners)]
                draw.polygon(outline, fill=tuple(rng.randrange(130, 256) for _ in range(3)))
                xs, ys = [p[0] for p in outline], [p[1] for p in outline]
                x0, y0, x1, y1 = min(xs), min(ys), max(xs), max(ys)
                middle = ((x0 + x1) / 2, (y0 + y1) / 2)
                boxes.append({"l": label, "x": [x0, y0, x1 - x0, y1 - y0], "s": [[v for p in outline for v in p]],
                              "k": [x0, middle[1], 2, middle[0], y0, 2, x1, middle[1], 2, middle[0], y1, 2]})
            path = folder / split / f"{i:02d}.png"
            image.save(path)
            rows.append({"p": str(path), "l": 0, "w": size, "h": size, "b": boxes})
        splits[split] = rows
    index = {"name": "shapes", "format": "coco", "fingerprint": "sha256:0", "classes": CLASSES, "splits": splits,
             "keypoints": {"count": 4, "flip": [2, 1, 0, 3]}}
    (folder / "dataset.json").write_text(json.dumps(index))
    return folder / "dataset.json"


def one_shape(folder, counts=None, size=32, seed=6):
    """Writes images of one shape each, in folders by class, and their planned list."""
    from PIL import Image, ImageDraw

    rng, splits = random.Random(seed), {}
    for split, n in (counts or {"train": 8, "val": 4}).items():
        rows = []
        for label, name in enumerate(CLASSES):
            (folder / split / name).mkdir(parents=True, exist_ok=True)
            for i in range(n):
                image = Image.new("RGB", (size, size), tuple(rng.randrange(0, 90) for _ in range(3)))
                draw, x, y, r = ImageDraw.Draw(image), rng.randrange(10, size - 10), rng.randrange(10, size - 10), rng.randrange(6, 10)
                colour = tuple(rng.randrange(130, 256) for _ in range(3))
                if name == "circle":
                    draw.ellipse((x - r, y - r, x + r, y + r), fill=colour)
                elif name == "square":
                    draw.rectangle((x - r, y - r, x + r, y + r), fill=colour)
                else:
                    draw.polygon([(x, y - r), (x - r, y + r), (x + r, y + r)], fill=colour)
                path = folder / split / name / f"{i:02d}.png"
                image.save(path)
                rows.append({"p": str(path), "l": label})
        splits[split] = rows
    (folder / "dataset.json").write_text(json.dumps({"name": "one", "format": "imagefolder", "fingerprint": "sha256:0",
                                                     "classes": CLASSES, "splits": splits}))
    return folder / "dataset.json"


def real_data(name, tmp_path_factory):
    """A folder of RUNNER_TEST_DATA, unpacked; skips, saying so, where it is not."""
    root = os.environ.get("RUNNER_TEST_DATA")
    if not root or not Path(root, f"{name}.tar.gz").is_file():
        pytest.skip(f"RUNNER_TEST_DATA has no {name}.tar.gz")
    folder = tmp_path_factory.mktemp(name)
    with tarfile.open(Path(root, f"{name}.tar.gz")) as archive:
        archive.extractall(folder, filter="data")
    return folder / name


def step_task(folder, adapter, model, index, attempt, resume, config=None, task="object_detection", **train):
    """Writes the task of an attempt; returns its folder."""
    attempt_dir = folder / "run" / "attempts" / str(attempt)
    attempt_dir.mkdir(parents=True)
    config = config or {}
    whole = {"v": 1, "pipeline": "p", "address": "train.a", "run_id": "r", "job_id": 1, "attempt": attempt, "kind": "train", "adapter": adapter,
             "task": task, "run_dir": str(folder / "run"), "attempt_dir": str(attempt_dir), "resume": resume,
             "model": {"name": model, "image_size": 64},
             "dataset": {"name": "d", "format": "coco", "path": str(index.parent), "classes": CLASSES, "index_path": str(index)},
             "train": {"epochs": 4, "batch_size": 4, "learning_rate": 0.001, "seed": 3, "device": "cpu", "num_workers": 0,
                       "monitor": "accuracy" if task == "image_classification" else "map",
                       "mode": "max", "config": config, "written": sorted(config), "checkpoint": {}, **train}}
    (attempt_dir / "task.json").write_text(json.dumps(whole))
    return attempt_dir


def run_step(folder, kill_after=None):
    """Runs an attempt as the runner does, killed once its events hold a text; returns the events."""
    adapter = json.loads((folder / "task.json").read_text())["adapter"]
    process = subprocess.Popen([sys.executable, "-P", "-m", "platform_sdk.step", str(folder / "task.json"), "--adapter", f"platform_sdk.adapters.{adapter}"],
                               env={**os.environ, "PYTHONPATH": str(SDK)}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    spool = folder / "events.ndjson"
    if kill_after:
        deadline = time.time() + 400
        while time.time() < deadline and process.poll() is None and not (spool.exists() and kill_after in spool.read_text()):
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
    process.wait(400)
    return [json.loads(line) for line in spool.read_text().splitlines() if line.endswith("}")]


def losses(events):
    """The losses that an attempt reported, by epoch and split."""
    return {(e["metrics"]["epoch"], e["metrics"]["split"]): e["metrics"]["values"]["loss"] for e in events if e["type"] == "metrics"}


def check_resume(whole, first, second):
    """Losses of two attempts, one killed, are those of one that was not."""
    resumed = next(e["resumed"] for e in second if e["type"] == "resumed")
    kept = {k: v for k, v in losses(first).items() if k[0] <= resumed["epoch"]}
    assert resumed["epoch"] >= 1 and kept | losses(second) == losses(whole) and len(losses(whole)) == 8
    result = second[-1]["result"]
    assert result["state"] == "completed" and result["metrics"]["loss"] > 0 and sorted(result["per_class"]) == CLASSES


def check_parity(path, images, expected):
    """An exported file computes what the model did."""
    import numpy as np
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    got = session.run(None, {session.get_inputs()[0].name: images.numpy()})
    assert len(got) == len(expected)
    for a, b in zip(got, expected):
        np.testing.assert_allclose(a, b.numpy(), rtol=1e-3, atol=1e-3)


def bccd_index(folder, tmp_path_factory):
    """A planned list of a few real photographs with boxes."""
    root = real_data("bccd", tmp_path_factory)
    splits, classes = {}, []
    for split, n in (("train", 24), ("val", 8)):
        coco = json.loads((root / "coco" / f"{split}.json").read_text())
        classes = [c["name"] for c in sorted(coco["categories"], key=lambda c: c["id"])]
        label = {c["id"]: i for i, c in enumerate(sorted(coco["categories"], key=lambda c: c["id"]))}
        splits[split] = [{"p": str(root / "images" / split / i["file_name"]), "l": 0, "w": i["width"], "h": i["height"],
                          "b": [{"l": label[a["category_id"]], "x": a["bbox"]} for a in coco["annotations"] if a["image_id"] == i["id"]]}
                         for i in coco["images"][:n]]
    (folder / "dataset.json").write_text(json.dumps({"name": "bccd", "classes": classes, "splits": splits}))
    return folder / "dataset.json"

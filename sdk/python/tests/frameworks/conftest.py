"""Generated data for the framework adapters: shapes with boxes, outlines and corners."""

import json
import math
import os
import random
import sys
import tarfile
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

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


@pytest.fixture(scope="session")
def boxes_index(tmp_path_factory):
    return shapes(tmp_path_factory.mktemp("boxes"))


@pytest.fixture(scope="session")
def labels_index(tmp_path_factory):
    return one_shape(tmp_path_factory.mktemp("labels"))


def real_data(name, tmp_path_factory):
    """A folder of RUNNER_TEST_DATA, unpacked; skips, saying so, where it is not."""
    root = os.environ.get("RUNNER_TEST_DATA")
    if not root or not Path(root, f"{name}.tar.gz").is_file():
        pytest.skip(f"RUNNER_TEST_DATA has no {name}.tar.gz")
    folder = tmp_path_factory.mktemp(name)
    with tarfile.open(Path(root, f"{name}.tar.gz")) as archive:
        archive.extractall(folder, filter="data")
    return folder / name

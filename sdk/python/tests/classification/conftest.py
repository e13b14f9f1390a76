"""Tests that need torch; left out, saying so, where it is not installed."""

import random
import sys
from pathlib import Path

import pytest

try:
    import torch  # noqa: F401
    import torchvision  # noqa: F401
except ImportError as error:  # pragma: no cover - depends on the machine
    collect_ignore_glob = ["test_*.py"]
    print(f"torch tests left out: {error}")

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def dots(tmp_path):
    """Two classes that differ in where a bright square stands; 18 train and 7 val images of 16 px each."""
    from PIL import Image

    rng = random.Random(3)
    for split, n in (("train", 18), ("val", 7)):
        for name, left in (("left", True), ("right", False)):
            folder = tmp_path / "dots" / split / name
            folder.mkdir(parents=True)
            for i in range(n):
                image = Image.effect_noise((16, 16), 60).convert("RGB")
                x = rng.randrange(0, 5) + (0 if left else 8)
                image.paste((255, 40 if left else 200, 60), (x, 4, x + 4, 12))
                image.save(folder / f"{i:02d}.png")
    return tmp_path / "dots"

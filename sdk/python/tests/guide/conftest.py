"""The developer guide's own adapter and tests, as its reader would have them."""

import sys
from pathlib import Path

import pytest

try:
    import torch  # noqa: F401
    import torchvision  # noqa: F401
except ImportError as error:  # pragma: no cover - depends on the machine
    collect_ignore = ["test_myframework_adapter.py", "test_guide_step.py"]
    print(f"guide tests left out: {error}")

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def tiny_imagefolder(tmp_path):
    """Two classes of flat colours, 8 train and 4 val images of 32 px each."""
    from PIL import Image

    root = tmp_path / "dataset"
    for split, n in (("train", 8), ("val", 4)):
        for name, colour in (("blue", (20, 30, 200)), ("red", (200, 30, 20))):
            folder = root / split / name
            folder.mkdir(parents=True)
            for i in range(n):
                Image.new("RGB", (32, 32), tuple(min(255, c + 3 * i) for c in colour)).save(folder / f"{i}.png")
    return root

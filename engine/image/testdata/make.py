"""Makes the reference files of this folder with Pillow 13: pip install pillow numpy; python make.py"""
import hashlib
import json
from pathlib import Path

import numpy as np
from PIL import Image

here = Path(__file__).parent


def picture(width, height):
    """Must equal picture() in pillow_test.go."""
    y, x = np.mgrid[0:height, 0:width].astype(np.int64)
    r = (x * 7 + y * 13) % 256
    g = (x * x + y * 3) % 256
    b = ((x // 8 + y // 8) % 2) * 200 + (x + y) % 50
    return Image.fromarray(np.stack([r, g, b], -1).astype(np.uint8))


def quarters():
    m = Image.new("RGB", (64, 32), (255, 0, 0))
    m.paste((0, 255, 0), (32, 0, 64, 16))
    m.paste((0, 0, 255), (0, 16, 32, 32))
    m.paste((255, 255, 255), (32, 16, 64, 32))
    return m


def smooth(width, height):
    y, x = np.mgrid[0:height, 0:width] / 9.0
    channels = [128 + 90 * np.sin(x) * np.cos(y), 128 + 90 * np.cos(x + y), 128 + 90 * np.sin(2 * x - y)]
    return Image.fromarray(np.stack(channels, -1).astype(np.uint8))


def files():
    m = quarters()
    m.save(here / "lossy.webp", quality=90)
    m.save(here / "lossless.webp", lossless=True)
    alpha = m.copy()
    alpha.putalpha(128)
    alpha.save(here / "alpha.webp", quality=90, exact=True)
    m.save(here / "animated.webp", save_all=True, append_images=[Image.new("RGB", m.size)], duration=50, quality=90)
    m.convert("CMYK").save(here / "cmyk.jpg", quality=95)
    m.save(here / "progressive.jpg", progressive=True, quality=95)
    for name, subsampling in (("444", 0), ("422", 1), ("420", 2)):
        smooth(45, 37).save(here / f"smooth{name}.jpg", quality=85, subsampling=subsampling)
        Image.open(here / f"smooth{name}.jpg").convert("RGB").save(here / f"smooth{name}.png")


def digest(image):
    return hashlib.sha256(np.asarray(image).tobytes()).hexdigest()


def resizes():
    out = []
    for width, height in ((50, 37), (37, 50), (9, 9), (120, 20), (1, 1)):
        for w, h in ((16, 16), (32, 24), (37, 50), (64, 64), (50, 10), (3, 70)):
            for name, kind in (("bilinear", Image.BILINEAR), ("bicubic", Image.BICUBIC)):
                out.append({"from": [width, height], "to": [w, h], "filter": name, "sha256": digest(picture(width, height).resize((w, h), kind))})
    return out


def evals():
    """timm's evaluation transform: Resize of the shorter side, CenterCrop."""
    out = []
    for width, height in ((50, 37), (37, 50), (101, 60)):
        for size, pct in ((32, 0.875), (24, 1.0), (33, 0.95)):
            short = int(size // pct)
            w, h = (short, int(short * height / width)) if width <= height else (int(short * width / height), short)
            left, top = round((w - size) / 2), round((h - size) / 2)
            m = picture(width, height).resize((w, h), Image.BICUBIC).crop((left, top, left + size, top + size))
            out.append({"from": [width, height], "size": size, "crop_pct": pct, "sha256": digest(m)})
    return out


files()
(here / "pillow.json").write_text(json.dumps({"resize": resizes(), "eval": evals()}, indent=1) + "\n")

"""Writes crates/check/tests/check/phash.json: the hashes that imagehash 4.3.2 gives the drawings in examples/, their mirror
images, and pictures made by a formula in sizes that photographs have.

    pip install imagehash==4.3.2 && python oracle/check/phash_golden.py
"""

import json
from pathlib import Path

import imagehash
import numpy as np
from PIL import Image, ImageOps

ROOT = Path(__file__).resolve().parents[2]
SIZES = [(640, 480), (1000, 700), (333, 777), (64, 64), (31, 90)]


def formula(width, height):
    """The same whole numbers as in the test."""
    y, x = np.mgrid[0:height, 0:width].astype(np.int64)
    red = (x * x // 37 + y * 3) % 256
    green = (x * 5 + y * y // 53) % 256
    blue = (x * y // 101 + 7 * x) % 256
    return Image.fromarray(np.stack([red, green, blue], -1).astype(np.uint8))


def hashes(picture):
    return [str(imagehash.phash(picture)), str(imagehash.phash(ImageOps.mirror(picture)))]


found = {}
for path in sorted((ROOT / "examples").glob("*/*/*.png")):
    found[str(path.relative_to(ROOT))] = hashes(Image.open(path))
for width, height in SIZES:
    found[f"{width}x{height}"] = hashes(formula(width, height))
lines = [f" {json.dumps(name)}: {json.dumps(pair)}" for name, pair in found.items()]
(ROOT / "crates/check/tests/check/phash.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")

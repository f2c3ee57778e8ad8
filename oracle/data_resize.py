"""Reference pixels for crates/data: OpenCV and Pillow resizing, Pillow decoding, sd-scripts' bucket table.

Run: python oracle/data_resize.py CONFORMANCE_DIR   (writes crates/data/tests/golden; needs numpy, pillow, opencv)
Sources are made by a formula that tests/data/golden.rs repeats, so only results are stored, as lossless PNG.
"""
import json
import shutil
import sys
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageOps
from safetensors.numpy import load_file

OUT = Path(__file__).resolve().parent.parent / "crates/data/tests/golden"
# (source width, height) -> (target width, height); the first group shrinks (area), the second enlarges (Lanczos).
AREA = [((48, 40), (24, 20)), ((60, 45), (20, 15)), ((64, 48), (16, 48)), ((61, 47), (33, 29)), ((97, 31), (96, 31)),
        ((50, 70), (17, 70)), ((128, 96), (85, 64)), ((41, 37), (1, 1)), ((200, 130), (96, 62))]
LANCZOS = [((20, 16), (40, 32)), ((17, 23), (50, 41)), ((30, 30), (45, 20)), ((9, 5), (64, 33)), ((40, 33), (41, 33))]


def formula(width, height):
    """A hash of position and channel, mixed with a slope so that the picture is not pure noise."""
    y, x, c = np.meshgrid(np.arange(height), np.arange(width), np.arange(3), indexing="ij")
    h = (x * 73856093) ^ (y * 19349663) ^ (c * 83492791)
    h = (h ^ (h >> 13)) * 1274126177 & 0xFFFFFFFF
    noise = (h >> 16) & 0xFF
    slope = (x * 255 // max(width - 1, 1) + y * 255 // max(height - 1, 1)) // 2
    return np.where((x // 8 + y // 8) % 2 == 0, noise, slope).astype(np.uint8)


def resized():
    for kind, cases in (("area", AREA), ("lanczos", LANCZOS)):
        for source, target in cases:
            image = formula(*source)
            if kind == "area":
                result = cv2.resize(image, target, interpolation=cv2.INTER_AREA)
            else:
                result = np.array(Image.fromarray(image).resize(target, Image.Resampling.LANCZOS))
            name = f"{kind}_{source[0]}x{source[1]}_{target[0]}x{target[1]}.png"
            Image.fromarray(result).save(OUT / "resize" / name, optimize=True)


def decoded():
    """Small files of every kind, and what Pillow makes of them (`convert("RGB")`, after EXIF rotation)."""
    folder = OUT / "decode"
    rgb = Image.fromarray(cv2.GaussianBlur(formula(36, 20), (0, 0), 1.5))
    alpha = rgb.copy()
    alpha.putalpha(Image.fromarray(np.tile(np.arange(36, dtype=np.uint8) * 7, (20, 1))))
    exif = Image.Exif()
    exif[0x0112] = 6
    palette = rgb.quantize(16)
    wide = np.array(rgb).astype(np.uint16) * 257 // 2 + 77
    files = {
        "rgb.png": lambda p: rgb.save(p), "rgba.png": lambda p: alpha.save(p),
        "grey.png": lambda p: rgb.convert("L").save(p),
        "grey_alpha.png": lambda p: alpha.convert("LA").save(p), "bilevel.png": lambda p: rgb.convert("1").save(p),
        "palette.png": lambda p: palette.save(p), "palette_transparent.png": lambda p: palette.save(p, transparency=0),
        "rgb16.png": lambda p: cv2.imwrite(str(p), wide[:, :, ::-1]),
        "rgb.jpg": lambda p: rgb.save(p, quality=92), "rgb_444.jpg": lambda p: rgb.save(p, quality=95, subsampling=0),
        "progressive.jpg": lambda p: rgb.save(p, quality=90, progressive=True),
        "grey.jpg": lambda p: rgb.convert("L").save(p), "cmyk.jpg": lambda p: rgb.convert("CMYK").save(p, quality=95),
        "turned.jpg": lambda p: rgb.save(p, exif=exif, quality=95, subsampling=0),
        "lossless.webp": lambda p: rgb.save(p, lossless=True), "lossy.webp": lambda p: rgb.save(p, quality=90),
        "alpha.webp": lambda p: alpha.save(p, lossless=True, exact=True), "rgb.bmp": lambda p: rgb.save(p),
    }
    for name, save in files.items():
        save(folder / name)
        with Image.open(folder / name) as image:
            ImageOps.exif_transpose(image).convert("RGB").save(folder / f"{name}.expected.png", optimize=True)
    # Pillow clips 16-bit grey at 255; the test checks the high byte instead.
    Image.fromarray(wide[:, :, 1]).save(folder / "grey16.png")
    Image.fromarray((wide[:, :, 1] >> 8).astype(np.uint8)).convert("RGB").save(folder / "grey16.png.expected.png")


def conformance(pack):
    tables = pack / "open/tables"
    tensors = load_file(tables / "images.safetensors")
    for row in json.loads((tables / "images.json").read_text()):
        name = row["tensor"].replace("/", "_")
        if name in ("sq_00", "sq_02", "ar_00", "ar_01", "ar_05"):
            shutil.copyfile(pack / row["file"], OUT / "images" / f"{name}.png")
            expected = Image.fromarray(tensors[row["tensor"]].transpose(1, 2, 0))
            expected.save(OUT / "images" / f"{name}.expected.png", optimize=True)
    lines = []
    for table in json.loads((tables / "buckets_open.json").read_text()):
        s = table["settings"]
        limits = [s["min_bucket_reso"], s["max_bucket_reso"], s["bucket_reso_steps"], int(s["no_upscale"])]
        lines.append(" ".join(map(str, ["settings", *s["resolution"], *limits, *table["effective_min_max"]])))
        lines.append(" ".join(["sizes", *(f"{w}x{h}" for w, h in table["predefined"])]))
        for r in table["rows"]:
            assert "error" not in r
            numbers = [*r["image"], *r["bucket"], *r["resized"], *r["crop_xy"], *r["crop_ltrb"], r["ar_error"]]
            lines.append(" ".join(f"{n:.9g}" if isinstance(n, float) else str(n) for n in numbers))
    (OUT / "buckets.txt").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    for folder in ("resize", "decode", "images"):
        (OUT / folder).mkdir(parents=True, exist_ok=True)
    resized()
    decoded()
    conformance(Path(sys.argv[1]))

"""What Pillow and OpenCV make of random images, for crates/pixels/tests.

    pip install numpy==1.26.4 pillow==9.5.0 opencv-python-headless==4.8.1.78
    python oracle/pixels_golden.py

Pillow and OpenCV are those that the web UI pins: later Pillow resizes in another order.
"""

import json
import struct
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageFilter

PLACE = Path(__file__).parent.parent / "crates/pixels/tests/golden/random.safetensors"
PILLOW = {"box": Image.BOX, "bilinear": Image.BILINEAR, "bicubic": Image.BICUBIC, "lanczos": Image.LANCZOS, "nearest": Image.NEAREST}
OPENCV = {"area": cv2.INTER_AREA, "cubic": cv2.INTER_CUBIC, "linear": cv2.INTER_LINEAR, "nearest": cv2.INTER_NEAREST}
# Height, width of the source and of the target; radius of a blur.
SIZES = [(1, 1, 3, 2, 1.0), (13, 21, 30, 9, 4.0), (24, 10, 7, 17, 0.5), (2, 19, 12, 12, 30.0), (16, 16, 8, 4, 2.0)]

random = np.random.default_rng(1)
tensors = {}


def rgba(height, width):
    image = random.integers(0, 256, (height, width, 4)).astype(np.uint8)
    image[..., 3][random.random((height, width)) < 0.3] = 0
    return image


for case, (height, width, new_height, new_width, radius) in enumerate(SIZES):
    image = random.integers(0, 256, (height, width, 3)).astype(np.uint8)
    pillow = Image.fromarray(image)
    made = {"image": image, "gray": np.array(pillow.convert("L"))[..., None]}
    for name, kind in PILLOW.items():
        made[f"pillow_{name}"] = np.array(pillow.resize((new_width, new_height), kind))
    made[f"pillow_blur_{radius}"] = np.array(pillow.filter(ImageFilter.GaussianBlur(radius)))
    for name, kind in OPENCV.items():
        made[f"opencv_{name}"] = cv2.resize(image, (new_width, new_height), interpolation=kind)
    made[f"opencv_blur_{radius}"] = cv2.GaussianBlur(image, (0, 0), radius)
    made["canny"] = cv2.Canny(image, 60, 180)[..., None]
    made["otsu"] = cv2.threshold(image[..., 0].copy(), 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)[1][..., None]
    made["lab"] = cv2.cvtColor(image, cv2.COLOR_RGB2LAB)
    made["unlab"] = cv2.cvtColor(image, cv2.COLOR_LAB2RGB)
    below, above = rgba(height, width), rgba(height, width)
    over = Image.fromarray(above, "RGBA")
    made |= {"below": below, "above": above}
    made["alpha_composite"] = np.array(Image.alpha_composite(Image.fromarray(below, "RGBA"), over))
    made["straight"] = np.array(over.convert("RGBa").convert("RGBA"))
    white = Image.new("RGBA", (width, height), "#ffffff")
    white.paste(over, mask=over)
    made["flattened"] = np.array(white.convert("RGB"))
    tensors |= {f"{case}.{name}": np.ascontiguousarray(value) for name, value in made.items()}

header, body = {}, b""
for name, value in tensors.items():
    data = value.tobytes()
    header[name] = {"dtype": "U8", "shape": list(value.shape), "data_offsets": [len(body), len(body) + len(data)]}
    body += data
text = json.dumps(header).encode()
text += b" " * (-len(text) % 8)
PLACE.parent.mkdir(parents=True, exist_ok=True)
PLACE.write_bytes(struct.pack("<Q", len(text)) + text + body)

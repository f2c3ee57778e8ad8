"""Checkpoints with the real sizes of SD1.5 and SDXL and random weights, made where they are needed.

Usage: python kernels/checkpoints.py OUT_FOLDER sd15 sdxl [--device cuda] [--images 512 1024]
For time and memory, not for pictures; fp16. Writes OUT_FOLDER/sd15.safetensors, the folder OUT_FOLDER/sdxl in diffusers'
layout, and folders of noise with captions, OUT_FOLDER/images-512/10_noise. Names and shapes lie in `shapes/`. Needs torch,
safetensors and, for the images, Pillow; no diffusers.
"""

import argparse
import gzip
import json
import pathlib

import torch
from safetensors.torch import save_file

SHAPES = pathlib.Path(__file__).with_name("shapes")


def tensor(name, shape, device):
    """Weights that keep activations near 1."""
    if name.endswith("position_ids"):
        return torch.arange(shape[-1]).expand(shape).contiguous()
    if len(shape) > 1:
        fan_in = 1
        for side in shape[1:]:
            fan_in *= side
        values = torch.randn(shape, device=device) / fan_in**0.5
    elif name.endswith("bias"):
        values = torch.zeros(shape)
    else:
        values = torch.ones(shape)
    return values.to(torch.float16).cpu()


def checkpoint(name, out, device):
    """All files of one checkpoint."""
    with gzip.open(SHAPES / f"{name}.json.gz") as file:
        files = json.load(file)
    single = len(files) == 1
    folder = out if single else out / name
    for file, shapes in files.items():
        path = folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file({key: tensor(key, shape, device) for key, shape in shapes.items()}, path)
        print(path, path.stat().st_size)
    if not single:
        index = {"_class_name": "StableDiffusionXLPipeline"}
        (folder / "model_index.json").write_text(json.dumps(index), encoding="utf-8")


def images(size, out):
    """Eight images of noise."""
    from PIL import Image

    folder = out / f"images-{size}" / "10_noise"
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(8):
        pixels = torch.randint(0, 256, (size, size, 3), dtype=torch.uint8)
        Image.frombytes("RGB", (size, size), bytes(pixels.flatten().tolist())).save(folder / f"{number}.png")
        (folder / f"{number}.txt").write_text(f"noise, number {number}", encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("names", nargs="*", choices=["sd15", "sdxl", []])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--images", nargs="*", type=int, default=[])
    args = parser.parse_args()
    torch.manual_seed(0)
    args.out.mkdir(parents=True, exist_ok=True)
    for size in args.images:
        images(size, args.out)
    for name in args.names:
        checkpoint(name, args.out, args.device)


if __name__ == "__main__":
    main()

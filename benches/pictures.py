"""Latents of an image, and a step of painting, in lorabake and PyTorch in turn: medians and ratios.

Usage: python benches/pictures.py LORABAKE VAE_BENCH CHECKPOINT [--rounds 3] [--size 512] [--threads 2] [--precision bf16 f32]
LORABAKE is the program, VAE_BENCH the bench of that name (`cargo bench --workspace --bench vae --no-run` names it),
CHECKPOINT one of SD1.5's size (oracle/full_size.py). Latents: one image through the encoder. Painting: one step of DDIM with
guidance, two passes of the UNet; lorabake's is the time of a picture with 8 steps less that of one with 2, divided by 6.
"""

import argparse
import contextlib
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "oracle"))
import ldm  # noqa: E402

FEW, MANY = 2, 8


def lorabake_latents(args, precision):
    word = {"f32": "no"}.get(precision, precision)
    command = [args.vae_bench, args.checkpoint, "encode", str(args.size), word, str(args.threads)]
    found = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    return float(re.search(r": ([0-9.]+) s", found)[1])


def lorabake_step(args, precision):
    def picture(steps):
        with tempfile.TemporaryDirectory() as out:
            command = [args.lorabake, "generate", "--pretrained_model_name_or_path", args.checkpoint, "--out", out]
            command += ["--prompt", "a fox", "--width", str(args.size), "--height", str(args.size), "--seed", "1"]
            command += ["--steps", str(steps), "--cfg_scale", "7", "--threads", str(args.threads)]
            command += ["--mixed_precision", {"f32": "no"}.get(precision, precision)]
            start = time.perf_counter()
            subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
            return time.perf_counter() - start

    return (picture(MANY) - picture(FEW)) / (MANY - FEW)


class PyTorch:
    """Its networks in one precision."""

    def __init__(self, checkpoint, precision):
        state = ldm.read(checkpoint)
        sizes = ldm.sizes_of(state)
        dtype = torch.bfloat16 if precision == "bf16" else torch.float32
        self.vae, self.unet = ldm.load_vae(state, sizes).to(dtype), ldm.load_unet(state, sizes).to(dtype)
        half = precision == "bf16"
        self.cast = (lambda: torch.autocast("cpu", torch.bfloat16)) if half else contextlib.nullcontext

    def time(self, work):
        with torch.no_grad(), self.cast():
            start = time.perf_counter()
            work()
            return time.perf_counter() - start

    def latents(self, size):
        image = torch.rand(1, 3, size, size) * 2 - 1
        return self.time(lambda: self.vae.encode(image.to(self.vae.dtype)))

    def step(self, size):
        latents, context = torch.randn(2, 4, size // 8, size // 8), torch.randn(2, 77, 768)
        return self.time(lambda: self.unet(latents.to(self.unet.dtype), torch.tensor(500), context.to(self.unet.dtype)))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("lorabake", "vae_bench", "checkpoint"):
        parser.add_argument(name)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--precision", nargs="+", choices=["bf16", "f32"], default=["bf16", "f32"])
    args = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = str(args.threads)
    torch.set_num_threads(args.threads)
    print(f"{args.size} x {args.size}, {args.threads} threads\n")
    print("| | lorabake s | PyTorch s | lorabake / PyTorch |\n|---|---|---|---|")
    for precision in args.precision:
        torch_side = PyTorch(args.checkpoint, precision)
        torch_side.latents(64), torch_side.step(64)
        rows = {
            "latents of an image": (lambda: lorabake_latents(args, precision), lambda: torch_side.latents(args.size)),
            "a step of painting": (lambda: lorabake_step(args, precision), lambda: torch_side.step(args.size)),
        }
        for name, programs in rows.items():
            times = [[run() for run in programs] for _ in range(args.rounds)]
            ours, theirs = (statistics.median(column) for column in zip(*times))
            print(f"| {name}, {precision} | {ours:.2f} | {theirs:.2f} | {ours / theirs:.2f} |", flush=True)


if __name__ == "__main__":
    main()

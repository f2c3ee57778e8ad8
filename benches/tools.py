"""Merging, resizing and extracting LoRAs in lorabake and as sd-scripts does it in PyTorch: seconds, ratios, memory.

Usage: python benches/tools.py LORABAKE CHECKPOINT FOLDER [--rank 64] [--rounds 3] [--threads 2]
CHECKPOINT is one of SD1.5's or SDXL's size in the original layout (oracle/full_size.py; oracle/sdxl.py, and `lorabake
convert`). FOLDER takes what is made of it: a LoRA of random numbers, and the checkpoint with a change of low rank,
which are twice the checkpoint's size and deleted at the end.

PyTorch's side is what merge_lora.py, resize_lora.py and extract_lora_from_models.py of sd-scripts compute: all of a
model in memory and one product a module for merging; one singular value decomposition of the whole product, or
difference, a module for the others, with the whole second matrix as theirs asks for. Reading and writing files
counts. Of matrices of one shape PyTorch decomposes one a round and counts it for all, since the rest would take an
hour; merging is done whole.
"""

import argparse
import collections
import os
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

UNET = "model.diffusion_model."
TEXT = ("cond_stage_model.transformer.", "conditioner.embedders.0.transformer.")
LAYER = re.compile(
    r"(proj_(in|out)|attn[12]\.to_([qkv]|out\.0)|ff\.net\.(0\.proj|2)|self_attn\.\w+|mlp\.fc[12])\.weight$"
)


def module_name(key, is_xl):
    """kohya's name of a layer, if sd-scripts' LoRAs have one there."""
    if not LAYER.search(key):
        return None
    for prefix in TEXT:
        if key.startswith(prefix):
            return ("lora_te1_" if is_xl else "lora_te_") + key[len(prefix) : -len(".weight")].replace(".", "_")
    if not key.startswith(UNET):
        return None
    name = key[len(UNET) : -len(".weight")]
    if not is_xl:
        place = re.match(r"(input|output)_blocks\.(\d+)\.1\.", name)
        if place:
            block = int(place[2]) - (place[1] == "input")
            side = "down" if place[1] == "input" else "up"
            name = f"{side}_blocks.{block // 3}.attentions.{block % 3}.{name[place.end():]}"
        else:
            name = name.replace("middle_block.1.", "mid_block.attentions.0.")
    return "lora_unet_" + name.replace(".", "_")


def make(args):
    """A LoRA, and the checkpoint with a change of low rank and a little of full rank in its layers."""
    torch.manual_seed(0)
    lora, tuned = {}, {}
    with safe_open(args.checkpoint, "pt") as file:
        is_xl = any(key.startswith("conditioner.") for key in file.keys())
        for key in file.keys():
            weight = file.get_tensor(key)
            name = module_name(key, is_xl)
            if name:
                rows, columns = weight.shape[0], weight[0].numel()
                tail = weight.shape[2:]
                down = torch.randn(args.rank, columns) / columns**0.5
                up = torch.randn(rows, args.rank) * 0.9 ** torch.arange(args.rank) * 0.05
                lora[name + ".lora_down.weight"] = down.reshape(args.rank, -1, *tail).half()
                lora[name + ".lora_up.weight"] = up.reshape(rows, args.rank, *[1 for _ in tail]).half()
                lora[name + ".alpha"] = torch.tensor(args.rank / 2).half()
                change = up @ down + 1e-3 * torch.randn(rows, columns) / columns**0.5
                weight = (weight.float() + change.reshape(weight.shape)).to(weight.dtype)
            tuned[key] = weight
    save_file(lora, args.folder / "lora.safetensors", {"ss_base_model_version": "sdxl_base_v1-0" if is_xl else "sd_v1"})
    save_file(tuned, args.folder / "tuned.safetensors")
    return is_xl


def ours(args, *words):
    """Seconds and megabytes at the peak of a command, which `time` measures: a child of ours begins with our own peak."""
    command = [args.lorabake, *map(str, words), "--output", str(args.folder / "ours.safetensors"), "--overwrite"]
    environment = {**os.environ, "RAYON_NUM_THREADS": str(args.threads)}
    start = time.perf_counter()
    done = subprocess.run(["/usr/bin/time", "-f", "%M", *command], capture_output=True, text=True, env=environment)
    seconds = time.perf_counter() - start
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}: {done.stderr}")
    return seconds, int(done.stderr.split()[-1]) / 1024


def matrix(weight):
    return weight.float().reshape(weight.shape[0], -1)


def torch_merge(args, is_xl):
    """merge_lora.py: the model, and the model with the LoRA, in memory."""
    start = time.perf_counter()
    model, lora = load_file(args.checkpoint), load_file(args.folder / "lora.safetensors")
    for key, weight in model.items():
        name = module_name(key, is_xl)
        if name:
            down, up = matrix(lora[name + ".lora_down.weight"]), matrix(lora[name + ".lora_up.weight"])
            scale = lora[name + ".alpha"].float().item() / down.shape[0]
            model[key] = (weight.float() + 0.8 * scale * (up @ down).reshape(weight.shape)).to(weight.dtype)
    save_file(model, args.folder / "theirs.safetensors")
    return time.perf_counter() - start


def decomposed(whole, rank):
    u, s, v = torch.linalg.svd(whole)
    return u[:, :rank] @ torch.diag(s[:rank]), v[:rank]


def by_shape(work):
    """Seconds of all modules, of which one of each shape is worked on."""
    seconds = 0.0
    for count, run in work:
        start = time.perf_counter()
        run()
        seconds += count * (time.perf_counter() - start)
    return seconds


def torch_resize(args):
    lora = load_file(args.folder / "lora.safetensors")
    shapes = collections.defaultdict(list)
    for key, up in lora.items():
        if key.endswith(".lora_up.weight"):
            down = lora[key.replace("lora_up", "lora_down")]
            shapes[matrix(up).shape[0], matrix(down).shape[1]].append((up, down))
    return by_shape(
        (len(own), lambda own=own: decomposed(matrix(own[0][0]) @ matrix(own[0][1]), args.rank // 4))
        for own in shapes.values()
    )


def torch_extract(args, is_xl):
    shapes = collections.defaultdict(list)
    with safe_open(args.checkpoint, "pt") as base, safe_open(args.folder / "tuned.safetensors", "pt") as tuned:
        for key in base.keys():
            if module_name(key, is_xl):
                shapes[tuple(base.get_slice(key).get_shape())].append(key)
        work = []
        for keys in shapes.values():

            def run(key=keys[0]):
                decomposed(matrix(tuned.get_tensor(key)) - matrix(base.get_tensor(key)), args.rank)

            work.append((len(keys), run))
        return by_shape(work)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("lorabake")
    parser.add_argument("checkpoint")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rank", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    args.folder.mkdir(parents=True, exist_ok=True)
    is_xl = make(args)
    lora, tuned = args.folder / "lora.safetensors", args.folder / "tuned.safetensors"
    works = {
        "merge": (
            lambda: ours(args, "merge", f"{lora}:0.8", "--into", args.checkpoint),
            lambda: torch_merge(args, is_xl),
        ),
        "resize": (lambda: ours(args, "resize", lora, "--rank", args.rank // 4), lambda: torch_resize(args)),
        "extract": (
            lambda: ours(args, "extract", "--base", args.checkpoint, "--tuned", tuned, "--rank", args.rank),
            lambda: torch_extract(args, is_xl),
        ),
    }
    print(f"{'':10}{'lorabake':>10}{'PyTorch':>10}{'ratio':>8}{'our peak':>12}")
    for name, (own, their) in works.items():
        found = []
        for _ in range(args.rounds):
            seconds, peak = own()
            found.append((seconds, their(), peak))
        own, their, peak = (statistics.median(column) for column in zip(*found))
        print(f"{name:10}{own:10.2f}{their:10.2f}{own / their:8.3f}{peak:9.0f} MB", flush=True)
    for name in ["tuned", "ours", "theirs", "lora"]:
        (args.folder / f"{name}.safetensors").unlink(missing_ok=True)


if __name__ == "__main__":
    main()

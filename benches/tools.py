"""Merging, resizing and extracting LoRAs in lorabake and as sd-scripts does it in PyTorch: seconds, ratios, memory.

Usage: python benches/tools.py LORABAKE CHECKPOINT FOLDER [--rank 64] [--rounds 5] [--threads 2] [--only merge]
       [--sd_scripts FOLDER_OF_SD_SCRIPTS]
CHECKPOINT is one of SD1.5's or SDXL's size in the original layout (oracle/full_size.py; oracle/sdxl.py, and `lorabake
convert`). FOLDER takes what is made of it: a LoRA of random numbers, and the checkpoint with a change of low rank,
which are twice the checkpoint's size and deleted at the end.

PyTorch's side is what merge_lora.py, resize_lora.py and extract_lora_from_models.py of sd-scripts compute: all of a
model in memory and one product a module for merging; one singular value decomposition of the whole product, or
difference, a module for the others, with the whole second matrix as theirs asks for. Reading and writing files
counts, starting PyTorch does not. Of matrices of one shape PyTorch decomposes one a round and counts it for all, since
the rest would take an hour; merging is done whole. With --sd_scripts its own merge_lora.py or sdxl_merge_lora.py runs
too, as a user starts it.

Programs run in turn, so that another program's load meets all of them; processor seconds (user and system) stand beside
those of the clock, since a load disturbs them less. Numbers are medians; ours flushes its file to the disk, PyTorch's
does not.
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

Run = collections.namedtuple("Run", ["seconds", "processor", "peak"])

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


def timed(command, environment):
    """A program's seconds by the clock and of the processor, and megabytes at its peak."""
    command = [str(word) for word in command]
    timed = ["/usr/bin/time", "-f", "%e %U %S %M", *command]
    done = subprocess.run(timed, capture_output=True, text=True, env={**os.environ, **environment})
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}: {done.stderr}")
    seconds, user, system, peak = map(float, done.stderr.split()[-4:])
    return Run(seconds, user + system, peak / 1024)


def ours(args, *words):
    command = [args.lorabake, *words, "--output", args.folder / "ours.safetensors", "--overwrite"]
    return timed(command, {"RAYON_NUM_THREADS": str(args.threads)})


def sd_scripts_merge(args, is_xl):
    """sd-scripts' own program, from its start to its end."""
    script = Path(args.sd_scripts, "networks", "sdxl_merge_lora.py" if is_xl else "merge_lora.py")
    files = ["--sd_model", args.checkpoint, "--models", args.folder / "lora.safetensors"]
    result = ["--save_to", args.folder / "theirs.safetensors", "--save_precision", "fp16"]
    paths = os.pathsep.join(filter(None, [args.sd_scripts, os.environ.get("PYTHONPATH")]))
    environment = {"PYTHONPATH": paths, "OMP_NUM_THREADS": str(args.threads)}
    return timed([sys.executable, script, *files, "--ratios", "0.8", *result], environment)


def measured(work):
    """Seconds by the clock and of the processor of what is done in this process."""
    before = os.times()
    start = time.perf_counter()
    found = work()
    seconds = time.perf_counter() - start
    after = os.times()
    processor = after.user + after.system - before.user - before.system
    # Work that is counted several times says its seconds itself.
    return Run(found, processor * found / seconds, None) if found is not None else Run(seconds, processor, None)


def matrix(weight):
    return weight.float().reshape(weight.shape[0], -1)


def torch_merge(args, is_xl):
    """merge_lora.py's arithmetic: the model, and the model with the LoRA, in memory."""
    model, lora = load_file(args.checkpoint), load_file(args.folder / "lora.safetensors")
    for key, weight in model.items():
        name = module_name(key, is_xl)
        if name:
            down, up = matrix(lora[name + ".lora_down.weight"]), matrix(lora[name + ".lora_up.weight"])
            scale = lora[name + ".alpha"].float().item() / down.shape[0]
            model[key] = (weight.float() + 0.8 * scale * (up @ down).reshape(weight.shape)).to(weight.dtype)
    save_file(model, args.folder / "theirs.safetensors")


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


def median(runs, what):
    return statistics.median(getattr(run, what) for run in runs)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("lorabake")
    parser.add_argument("checkpoint")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rank", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", choices=["merge", "resize", "extract"])
    parser.add_argument("--sd_scripts", help="a copy of sd-scripts, whose merge is timed too")
    parser.add_argument("--without_pytorch", action="store_true", help="times lorabake alone")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    args.folder.mkdir(parents=True, exist_ok=True)
    is_xl = make(args)
    lora, tuned = args.folder / "lora.safetensors", args.folder / "tuned.safetensors"
    pair = ["--base", args.checkpoint, "--tuned", tuned]
    works = {
        "merge": [
            ("lorabake", lambda: ours(args, "merge", f"{lora}:0.8", "--into", args.checkpoint)),
            ("PyTorch", lambda: measured(lambda: torch_merge(args, is_xl))),
        ],
        "resize": [
            ("lorabake", lambda: ours(args, "resize", lora, "--rank", args.rank // 4)),
            ("PyTorch", lambda: measured(lambda: torch_resize(args))),
        ],
        "extract": [
            ("lorabake", lambda: ours(args, "extract", *pair, "--rank", args.rank)),
            ("PyTorch", lambda: measured(lambda: torch_extract(args, is_xl))),
        ],
    }
    if args.without_pytorch:
        works = {name: programs[:1] for name, programs in works.items()}
    if args.sd_scripts:
        works["merge"].append(("sd-scripts", lambda: sd_scripts_merge(args, is_xl)))
    print(f"{'':10}{'':12}{'seconds':>10}{'processor':>12}{'peak':>10}{'ours / it':>20}")
    for name, programs in works.items():
        if args.only not in (None, name):
            continue
        found = {program: [] for program, _ in programs}
        for _ in range(args.rounds):
            for program, run in programs:
                found[program].append(run())
        own = found["lorabake"]
        for program, runs in found.items():
            line = f"{name:10}{program:12}{median(runs, 'seconds'):10.2f}{median(runs, 'processor'):12.2f}"
            peak = f"{max(run.peak for run in runs):7.0f} MB" if runs[0].peak else ""
            ratios = [
                statistics.median(getattr(mine, what) / getattr(its, what) for mine, its in zip(own, runs))
                for what in ("seconds", "processor")
            ]
            print(f"{line}{peak:>10}{ratios[0]:10.3f}{ratios[1]:10.3f}", flush=True)
    for name in ["tuned", "ours", "theirs", "lora"]:
        (args.folder / f"{name}.safetensors").unlink(missing_ok=True)


if __name__ == "__main__":
    main()

"""The parts of painting a picture in lorabake and PyTorch in turn: medians and ratios.

Usage: python benches/pictures.py LORABAKE VAE_BENCH CHECKPOINT [--rounds 3] [--size 512] [--threads 2] [--precision bf16]
       [--compile]
LORABAKE is the program, VAE_BENCH the bench of that name (`cargo bench --workspace --bench vae --no-run` names it),
CHECKPOINT one of SD1.5's size (oracle/full_size.py). Two texts, a picture's latents and decoding are one pass each; our
texts include reading the weights from the file, as in painting. A step is one of Euler with guidance, two passes of the
UNet. From start to the first step: a process that reads the checkpoint and encodes prompt and negative prompt; PyTorch's
imports torch and diffusers and builds its networks without initialising them. With --compile PyTorch's UNet and VAE go through
torch.compile, which takes minutes before the first round and is not counted.
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
from safetensors.torch import load_file  # noqa: E402

STEPS = 4
OUR_PRECISION = {"f32": "no", "bf16": "bf16"}
TORCH_DTYPE = {"f32": torch.float32, "bf16": torch.bfloat16}


def lorabake_pass(args, precision, what):
    """Seconds of one pass of a network alone: encode, decode or text."""
    command = [args.vae_bench, args.checkpoint, what, str(args.size), OUR_PRECISION[precision], str(args.threads)]
    found = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    return float(re.search(r": ([0-9.]+) s", found)[1])


def lorabake_picture(args, precision):
    """Seconds until the first step, of a step, and from the last step to the end, of one picture."""
    with tempfile.TemporaryDirectory() as out:
        command = [args.lorabake, "generate", "--pretrained_model_name_or_path", args.checkpoint]
        command += ["--out", f"{out}/fox.png", "--preview", "1", "--prompt", "a fox", "--seed", "1"]
        command += ["--sampler", "Euler"]
        command += ["--width", str(args.size), "--height", str(args.size), "--steps", str(STEPS), "--cfg_scale", "7"]
        command += ["--mixed_precision", OUR_PRECISION[precision], "--threads", str(args.threads)]
        start = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        # A preview is written after each step, as a new file.
        preview, seen, times = Path(out, "fox.preview.png"), None, []
        while process.poll() is None:
            with contextlib.suppress(FileNotFoundError):
                now = preview.stat()
                if (now.st_ino, now.st_mtime_ns) != seen:
                    seen = (now.st_ino, now.st_mtime_ns)
                    times.append(time.perf_counter() - start)
            time.sleep(0.01)
        end = time.perf_counter() - start
    if process.returncode != 0 or len(times) != STEPS:
        sys.exit(f"{' '.join(command)}: exit status {process.returncode}, {len(times)} of {STEPS} steps seen")
    step = (times[-1] - times[0]) / (STEPS - 1)
    return {"start": times[0] - step, "step": step, "end": end - times[-1]}


def assigned(new, weights, dtype):
    """A network that holds `weights`, without numbers of its own before."""
    with torch.device("meta"):
        model = new()
    model.load_state_dict(weights, strict=False, assign=True)
    for name, buffer in list(model.named_buffers()):
        if buffer.is_meta:
            owner = model.get_submodule(name.rpartition(".")[0])
            owner.register_buffer(name.rpartition(".")[2], torch.arange(buffer.numel()).reshape(buffer.shape))
    return model.to(dtype).requires_grad_(False)


class PyTorch:
    """Its networks in one precision."""

    def __init__(self, checkpoint, precision, compiled=False):
        state = load_file(checkpoint)
        sizes = ldm.sizes_of(state)
        dtype = TORCH_DTYPE[precision]
        config = {"layers_per_block": 2}
        unet = ldm.convert_ldm_unet_checkpoint(dict(state), config)
        vae = ldm.convert_ldm_vae_checkpoint(dict(state), {"down_block_types": [""] * 4, "up_block_types": [""] * 4})
        self.unet = assigned(lambda: ldm.new_unet(sizes), unet, dtype)
        self.vae = assigned(lambda: ldm.new_vae(sizes), vae, dtype)
        self.text = assigned(lambda: ldm.new_text(sizes), ldm.convert_ldm_clip_checkpoint(dict(state)), dtype)
        self.dtype = dtype
        if compiled:
            self.unet.forward = torch.compile(self.unet.forward)
            self.vae.encoder.forward = torch.compile(self.vae.encoder.forward)
            self.vae.decoder.forward = torch.compile(self.vae.decoder.forward)

    def time(self, work):
        with torch.inference_mode():
            start = time.perf_counter()
            work()
            return time.perf_counter() - start

    def encode(self, size):
        image = torch.rand(1, 3, size, size).mul(2).sub(1).to(self.dtype)
        return self.time(lambda: self.vae.encode(image))

    def decode(self, size):
        latents = torch.randn(1, 4, size // 8, size // 8).to(self.dtype)
        return self.time(lambda: self.vae.decode(latents))

    def texts(self):
        ids = torch.full((2, 77), 49407)
        return self.time(lambda: self.text(ids))

    def step(self, size):
        latents, context = torch.randn(2, 4, size // 8, size // 8), torch.randn(2, 77, 768)
        return self.time(lambda: self.unet(latents.to(self.dtype), torch.tensor(500), context.to(self.dtype)))


def torch_start(args, precision):
    """Seconds of a process that does all that is needed before the first step."""
    command = [sys.executable, __file__, args.lorabake, args.vae_bench, args.checkpoint, "--only-start"]
    command += ["--precision", precision, "--threads", str(args.threads)]
    start = time.perf_counter()
    subprocess.run(command, check=True)
    return time.perf_counter() - start


def compare(args, precision):
    """Prints the table's rows of one precision."""
    torch_side = PyTorch(args.checkpoint, precision, args.compile)
    warm_size = args.size if args.compile else 64
    for network in (torch_side.encode, torch_side.decode, torch_side.step):
        network(warm_size)
    torch_side.texts()
    rows = {name: [] for name in ("start to first step", "two texts", "latents of a picture", "a step", "decoding")}
    ends = []
    for _ in range(args.rounds):
        picture = lorabake_picture(args, precision)
        ends.append(picture["end"])
        rows["start to first step"].append((picture["start"], torch_start(args, precision)))
        rows["a step"].append((picture["step"], torch_side.step(args.size)))
        rows["two texts"].append((lorabake_pass(args, precision, "text"), torch_side.texts()))
        rows["latents of a picture"].append((lorabake_pass(args, precision, "encode"), torch_side.encode(args.size)))
        rows["decoding"].append((lorabake_pass(args, precision, "decode"), torch_side.decode(args.size)))
    for name, times in rows.items():
        ours, theirs = (statistics.median(column) for column in zip(*times))
        print(f"| {name}, {precision} | {ours:.2f} | {theirs:.2f} | {ours / theirs:.2f} |", flush=True)
    print(f"| from the last step to the file, {precision} | {statistics.median(ends):.2f} | | |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("lorabake", "vae_bench", "checkpoint"):
        parser.add_argument(name)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--precision", nargs="+", choices=["bf16", "f32"], default=["bf16", "f32"])
    parser.add_argument("--compile", action="store_true", help="PyTorch's networks compiled")
    parser.add_argument("--only-start", action="store_true", help="PyTorch's start to first step")
    args = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = str(args.threads)
    torch.set_num_threads(args.threads)
    if args.only_start:
        PyTorch(args.checkpoint, args.precision[0]).texts()
        return
    kind = "compiled" if args.compile else "eager"
    print(f"{args.size} x {args.size}, {args.threads} threads, PyTorch {torch.__version__} {kind}\n")
    print("| | lorabake s | PyTorch s | lorabake / PyTorch |\n|---|---|---|---|")
    for precision in args.precision:
        compare(args, precision)


if __name__ == "__main__":
    main()

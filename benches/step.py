"""Whole training steps of lorabake and PyTorch in turn: medians, ratios, peak memory.

Usage: python benches/step.py LORABAKE CHECKPOINT IMAGES [--rounds 3] [--steps 4] [--size 512] [--batch 1] [--threads 2]
       [--precision bf16 f32] [--channels-last] [--sdxl]
LORABAKE is the program, CHECKPOINT one of SD1.5's size (oracle/full_size.py makes one of random weights), IMAGES a folder
with at least as many pictures as the batch. A round runs each program once per precision, a few steps each, so that all
see the same machine; the first step of a run is left out. Both train LoRA of rank 16 on UNet and text encoder with AdamW.
--channels-last runs PyTorch once more with images in that layout. --sdxl is SDXL's UNet alone, with
gradient checkpointing on both sides, on a CHECKPOINT that oracle/sdxl.py has made.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ORACLE = Path(__file__).resolve().parent.parent / "oracle" / "step_timing.py"


def lorabake(args, precision):
    """Seconds of each step after the first, and the run's peak GiB (the mapped checkpoint included)."""
    with tempfile.TemporaryDirectory() as out:
        command = [args.lorabake, "train", "--pretrained_model_name_or_path", args.checkpoint]
        command += ["--train_data_dir", args.images, "--output_dir", out, "--resolution", str(args.size)]
        command += ["--network_dim", "16", "--network_alpha", "8", "--seed", "1", "--logging_dir", out]
        command += ["--train_batch_size", str(args.batch), "--max_train_steps", str(args.steps)]
        command += ["--mixed_precision", {"f32": "no"}.get(precision, precision), "--threads", str(args.threads)]
        if args.sdxl:
            command += ["--network_train_unet_only", "--cache_text_encoder_outputs", "--gradient_checkpointing"]
        run = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        errors = run.stderr.read()
        _, status, usage = os.wait4(run.pid, 0)
        if status:
            sys.exit(errors.decode())
        lines = [json.loads(line) for file in Path(out).rglob("steps.jsonl") for line in open(file, encoding="utf-8")]
        seconds = [line["seconds"] for line in lines if line["event"] == "step"]
        return seconds[1:], usage.ru_maxrss / 2**20


def pytorch(args, precision, *more):
    """The same of PyTorch."""
    with tempfile.TemporaryDirectory() as out:
        report = Path(out) / "report.json"
        command = [sys.executable, str(ORACLE), "--dtype", precision, "--size", str(args.size)]
        command += ["--batch", str(args.batch), "--threads", str(args.threads), "--steps", str(args.steps - 1), *more]
        command += ["--sdxl", "--gradient-checkpointing"] if args.sdxl else []
        run = subprocess.Popen(command, stdout=open(report, "w"), stderr=subprocess.DEVNULL)
        if run.wait():
            sys.exit("oracle/step_timing.py failed")
        result = json.loads(report.read_text().strip().splitlines()[-1])
        return result["all_seconds"][1:], result["peak_rss_gib"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("lorabake")
    parser.add_argument("checkpoint")
    parser.add_argument("images")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--channels-last", action="store_true")
    parser.add_argument("--sdxl", action="store_true")
    parser.add_argument("--precision", nargs="+", choices=["bf16", "f32"], default=["bf16", "f32"])
    args = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = str(args.threads)
    programs = {"lorabake": lorabake, "PyTorch": pytorch}
    if args.channels_last:
        programs["PyTorch channels_last"] = lambda args, precision: pytorch(args, precision, "--channels-last")
    seconds, peak = {}, {}
    for _ in range(args.rounds):
        for precision in args.precision:
            for who, run in programs.items():
                steps, gib = run(args, precision)
                seconds.setdefault((who, precision), []).extend(steps)
                peak[who, precision] = max(gib, peak.get((who, precision), 0))
                print(f"  {who} {precision}: {steps}", file=sys.stderr, flush=True)
    print(f"{args.size} x {args.size}, batch {args.batch}, {args.threads} threads\n")
    print("| | median s per step | fastest | peak GiB | lorabake / PyTorch |\n|---|---|---|---|---|")
    for (who, precision), steps in seconds.items():
        median = statistics.median(steps)
        other = statistics.median(seconds["PyTorch", precision])
        ratio = f"{median / other:.2f}" if who == "lorabake" else ""
        print(f"| {who} {precision} | {median:.2f} | {min(steps):.2f} | {peak[who, precision]:.1f} | {ratio} |")


if __name__ == "__main__":
    main()

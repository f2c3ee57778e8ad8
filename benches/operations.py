"""Operations of lorabake and PyTorch in turn, in f32 and bf16: medians, ratios, share of the bf16 peak.

Usage: python benches/operations.py PROGRAM [--rounds 7] [--threads 2] [--only WORD]
PROGRAM is the bench of crates/ops (`cargo bench --workspace --bench operations --no-run` names it). A round runs each
operation once in lorabake bf16, lorabake f32, PyTorch bf16 and PyTorch f32, so that all see the same machine; the first
round warms up. The caches are emptied before each pass, forward and backward. Ratios are lorabake's time divided by
PyTorch's: below 1 is faster.
"""

import argparse
import statistics
import subprocess
import time

import torch
import torch.nn.functional as F

# Read before each pass, as ours does: in a training step, other weights pass through the caches between two uses of one.
PASSING = torch.ones(64 << 20, dtype=torch.uint8)

OPERATIONS = [
    "linear 2048 2048 2048",
    "linear 4096 320 320",
    "linear 4096 320 2560",
    "linear 1024 640 5120",
    "linear 256 1280 10240",
    "linear 64 1280 1280",
    "linear 77 768 3072",
    "lora 4096 320 320 16",
    "lora 1024 640 5120 16",
    "lora 256 1280 1280 16",
    "lora 77 768 768 16",
    "conv 320 320 3 1 64",
    "conv 960 320 3 1 64",
    "conv 640 640 3 1 32",
    "conv 1280 1280 3 1 16",
    "conv 1280 1280 3 1 8",
    "conv 320 320 3 2 64",
    "conv 320 320 1 1 64",
    "attention 8 4096 4096 40",
    "attention 8 1024 1024 80",
    "attention 8 256 256 160",
    "attention 8 4096 77 40",
    "attention 12 77 77 64",
]


def products(kind, s):
    """Floating-point operations of the frozen products of a forward pass; the backward pass has as many, attention's
    two and a half times as many."""
    if kind in ("linear", "lora"):
        return 2 * s[0] * s[1] * s[2]
    if kind == "conv":
        return 2 * s[0] * s[1] * s[2] ** 2 * (s[4] // s[3]) ** 2
    return 4 * s[0] * s[1] * s[2] * s[3]


def theirs(kind, s, dtype):
    """Seconds of one forward and one backward pass in PyTorch, frozen weights not tracked."""
    new = lambda *shape: (torch.rand(shape) * 2 - 1).to(dtype)
    tracked = lambda *shape: new(*shape).requires_grad_()
    if kind == "linear":
        x, w = tracked(s[0], s[1]), new(s[2], s[1])
        run = lambda: F.linear(x, w)
    elif kind == "lora":
        x, w, down, up = tracked(s[0], s[1]), new(s[2], s[1]), tracked(s[3], s[1]), tracked(s[2], s[3])
        run = lambda: F.linear(x, w) + F.linear(F.linear(x, down), up) * 0.5
    elif kind == "conv":
        x, w = tracked(1, s[0], s[4], s[4]), new(s[1], s[0], s[2], s[2])
        run = lambda: F.conv2d(x, w, stride=s[3], padding=s[2] // 2)
    else:
        q, k, v = tracked(1, s[0], s[1], s[3]), tracked(1, s[0], s[2], s[3]), tracked(1, s[0], s[2], s[3])
        run = lambda: F.scaled_dot_product_attention(q, k, v)
    PASSING.sum()
    start = time.perf_counter()
    y = run()
    middle = time.perf_counter()
    PASSING.sum()
    dy = torch.ones_like(y)
    begin = time.perf_counter()
    y.backward(dy)
    return middle - start, time.perf_counter() - begin


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", default="", help="operations whose line has this in it")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    ours = subprocess.Popen([args.program, str(args.threads)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(line):
        ours.stdin.write(line + "\n")
        ours.stdin.flush()
        return tuple(float(word) for word in ours.stdout.readline().split())

    dtypes = {"bf16": torch.bfloat16, "f32": torch.float32}
    lines = [line for line in OPERATIONS if args.only in line]
    times = {}
    for round_ in range(args.rounds + 1):
        for line in lines:
            kind, *sizes = line.split()
            sizes = [int(size) for size in sizes]
            for precision, dtype in dtypes.items():
                measured = ask(" ".join([kind, precision, *map(str, sizes)])), theirs(kind, sizes, dtype)
                if round_ > 0:
                    for who, pair in zip(("ours", "torch"), measured):
                        times.setdefault((line, who, precision), []).append(pair)
    ours.stdin.close()
    median = lambda key, which: statistics.median(pair[which] for pair in times[key])
    flops = lambda line, which: products(line.split()[0], [int(x) for x in line.split()[1:]]) * (
        2.5 if which and line.startswith("attention") else 1
    )
    keys = [(line, which) for line in lines for which in (0, 1)]
    rate = {(line, which): flops(line, which) / median((line, "ours", "bf16"), which) / 1e9 for line, which in keys}
    best = max([flops(line, w) / median((line, "torch", "bf16"), w) / 1e9 for line, w in keys] + list(rate.values()))
    print(f"best bf16 rate of any operation, ours or PyTorch's: {best:.0f} GFLOP/s (the peak below)\n")
    print("| operation | pass | lorabake bf16 ms | ÷ PyTorch bf16 | lorabake f32 ms | ÷ PyTorch f32 | GFLOP/s | of peak |")
    print("|---|---|---|---|---|---|---|---|")
    for line, which in keys:
        ms = {(who, p): 1e3 * median((line, who, p), which) for who in ("ours", "torch") for p in dtypes}
        ratio = {p: ms["ours", p] / ms["torch", p] for p in dtypes}
        gflops = rate[line, which]
        print(
            f"| {line} | {('forward', 'backward')[which]} | {ms['ours', 'bf16']:.2f} | {ratio['bf16']:.2f} "
            f"| {ms['ours', 'f32']:.2f} | {ratio['f32']:.2f} | {gflops:.0f} | {100 * gflops / best:.0f} % |"
        )


if __name__ == "__main__":
    main()

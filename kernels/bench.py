"""Each kernel beside PyTorch's on a GPU, correctness first: linear, conv2d (channels last), SDPA forward and backward.

Usage: python kernels/bench.py [--sweep] [--seconds 90] [--dry]
The kernels are compiled here by the Triton that is installed (of 3.6 or newer); what `smallest` runs is the PTX that
is shipped. Prints a table: ours, PyTorch's, both in TFLOP/s, and their ratio; --sweep tries other tiles where ours is
slower than 0.9 of PyTorch's. --dry: tiny sizes on the processor by Triton's interpreter, in f16.
"""

import argparse
import itertools
import json
import os
import pathlib
import sys
import time

if "--dry" in sys.argv:
    os.environ["TRITON_INTERPRET"] = "1"

import torch
import torch.nn.functional as F

import table

# Rows, outputs, inputs: SD1.5 at 512² batch 1 and 8, SDXL at 1024², text.
LINEAR = ((4096, 320, 320), (4096, 2560, 320), (1024, 5120, 640), (32768, 2560, 320), (4096, 640, 640),
          (4096, 5120, 640), (1024, 10240, 1280), (77, 320, 768))
# Batch, side, channels in and out, stride.
CONV = ((1, 64, 320, 320, 1), (1, 32, 640, 640, 1), (1, 16, 1280, 1280, 1), (8, 64, 320, 320, 1), (1, 128, 320, 320, 1),
        (1, 64, 960, 320, 1), (1, 64, 320, 320, 2))
# Batch, heads, queries, keys, width.
ATTENTION = ((1, 8, 4096, 4096, 40), (8, 8, 4096, 4096, 40), (1, 8, 1024, 1024, 80), (1, 8, 256, 256, 160),
             (1, 10, 4096, 4096, 64), (1, 20, 1024, 1024, 64), (1, 8, 4096, 77, 40))
DRY = {"linear": ((70, 80, 48),), "conv": ((1, 6, 16, 32, 1), (1, 6, 16, 32, 2)), "attention": ((1, 2, 40, 33, 40),)}
# Other tiles: BM, BN, BK, warps, stages.
TILES = ((128, 128, 32, 4, 4), (128, 128, 64, 4, 3), (128, 64, 64, 4, 4), (64, 128, 64, 4, 4), (128, 256, 64, 8, 4),
         (256, 128, 64, 8, 3), (64, 64, 128, 4, 3))


class Bench:
    """Where and in what type, and what was found."""

    def __init__(self, options):
        self.dry, self.options = options.dry, options
        self.device, self.dtype = ("cpu", torch.float16) if options.dry else ("cuda", torch.bfloat16)
        self.cores = 4 if options.dry else torch.cuda.get_device_properties(0).multi_processor_count
        self.hopper = not options.dry and torch.cuda.get_device_capability()[0] == 9
        self.rows, self.begun = [], time.time()

    def given(self, *shape, scale=1.0):
        return (torch.randn(*shape, device=self.device) * scale).to(self.dtype)

    def milliseconds(self, launch):
        if self.dry:
            start = time.time()
            launch()
            return (time.time() - start) * 1e3
        from triton.testing import do_bench

        return do_bench(launch, warmup=20, rep=60)

    def tiles(self, kernel):
        """The kernel's tiles for this card."""
        target = "sm_90a" if self.hopper else "sm_80"
        found = [one for one in table.variants() if one.kernel == kernel and one.half == "bf16"]
        return [one for one in found if target in one.targets and not one.most_rows]

    def choose(self, kernel, blocks):
        """By the rule in tiles.json: the first tile that gives each multiprocessor a block."""
        tiles = self.tiles(kernel)
        return next((tile for tile in tiles if blocks(tile.tile) >= self.cores), tiles[-1])

    def right(self, name, got, wanted):
        """Stops the row if a result is wrong; relative L2 norm, bf16 rounds by 2e-3."""
        apart = ((got.double() - wanted).norm() / wanted.norm()).item()
        if not apart < 6e-3:
            self.rows.append({"name": name, "wrong": apart})
            print(f"{name}: WRONG, {apart:.1e} from f64", flush=True)
            return False
        return True

    def row(self, name, flops, ours, theirs, tile, launch_with=None):
        """Times both, and other tiles if ours is slow and there is time."""
        mine, other = self.milliseconds(ours), self.milliseconds(theirs)
        entry = {"name": name, "ours_ms": mine, "torch_ms": other, "tile": tile}
        entry |= {"tflops": flops / mine / 1e9, "torch_tflops": flops / other / 1e9}
        late = time.time() - self.begun > self.options.seconds
        if launch_with and self.options.sweep and not late and mine * 0.9 > other:
            best = min(((self.tried(launch_with, sides), sides) for sides in TILES), key=lambda pair: pair[0])
            entry["best_ms"], entry["best_tile"] = best
        self.rows.append(entry)
        best = f", best {entry['best_ms']:.3f} ms by {entry['best_tile']}" if "best_tile" in entry else ""
        print(f"{name:44} ours {mine:8.3f} ms {entry['tflops']:6.1f} TFLOP/s, torch {other:8.3f} ms "
              f"{entry['torch_tflops']:6.1f}, ratio {other / mine:.2f}{best}", flush=True)

    def tried(self, launch_with, sides):
        try:
            bm, bn, bk, warps, stages = sides
            return self.milliseconds(lambda: launch_with(dict(BM=bm, BN=bn, BK=bk), warps, stages))
        except Exception:  # a tile that this card has no room for
            return float("inf")


def up(a, b):
    return -(-a // b)


def linear(bench, m, n, k):
    """Forward with bias and a LoRA of rank 16, dx, and forward with 8-bit weights."""
    from linear import linear as forward, linear_dx

    x, w, bias = bench.given(m, k), bench.given(n, k, scale=k**-0.5), torch.randn(n, device=bench.device)
    t, lora_up, down = bench.given(m, 16), bench.given(n, 16, scale=0.3), bench.given(16, k, scale=0.3)
    y, dy, dx = bench.given(m, n), bench.given(m, n), bench.given(m, k)
    bias_half = bias.to(bench.dtype)
    grid = lambda tile, wide: (up(wide, tile["BN"]), up(m, tile["BM"]), 1)
    more = {"BR": 32, "SCALED": 0}

    def run(tile, warps, stages, rank=0):
        own = {**tile, **more, "num_warps": warps, "num_stages": stages}
        forward[grid(tile, n)](x, w, bias, bias, t, lora_up, y, m, n, k, rank, **own)

    def back(tile, warps, stages):
        own = {**tile, **more, "num_warps": warps, "num_stages": stages}
        linear_dx[grid(tile, k)](dy, w, bias, t, down, dx, m, n, k, 0, **own)

    one = bench.choose("linear", lambda tile: up(m, tile["BM"]) * up(n, tile["BN"]))
    own = (one.tile, one.warps, one.stages)
    run(*own, rank=16)
    name = f"{m} x {n} x {k}"
    wanted = x.double() @ w.double().T + bias.double() + t.double() @ lora_up.double().T
    if bench.right(f"linear, low rank {name}", y, wanted):
        flops = 2 * m * n * k
        bench.row(f"linear {name}", flops, lambda: run(*own), lambda: F.linear(x, w, bias_half), one.name, run)
        bench.row(f"linear, low rank {name}", flops + 32 * m * n, lambda: run(*own, rank=16),
                  lambda: F.linear(x, w, bias_half) + t @ lora_up.T, one.name)
    one = bench.choose("linear_dx", lambda tile: up(m, tile["BM"]) * up(k, tile["BN"]))
    own_back = (one.tile, one.warps, one.stages)
    back(*own_back)
    if bench.right(f"linear dx {name}", dx, dy.double() @ w.double()):
        bench.row(f"linear dx {name}", 2 * m * n * k, lambda: back(*own_back), lambda: dy @ w, one.name, back)
    if k % 64 == 0:
        int8(bench, name, x, w, bias, y, forward)


def int8(bench, name, x, w, bias, y, forward):
    """8-bit weights beside PyTorch with 16-bit ones."""
    (m, k), n = x.shape, w.shape[0]
    blocks = w.float().reshape(-1, 128)
    scales = blocks.abs().amax(1) / 127
    codes = (blocks / scales[:, None]).round().to(torch.int8).reshape(n, k)
    wide = (codes.reshape(-1, 128).float() * scales[:, None]).reshape(n, k).to(bench.dtype)
    one = bench.choose("linear_int8", lambda tile: up(m, tile["BM"]) * up(n, tile["BN"]))

    def run():
        grid = (up(n, one.tile["BN"]), up(m, one.tile["BM"]), 1)
        own = {**one.constants, "num_warps": one.warps, "num_stages": one.stages}
        forward[grid](x, codes, scales, bias, x, w, y, m, n, k, 0, **own)

    run()
    if bench.right(f"linear int8 {name}", y, x.double() @ wide.double().T + bias.double()):
        half = bias.to(bench.dtype)
        bench.row(f"linear int8 {name}", 2 * m * n * k, run, lambda: F.linear(x, wide, half), one.name)


def conv(bench, b, side, c, n, stride):
    """3x3, forward and dx."""
    from conv3x3 import conv3x3, conv3x3_dx

    out = (side - 1) // stride + 1
    x, w = bench.given(b, side, side, c), bench.given(n, 3, 3, c, scale=(9 * c) ** -0.5)
    bias = torch.zeros(n, device=bench.device)
    y, dy, dx = bench.given(b, out, out, n), bench.given(b, out, out, n), bench.given(b, side, side, c)
    images, kernel = x.permute(0, 3, 1, 2), w.permute(0, 3, 1, 2)  # channels last
    images_back = dy.permute(0, 3, 1, 2)
    fixed = {"STRIDE": stride, "SCALED": 0}

    def run(tile, warps, stages):
        grid = (up(n, tile["BN"]), up(out * out, tile["BM"]), b)
        own = {**fixed, **tile, "num_warps": warps, "num_stages": stages}
        conv3x3[grid](x, w, bias, bias, y, side, side, c, n, out, out, 1, **own)

    def back(tile, warps, stages):
        grid = (up(c, tile["BN"]), up(up(side, stride) ** 2, tile["BM"]), b * stride**2)
        own = {**fixed, **tile, "num_warps": warps, "num_stages": stages}
        conv3x3_dx[grid](dy, w, bias, dx, side, side, c, n, out, out, **own)

    name, flops = f"{b} x {side}² x {c} to {n}, stride {stride}", 18 * b * out * out * c * n
    kernel_name = "conv3x3" + "_s2" * (stride - 1)
    one = bench.choose(kernel_name, lambda tile: b * up(out * out, tile["BM"]) * up(n, tile["BN"]))
    own = (one.tile, one.warps, one.stages)
    run(*own)
    exact, weights = images.double(), kernel.double()
    wanted = F.conv2d(exact, weights, None, stride, 1)
    theirs = lambda: F.conv2d(images, kernel, None, stride, 1)
    if bench.right(f"conv {name}", y.permute(0, 3, 1, 2), wanted):
        bench.row(f"conv {name}", flops, lambda: run(*own), theirs, one.name, run)
    one = bench.choose(kernel_name + "_dx", lambda tile: b * up(side * side, tile["BM"]) * up(c, tile["BN"]))
    own_back = (one.tile, one.warps, one.stages)
    back(*own_back)
    wanted = torch.nn.grad.conv2d_input(exact.shape, weights, images_back.double(), stride, 1)
    theirs = lambda: torch.nn.grad.conv2d_input(images.shape, kernel, images_back, stride, 1)
    if bench.right(f"conv dx {name}", dx.permute(0, 3, 1, 2), wanted):
        bench.row(f"conv dx {name}", flops, lambda: back(*own_back), theirs, one.name, back)


def attention(bench, b, heads, s, t, d):
    """Forward, and dq with dk and dv; PyTorch's backward alone."""
    from attention import attention as forward, attention_dkdv, attention_dq

    q, dy = bench.given(b, s, heads, d), bench.given(b, s, heads, d)
    k, v = bench.given(b, t, heads, d), bench.given(b, t, heads, d)
    o, dq, dk, dv = (torch.empty_like(z) for z in (q, q, k, v))
    lse, delta = (torch.empty(b, heads, s, device=bench.device) for _ in range(2))
    sizes, name = (heads, s, t, d**-0.5), f"{b} x {heads} heads of {d}, {s} x {t}"
    one = bench.choose(f"attention_{d}", lambda tile: up(s, tile["BM"]) * heads * b)
    of_q, of_k = bench.tiles(f"attention_{d}_dq")[0], bench.tiles(f"attention_{d}_dkdv")[0]

    def launch(kernel, variant, rows, side, *arguments):
        grid = (up(rows, variant.tile[side]), heads, b)
        kernel[grid](*arguments, *sizes, **variant.constants, num_warps=variant.warps, num_stages=variant.stages)

    def run():
        launch(forward, one, s, "BM", q, k, v, o, lse)

    def back():
        launch(attention_dq, of_q, s, "BM", q, k, v, o, dy, lse, delta, dq)
        launch(attention_dkdv, of_k, t, "BN", q, k, v, dy, lse, delta, dk, dv)

    run()
    back()
    theirs = [z.transpose(1, 2).detach().requires_grad_() for z in (q, k, v)]
    small = [z[:1].double().detach().requires_grad_() for z in theirs]
    scores = (small[0] @ small[1].mT * d**-0.5).softmax(-1) @ small[2]
    exact = torch.autograd.grad(scores, small, dy[:1].transpose(1, 2).double())
    is_right = bench.right(f"attention {name}", o[:1].transpose(1, 2), scores.detach())
    for what, got, wanted in zip(("dq", "dk", "dv"), (dq, dk, dv), exact):
        is_right &= bench.right(f"attention {what} {name}", got[:1].transpose(1, 2), wanted)
    del scores, exact, small
    if not is_right:
        return
    flops = 4 * b * heads * s * t * d
    output = F.scaled_dot_product_attention(*theirs)
    upstream = dy.transpose(1, 2)
    with torch.no_grad():
        bench.row(f"attention {name}", flops, run, lambda: F.scaled_dot_product_attention(*theirs), one.name)
    backward = lambda: torch.autograd.grad(output, theirs, upstream, retain_graph=True)
    bench.row(f"attention back {name}", flops * 5 // 2, back, backward, of_q.name)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sweep", action="store_true", help="other tiles where ours is slower")
    parser.add_argument("--seconds", type=float, default=90, help="after these nothing new is begun")
    parser.add_argument("--dry", action="store_true", help="tiny sizes on the processor")
    parser.add_argument("--json", type=pathlib.Path, help="also write the table here")
    options = parser.parse_args()
    torch.manual_seed(0)
    bench = Bench(options)
    sizes = DRY if options.dry else {"linear": LINEAR, "conv": CONV, "attention": ATTENTION}
    families = [[(one, size) for size in sizes[one.__name__]] for one in (linear, conv, attention)]
    # In turn, so that each family has rows when time is up.
    for one, size in filter(None, itertools.chain(*itertools.zip_longest(*families))):
        if time.time() - bench.begun > options.seconds:
            print(f"no time left for {one.__name__} {size}")
            continue
        try:
            one(bench, *size)
        except Exception as error:
            bench.rows.append({"name": f"{one.__name__} {size}", "error": str(error)})
            print(f"{one.__name__} {size}: {type(error).__name__}: {str(error)[:300]}", flush=True)
        if options.json:
            options.json.write_text(json.dumps(bench.rows, indent=1), encoding="utf-8")
    bad = [row for row in bench.rows if "wrong" in row or "error" in row]
    print(f"{len(bench.rows)} rows, {len(bad)} of them wrong")
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()

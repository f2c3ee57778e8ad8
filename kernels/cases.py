"""Launches with their right results, by numpy in f64: for the interpreter (check.py) and for a GPU (record.py).

Sizes are those of SD1.5, SD2 and SDXL at 512x512, 512x448, 832x1216 and 1024x1024, where they are small; else `shrunk`:
fewer whole tiles, the same rest. Each case has a batch of 1 or 3 and says its sizes.
"""

import dataclasses
import importlib

import numpy as np

from buffers import Buffer


@dataclasses.dataclass
class Case:
    """One launch: arguments in the order of the kernel, the right values of its outputs by argument."""

    variant: object
    sizes: str
    grid: tuple
    arguments: dict
    expected: dict
    # Largest allowed |difference| of an element, over the root mean square of the right values.
    bound: float = 8e-3


class Maker:
    """Random numbers of one variant's type."""

    def __init__(self, variant, half, seed):
        self.variant, self.half = variant, half
        self.random = np.random.default_rng(seed)

    def given(self, *shape, scale=1.0, offset=0.0, kind="half"):
        """Normally distributed numbers."""
        return Buffer(kind, self.random.standard_normal(shape) * scale + offset, half=self.half)

    def asked(self, *shape, kind="half"):
        """An output."""
        return Buffer(kind, shape=shape, half=self.half)

    def weights(self, *shape, scale):
        """Weights and scales as buffers, and what they mean in f64: 8 bits if the variant has it so."""
        if not self.variant.fixed.get("SCALED"):
            w = self.given(*shape, scale=scale)
            return w, self.given(1, kind="f32"), w.numbers()
        values = self.random.standard_normal(shape) * scale
        # A size of its own for each block, so that a wrong scale is seen.
        blocks = values.reshape(-1, 128) * self.random.uniform(0.5, 2.0, (values.size // 128, 1))
        scales = (np.abs(blocks).max(1) / 127).astype(np.float32)
        codes = np.rint(blocks / scales[:, None].astype(np.float64)).astype(np.int8)
        w = Buffer("i8", codes.reshape(shape))
        widened = Buffer("half", (codes * scales[:, None]).reshape(shape), half=self.half)
        return w, Buffer("f32", scales), widened.numbers()


# Where the launches of a file's kernels are.
FAMILIES = {
    "linear": "cases", "low_rank": "cases", "conv3x3": "cases_conv", "attention": "cases_attention",
    "norms": "cases_rows", "activations": "cases_rows",
}


def cases_of(variant, half):
    """The launches that check a kernel."""
    return getattr(importlib.import_module(FAMILIES[variant.file]), variant.function)(variant, half)


def shrunk(size, side, most=2):
    """A size with at most `most` whole tiles of `side` and the same rest."""
    return size if size <= most * side else size % side + (most if size % side == 0 else most - 1) * side


def blocks(size, side):
    return -(-size // side)


# Rows: tokens of the levels at 512², 512x448, 832x1216 with batch 1 and 3, and of the text.
ROWS = (4096, 3584, 224, 56, 3952, 988, 77, 231, 3 * 247)
# Widths in and out: attention, feed forward, text, 1x1 convolutions behind a concatenation.
WIDTHS = ((320, 320), (320, 2560), (768, 320), (1280, 1280), (2048, 640), (960, 320), (1920, 640))


def linear_sizes(variant):
    """Sizes [m, n, k, r] with other rests in each."""
    rows = [1, 3, 16] if variant.most_rows else ROWS
    tile = variant.tile
    backward = variant.function == "linear_dx"
    side_n, side_k = (tile["BK"], tile["BN"]) if backward else (tile["BN"], tile["BK"])
    if variant.fixed["SCALED"]:
        # Rows that begin within a block of 128 weights, as 320 do.
        side_k = 128
    found = {}
    for at, m in enumerate(rows):
        k, n = WIDTHS[at % len(WIDTHS)]
        found[shrunk(m, tile["BM"]), shrunk(n, side_n), shrunk(k, side_k)] = (0, 16, 48)[at % 3]
    if not variant.fixed["SCALED"]:
        # Widths of small models, such as the one inside the program.
        found[rows[-1] % 128, 80, 48] = 16
    return [(*size, rank) for size, rank in found.items()]


def linear(variant, half):
    """y = x·Wᵀ + bias + t·upᵀ."""
    for m, n, k, r in linear_sizes(variant):
        make = Maker(variant, half, m * n + k)
        x, bias = make.given(m, k), make.given(n, kind="f32")
        w, scales, values = make.weights(n, k, scale=k**-0.5)
        t, up = make.given(m, max(r, 1)), make.given(n, max(r, 1), scale=0.3)
        right = x.numbers() @ values.T + bias.numbers()
        if r:
            right += t.numbers() @ up.numbers().T
        y = make.asked(m, n)
        arguments = dict(x=x, w=w, scales=scales, bias=bias, t=t, up=up, y=y, m=m, n=n, k=k, r=r)
        grid = (blocks(n, variant.tile["BN"]), blocks(m, variant.tile["BM"]), 1)
        yield Case(variant, f"m {m} n {n} k {k} r {r}", grid, arguments, {"y": right})


def linear_dx(variant, half):
    """dx = dy·W + dt·down."""
    for m, n, k, r in linear_sizes(variant):
        make = Maker(variant, half, m * n + k + 1)
        dy = make.given(m, n)
        w, scales, values = make.weights(n, k, scale=n**-0.5)
        dt, down = make.given(m, max(r, 1)), make.given(max(r, 1), k, scale=0.3)
        right = dy.numbers() @ values
        if r:
            right += dt.numbers() @ down.numbers()
        dx = make.asked(m, k)
        arguments = dict(dy=dy, w=w, scales=scales, dt=dt, down=down, dx=dx, m=m, n=n, k=k, r=r)
        grid = (blocks(k, variant.tile["BN"]), blocks(m, variant.tile["BM"]), 1)
        yield Case(variant, f"m {m} n {n} k {k} r {r}", grid, arguments, {"dx": right})


def low_rank_into(variant, half):
    """t = scale·x·downᵀ."""
    tile, turned = variant.tile, variant.fixed["TURNED"]
    for m, k, r in ((4096, 320, 16), (77, 768, 16), (988, 1280, 48), (741, 640, 128), (56, 80, 16)):
        m, k = shrunk(m, tile["BM"]), shrunk(k, tile["BK"])
        make = Maker(variant, half, m + k + r)
        x = make.given(m, k)
        matrix = make.given(*((k, r) if turned else (r, k)), scale=k**-0.5)
        right = 0.37 * (x.numbers() @ (matrix.numbers() if turned else matrix.numbers().T))
        arguments = dict(x=x, matrix=matrix, t=make.asked(m, r), m=m, k=k, r=r, scale=0.37)
        grid = (blocks(r, tile["BR"]), blocks(m, tile["BM"]), 1)
        yield Case(variant, f"m {m} k {k} r {r}", grid, arguments, {"t": right})


def low_rank_grad(variant, half):
    """Parts of tᵀ·x."""
    tile, turned = variant.tile, variant.fixed["TURNED"]
    for m, k, r, split in ((4096, 320, 16, 128), (231, 768, 16, 64), (988, 1280, 48, 192), (741, 80, 128, 1024)):
        m, k = shrunk(m, tile["BM"], 5), shrunk(k, tile["BK"])
        make = Maker(variant, half, m + k + r)
        t, x = make.given(m, r), make.given(m, k, scale=m**-0.5)
        each = [t.numbers()[at : at + split].T @ x.numbers()[at : at + split] for at in range(0, m, split)]
        right = np.stack([part.T if turned else part for part in each])
        arguments = dict(t=t, x=x, parts=make.asked(*right.shape, kind="f32"), m=m, k=k, r=r, split=split)
        grid = (blocks(k, tile["BK"]), blocks(r, tile["BR"]), len(each))
        yield Case(variant, f"m {m} k {k} r {r} split {split}", grid, arguments, {"parts": right}, 1e-4)


def low_rank_sum(variant, half):
    """The sum of parts."""
    for splits, count in ((1, 300), (17, 700)):
        make = Maker(variant, half, count)
        parts = make.given(splits, count, kind="f32")
        arguments = dict(parts=parts, gradient=make.asked(count, kind="f32"), count=count, splits=splits)
        right = {"gradient": parts.numbers().sum(0)}
        grid = (blocks(count, variant.tile["B"]), 1, 1)
        yield Case(variant, f"{splits} parts of {count}", grid, arguments, right, 1e-5)

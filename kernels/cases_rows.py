"""Launches of norms and activations with their right results; see cases.py."""

import math

import numpy as np

from cases import Case, Maker, blocks, shrunk

# Batch, pixels, channels, groups. There are fewer groups than the 32 of a model, of as many channels: 10 as at the
# first level of 320, 80 as at 2560, 40 as at 1280, and 4 as where the VAE has 128.
IMAGES = ((3, 247, 160, 16), (1, 60, 320, 4), (1, 224, 160, 4), (1, 3584, 16, 4))
erf = np.vectorize(math.erf)
sigmoid = lambda x: 1 / (1 + np.exp(-x))


class Norm:
    """Group norm of one image size, in f64; `stats` and `means` [B, 2, groups]."""

    def __init__(self, variant, half, size):
        self.b, self.pixels, c, self.groups = size
        self.pixels = shrunk(self.pixels, 32, 6)
        self.c, self.make, self.silu = c, Maker(variant, half, self.pixels + c), variant.fixed.get("SILU", 0)
        b, pixels, groups, make = self.b, self.pixels, (self.groups, c // self.groups), self.make
        # A mean that is large beside the spread, where sums of squares would cancel.
        self.x, self.dy = make.given(b, pixels, c, offset=6.0), make.given(b, pixels, c)
        self.gamma, self.beta = make.given(c, kind="f32"), make.given(c, kind="f32")
        x = self.x.numbers().reshape(b, pixels, *groups)
        mean, variance = x.mean((1, 3)), x.var((1, 3))
        factor = 1 / np.sqrt(variance + 1e-5)
        self.stats = np.stack([mean, factor], 1)
        flat = lambda a: np.repeat(a, c // self.groups, -1)[:, None]
        self.hat = (self.x.numbers() - flat(mean)) * flat(factor)
        z = self.hat * self.gamma.numbers() + self.beta.numbers()
        self.y = z * sigmoid(z) if self.silu else z
        slope = sigmoid(z) * (1 + z * (1 - sigmoid(z))) if self.silu else 1.0
        self.g = self.dy.numbers() * slope * self.gamma.numbers()
        over = lambda a: a.reshape(b, pixels, *groups).mean((1, 3))
        self.means = np.stack([over(self.g), over(self.g * self.hat)], 1)
        self.dx = (self.g - flat(self.means[:, 0]) - self.hat * flat(self.means[:, 1])) * flat(factor)

    def split(self):
        """Pixels of a slab: the last one is short."""
        return 96 if self.pixels > 96 else 32

    def slabs(self, values):
        """[B, slabs, ..] of what a function makes of each slab."""
        ends = range(0, self.pixels, self.split())
        return np.stack([values(slice(at, at + self.split())) for at in ends], 1)

    def f32(self, values):
        """An input with these values."""
        buffer = self.make.given(*values.shape, kind="f32")
        buffer.set(values)
        return buffer


def norms(variant, half):
    for size in IMAGES:
        norm = Norm(variant, half, size)
        yield norm, f"batch {norm.b}, {norm.pixels} pixels, {norm.c} channels in {norm.groups} groups"


def parts_of(norm):
    """Mean and squares around it of each channel and slab."""
    x = norm.x.numbers()
    return norm.slabs(lambda own: np.stack([x[:, own].mean(1), x[:, own].var(1) * x[:, own].shape[1]], 1))


def dx_parts_of(norm):
    g, along = norm.g, norm.g * norm.hat
    return norm.slabs(lambda own: np.stack([g[:, own].sum(1), along[:, own].sum(1)], 1))


def group_norm_slabs(variant, half):
    for norm, words in norms(variant, half):
        right = parts_of(norm)
        parts = norm.make.asked(*right.shape, kind="f32")
        arguments = dict(x=norm.x, parts=parts, pixels=norm.pixels, c=norm.c, split=norm.split())
        grid = (blocks(norm.c, variant.tile["BC"]), right.shape[1], norm.b)
        yield Case(variant, words, grid, arguments, {"parts": right}, 1e-4)


def group_norm_stats(variant, half):
    for norm, words in norms(variant, half):
        parts = norm.f32(parts_of(norm))
        arguments = dict(
            parts=parts, stats=norm.make.asked(norm.b, 2, norm.groups, kind="f32"), pixels=norm.pixels, c=norm.c,
            split=norm.split(), slabs=parts.shape[1], groups=norm.groups, epsilon=1e-5,
        )
        yield Case(variant, words, (norm.groups, norm.b, 1), arguments, {"stats": norm.stats}, 1e-5)


def group_norm(variant, half):
    for norm, words in norms(variant, half):
        y = norm.make.asked(norm.b, norm.pixels, norm.c)
        arguments = dict(
            x=norm.x, stats=norm.f32(norm.stats), gamma=norm.gamma, beta=norm.beta, y=y, pixels=norm.pixels, c=norm.c,
            groups=norm.groups,
        )
        grid = (blocks(norm.c, variant.tile["BC"]), blocks(norm.pixels, variant.tile["BP"]), norm.b)
        yield Case(variant, words, grid, arguments, {"y": norm.y})


def group_norm_dx_slabs(variant, half):
    for norm, words in norms(variant, half):
        right = dx_parts_of(norm)
        arguments = dict(
            x=norm.x, dy=norm.dy, stats=norm.f32(norm.stats), gamma=norm.gamma, beta=norm.beta,
            parts=norm.make.asked(*right.shape, kind="f32"), pixels=norm.pixels, c=norm.c, split=norm.split(),
            groups=norm.groups,
        )
        grid = (blocks(norm.c, variant.tile["BC"]), right.shape[1], norm.b)
        yield Case(variant, words, grid, arguments, {"parts": right}, 1e-4)


def group_norm_dx_means(variant, half):
    for norm, words in norms(variant, half):
        parts = norm.f32(dx_parts_of(norm))
        arguments = dict(
            parts=parts, means=norm.make.asked(norm.b, 2, norm.groups, kind="f32"), pixels=norm.pixels, c=norm.c,
            slabs=parts.shape[1], groups=norm.groups,
        )
        yield Case(variant, words, (norm.groups, norm.b, 1), arguments, {"means": norm.means}, 1e-4)


def group_norm_dx(variant, half):
    for norm, words in norms(variant, half):
        arguments = dict(
            x=norm.x, dy=norm.dy, stats=norm.f32(norm.stats), means=norm.f32(norm.means), gamma=norm.gamma,
            beta=norm.beta, dx=norm.make.asked(norm.b, norm.pixels, norm.c), pixels=norm.pixels, c=norm.c,
            groups=norm.groups,
        )
        grid = (blocks(norm.c, variant.tile["BC"]), blocks(norm.pixels, variant.tile["BP"]), norm.b)
        yield Case(variant, words, grid, arguments, {"dx": norm.dx})


def rows(variant, half):
    """Rows of layer norm, and what is computed of them."""
    side = variant.tile["BN"]
    widths = {512: (320, 512, 48), 1024: (640, 768, 1024), 2048: (1280, 2048)}[side]
    for m, n in zip((5, 77, 3), widths):
        make = Maker(variant, half, m * n)
        x, dy = make.given(m, n, offset=3.0), make.given(m, n)
        yield make, x, dy, make.given(n, kind="f32"), make.given(n, kind="f32"), m, n


def normalized(x):
    apart = x - x.mean(-1, keepdims=True)
    factor = 1 / np.sqrt((apart**2).mean(-1, keepdims=True) + 1e-5)
    return apart * factor, factor


def layer_norm(variant, half):
    for make, x, _, gamma, beta, m, n in rows(variant, half):
        hat, _ = normalized(x.numbers())
        arguments = dict(x=x, gamma=gamma, beta=beta, y=make.asked(m, n), n=n, epsilon=1e-5)
        right = hat * gamma.numbers() + beta.numbers()
        yield Case(variant, f"{m} rows of {n}", (m, 1, 1), arguments, {"y": right})


def layer_norm_dx(variant, half):
    for make, x, dy, gamma, _, m, n in rows(variant, half):
        hat, factor = normalized(x.numbers())
        g = dy.numbers() * gamma.numbers()
        right = (g - g.mean(-1, keepdims=True) - hat * (g * hat).mean(-1, keepdims=True)) * factor
        arguments = dict(x=x, dy=dy, gamma=gamma, dx=make.asked(m, n), n=n, epsilon=1e-5)
        yield Case(variant, f"{m} rows of {n}", (m, 1, 1), arguments, {"dx": right})


def cdf(x):
    return 0.5 * (1 + erf(x * 0.5**0.5))


def density(x):
    return np.exp(-0.5 * x * x) / math.sqrt(2 * math.pi)


def geglu(variant, half):
    for m, n in ((5, 1280), (3, 1024), (1, 80)):
        make = Maker(variant, half, m * n)
        x = make.given(m, 2 * n, scale=1.5)
        value, gate = np.split(x.numbers(), 2, -1)
        grid = (m, blocks(n, variant.tile["B"]), 1)
        arguments = dict(x=x, y=make.asked(m, n), n=n)
        yield Case(variant, f"{m} rows of {n}", grid, arguments, {"y": value * gate * cdf(gate)})


def geglu_dx(variant, half):
    for m, n in ((5, 1280), (3, 1024), (1, 80)):
        make = Maker(variant, half, m * n)
        x, dy = make.given(m, 2 * n, scale=1.5), make.given(m, n)
        value, gate = np.split(x.numbers(), 2, -1)
        right = dy.numbers() * np.stack([gate * cdf(gate), value * (cdf(gate) + gate * density(gate))])
        grid = (m, blocks(n, variant.tile["B"]), 1)
        arguments = dict(x=x, dy=dy, dx=make.asked(m, 2 * n), n=n)
        yield Case(variant, f"{m} rows of {n}", grid, arguments, {"dx": np.concatenate(list(right), -1)})


def gelu(variant, half):
    for count in (77 * 48, 1024, 5):
        make = Maker(variant, half, count)
        x = make.given(count, scale=2.0)
        a = x.numbers()
        right = a * sigmoid(1.702 * a) if variant.fixed["QUICKLY"] else a * cdf(a)
        arguments = dict(x=x, y=make.asked(count), count=count)
        yield Case(variant, f"{count} numbers", (blocks(count, variant.tile["B"]), 1, 1), arguments, {"y": right})


def gelu_dx(variant, half):
    for count in (77 * 48, 1024, 5):
        make = Maker(variant, half, count)
        x, dy = make.given(count, scale=2.0), make.given(count)
        a = x.numbers()
        part = sigmoid(1.702 * a)
        slope = part * (1 + 1.702 * a * (1 - part)) if variant.fixed["QUICKLY"] else cdf(a) + a * density(a)
        arguments = dict(x=x, dy=dy, dx=make.asked(count), count=count)
        right = {"dx": dy.numbers() * slope}
        yield Case(variant, f"{count} numbers", (blocks(count, variant.tile["B"]), 1, 1), arguments, right)

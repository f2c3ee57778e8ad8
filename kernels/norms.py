"""Group norm with SiLU and layer norm, forward and to their input; scale and shift are frozen. Statistics are in f32.

Group norm takes channels-last images x [B, pixels, c] in three launches: each block reads a slab of `split` pixels and
writes what it found for its channels, a small kernel adds that up by group, and the third applies it. Means and squares
around them are merged as Chan, Golub and LeVeque (1979) do, so nothing cancels where the mean is large.

    group_norm_slabs → parts   group_norm_stats → stats   group_norm → y
    group_norm_dx_slabs → parts   group_norm_dx_means → means   group_norm_dx → dx

Layer norm takes rows [m, n], one a block, and finds a row's statistics again in the backward pass.
"""

import triton
import triton.language as tl

TYPES = {
    **dict.fromkeys(("x", "y", "dy", "dx"), "half"),
    **dict.fromkeys(("gamma", "beta", "parts", "stats", "means"), "f32"),
    **dict.fromkeys(("pixels", "split", "slabs", "groups"), "i32"),
    **dict.fromkeys(("c", "n"), "width"),
    "epsilon": "number",
}


@triton.jit
def group_norm_slabs(x, parts, pixels, c, split, BP: tl.constexpr, BC: tl.constexpr):
    """x → parts [B, slabs, 2, c]: a channel's mean in a slab, its squares around it; grid (c / BC, slabs, B)."""
    slab, image = tl.program_id(1), tl.program_id(2).to(tl.int64)
    p, d = tl.arange(0, BP), tl.program_id(0) * BC + tl.arange(0, BC)
    x += (image * pixels + slab * split) * c
    count = tl.minimum(split, pixels - slab * split)
    mean = tl.zeros((BC,), tl.float32)
    squares = tl.zeros((BC,), tl.float32)
    for p0 in range(0, count, BP):
        there = (p0 + p < count)[:, None] & (d < c)[None, :]
        a = tl.load(x + (p0 + p)[:, None] * c + d[None, :], mask=there, other=0.0).to(tl.float32)
        before = tl.cast(p0, tl.float32)
        new = tl.cast(tl.minimum(BP, count - p0), tl.float32)
        new_mean = tl.sum(a, 0) / new
        apart = tl.where(there, a - new_mean[None, :], 0.0)
        shift = new_mean - mean
        mean += shift * (new / (before + new))
        squares += tl.sum(apart * apart, 0) + shift * shift * (before * new / (before + new))
    parts += (image * tl.num_programs(1) + slab) * 2 * c
    tl.store(parts + d, mean, mask=d < c)
    tl.store(parts + c + d, squares, mask=d < c)


@triton.jit
def group_norm_stats(
    parts, stats, pixels, c, split, slabs, groups, epsilon, BS: tl.constexpr, BC: tl.constexpr
):
    """parts → stats [B, 2, groups]: mean, 1 / √(variance + epsilon); BC ≥ c / groups; grid (groups, B)."""
    group, image = tl.program_id(0), tl.program_id(1).to(tl.int64)
    own = c // groups
    s, d = tl.arange(0, BS), tl.arange(0, BC)
    parts += image * slabs * 2 * c + group * own
    mean = tl.zeros((BS, BC), tl.float32)
    for s0 in range(0, slabs, BS):
        there = (s0 + s < slabs)[:, None] & (d < own)[None, :]
        count = tl.minimum(split, pixels - (s0 + s) * split).to(tl.float32)
        mean += tl.load(parts + (s0 + s)[:, None] * 2 * c + d[None, :], mask=there, other=0.0) * count[:, None]
    numbers = pixels.to(tl.float32) * own
    middle = tl.sum(tl.sum(mean, 1), 0) / numbers
    squares = tl.zeros((BS, BC), tl.float32)
    for s0 in range(0, slabs, BS):
        there = (s0 + s < slabs)[:, None] & (d < own)[None, :]
        count = tl.minimum(split, pixels - (s0 + s) * split).to(tl.float32)
        at = parts + (s0 + s)[:, None] * 2 * c + d[None, :]
        apart = tl.where(there, tl.load(at, mask=there, other=0.0) - middle, 0.0)
        squares += tl.load(at + c, mask=there, other=0.0) + apart * apart * count[:, None]
    spread = tl.sum(tl.sum(squares, 1), 0) / numbers
    tl.store(stats + image * 2 * groups + group, middle)
    tl.store(stats + image * 2 * groups + groups + group, 1.0 / tl.sqrt(spread + epsilon))


@triton.jit
def group_norm(
    x, stats, gamma, beta, y, pixels, c, groups, SILU: tl.constexpr, BP: tl.constexpr, BC: tl.constexpr
):
    """y = (x - mean) / spread · gamma + beta, and SILU of that; grid (c / BC, pixels / BP, B)."""
    image = tl.program_id(2).to(tl.int64)
    p, d = tl.program_id(1) * BP + tl.arange(0, BP), tl.program_id(0) * BC + tl.arange(0, BC)
    there = (p < pixels)[:, None] & (d < c)[None, :]
    stats += image * 2 * groups
    group = d // (c // groups)
    mean = tl.load(stats + group, mask=d < c, other=0.0)
    factor = tl.load(stats + groups + group, mask=d < c, other=0.0) * tl.load(gamma + d, mask=d < c, other=0.0)
    at = image * pixels * c + p[:, None] * c + d[None, :]
    z = (tl.load(x + at, mask=there, other=0.0).to(tl.float32) - mean[None, :]) * factor[None, :]
    z += tl.load(beta + d, mask=d < c, other=0.0)[None, :]
    if SILU:
        z = z * tl.sigmoid(z)
    tl.store(y + at, z.to(y.dtype.element_ty), mask=there)


@triton.jit
def normalized(x, dy, stats, gamma, beta, at, there, d, c, groups, SILU: tl.constexpr):
    """x normalised, and the gradient of that; both 0 where nothing is."""
    group = d // (c // groups)
    mean = tl.load(stats + group, mask=d < c, other=0.0)
    factor = tl.load(stats + groups + group, mask=d < c, other=0.0)
    scale = tl.load(gamma + d, mask=d < c, other=0.0)
    a = tl.load(x + at, mask=there, other=0.0).to(tl.float32)
    a = tl.where(there, (a - mean[None, :]) * factor[None, :], 0.0)
    g = tl.load(dy + at, mask=there, other=0.0).to(tl.float32)
    if SILU:
        z = a * scale[None, :] + tl.load(beta + d, mask=d < c, other=0.0)[None, :]
        half = tl.sigmoid(z)
        g *= half * (1.0 + z * (1.0 - half))
    return a, g * scale[None, :]


@triton.jit
def group_norm_dx_slabs(
    x, dy, stats, gamma, beta, parts, pixels, c, split, groups,
    SILU: tl.constexpr, BP: tl.constexpr, BC: tl.constexpr,
):
    """parts [B, slabs, 2, c]: a channel's sums of g and of g·x̂ in a slab; grid (c / BC, slabs, B)."""
    slab, image = tl.program_id(1), tl.program_id(2).to(tl.int64)
    p, d = tl.arange(0, BP), tl.program_id(0) * BC + tl.arange(0, BC)
    x += (image * pixels + slab * split) * c
    dy += (image * pixels + slab * split) * c
    stats += image * 2 * groups
    count = tl.minimum(split, pixels - slab * split)
    plain = tl.zeros((BC,), tl.float32)
    along = tl.zeros((BC,), tl.float32)
    for p0 in range(0, count, BP):
        there = (p0 + p < count)[:, None] & (d < c)[None, :]
        a, g = normalized(x, dy, stats, gamma, beta, (p0 + p)[:, None] * c + d[None, :], there, d, c, groups, SILU)
        plain += tl.sum(g, 0)
        along += tl.sum(g * a, 0)
    parts += (image * tl.num_programs(1) + slab) * 2 * c
    tl.store(parts + d, plain, mask=d < c)
    tl.store(parts + c + d, along, mask=d < c)


@triton.jit
def group_norm_dx_means(parts, means, pixels, c, slabs, groups, BS: tl.constexpr, BC: tl.constexpr):
    """parts → means [B, 2, groups] of g and g·x̂; BC ≥ c / groups; grid (groups, B)."""
    group, image = tl.program_id(0), tl.program_id(1).to(tl.int64)
    own = c // groups
    s, d = tl.arange(0, BS), tl.arange(0, BC)
    parts += image * slabs * 2 * c + group * own
    plain = tl.zeros((BS, BC), tl.float32)
    along = tl.zeros((BS, BC), tl.float32)
    for s0 in range(0, slabs, BS):
        there = (s0 + s < slabs)[:, None] & (d < own)[None, :]
        at = parts + (s0 + s)[:, None] * 2 * c + d[None, :]
        plain += tl.load(at, mask=there, other=0.0)
        along += tl.load(at + c, mask=there, other=0.0)
    numbers = pixels.to(tl.float32) * own
    tl.store(means + image * 2 * groups + group, tl.sum(tl.sum(plain, 1), 0) / numbers)
    tl.store(means + image * 2 * groups + groups + group, tl.sum(tl.sum(along, 1), 0) / numbers)


@triton.jit
def group_norm_dx(
    x, dy, stats, means, gamma, beta, dx, pixels, c, groups,
    SILU: tl.constexpr, BP: tl.constexpr, BC: tl.constexpr,
):
    """dx = (g - mean g - x̂ · mean g·x̂) / spread; grid (c / BC, pixels / BP, B)."""
    image = tl.program_id(2).to(tl.int64)
    p, d = tl.program_id(1) * BP + tl.arange(0, BP), tl.program_id(0) * BC + tl.arange(0, BC)
    there = (p < pixels)[:, None] & (d < c)[None, :]
    stats += image * 2 * groups
    means += image * 2 * groups
    at = image * pixels * c + p[:, None] * c + d[None, :]
    a, g = normalized(x, dy, stats, gamma, beta, at, there, d, c, groups, SILU)
    group = d // (c // groups)
    plain = tl.load(means + group, mask=d < c, other=0.0)
    along = tl.load(means + groups + group, mask=d < c, other=0.0)
    factor = tl.load(stats + groups + group, mask=d < c, other=0.0)
    g = (g - plain[None, :] - a * along[None, :]) * factor[None, :]
    tl.store(dx + at, g.to(dx.dtype.element_ty), mask=there)


@triton.jit
def normalized_row(x, n, epsilon, d):
    """A row normalised, zeros behind its end, and 1 / spread."""
    a = tl.load(x + d, mask=d < n, other=0.0).to(tl.float32)
    a = tl.where(d < n, a - tl.sum(a, 0) / n, 0.0)
    factor = 1.0 / tl.sqrt(tl.sum(a * a, 0) / n + epsilon)
    return a * factor, factor


@triton.jit
def layer_norm(x, gamma, beta, y, n, epsilon, BN: tl.constexpr):
    """x [m, n] → y; BN ≥ n; grid (m)."""
    row, d = tl.program_id(0).to(tl.int64), tl.arange(0, BN)
    a, _ = normalized_row(x + row * n, n, epsilon, d)
    z = a * tl.load(gamma + d, mask=d < n, other=0.0) + tl.load(beta + d, mask=d < n, other=0.0)
    tl.store(y + row * n + d, z.to(y.dtype.element_ty), mask=d < n)


@triton.jit
def layer_norm_dx(x, dy, gamma, dx, n, epsilon, BN: tl.constexpr):
    """x, dy [m, n] → dx; BN ≥ n; grid (m)."""
    row, d = tl.program_id(0).to(tl.int64), tl.arange(0, BN)
    a, factor = normalized_row(x + row * n, n, epsilon, d)
    g = tl.load(dy + row * n + d, mask=d < n, other=0.0).to(tl.float32) * tl.load(gamma + d, mask=d < n, other=0.0)
    g = (g - tl.sum(g, 0) / n - a * (tl.sum(g * a, 0) / n)) * factor
    tl.store(dx + row * n + d, g.to(dx.dtype.element_ty), mask=d < n)

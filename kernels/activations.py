"""GEGLU, GELU and QuickGELU, and their gradients. GELU is the exact form with erf both ways, as in `ops/geglu.rs`.

Numbers are read and written in 16 bits and computed in f32.
"""

import triton
import triton.language as tl

TYPES = {
    **dict.fromkeys(("x", "y", "dy", "dx"), "half"),
    "count": "i32",
    "n": "width",
}

ROOT_HALF = tl.constexpr(0.7071067811865476)
DENSITY = tl.constexpr(0.3989422804014327)  # 1 / √2π
QUICK = tl.constexpr(1.702)


@triton.jit
def normal_cdf(x):
    """How much of the standard normal distribution lies below x."""
    return 0.5 * (1.0 + tl.erf(x * ROOT_HALF))


@triton.jit
def geglu(x, y, n, B: tl.constexpr):
    """x [m, 2·n] → y [m, n]: the first half times GELU of the second (Shazeer 2020); grid (m, n / B)."""
    row, d = tl.program_id(0).to(tl.int64), tl.program_id(1) * B + tl.arange(0, B)
    value = tl.load(x + row * 2 * n + d, mask=d < n, other=0.0).to(tl.float32)
    gate = tl.load(x + row * 2 * n + n + d, mask=d < n, other=0.0).to(tl.float32)
    z = value * gate * normal_cdf(gate)
    tl.store(y + row * n + d, z.to(y.dtype.element_ty), mask=d < n)


@triton.jit
def geglu_dx(x, dy, dx, n, B: tl.constexpr):
    """x [m, 2·n], dy [m, n] → dx [m, 2·n]; grid (m, n / B)."""
    row, d = tl.program_id(0).to(tl.int64), tl.program_id(1) * B + tl.arange(0, B)
    value = tl.load(x + row * 2 * n + d, mask=d < n, other=0.0).to(tl.float32)
    gate = tl.load(x + row * 2 * n + n + d, mask=d < n, other=0.0).to(tl.float32)
    g = tl.load(dy + row * n + d, mask=d < n, other=0.0).to(tl.float32)
    below = normal_cdf(gate)
    slope = below + gate * DENSITY * tl.exp(-0.5 * gate * gate)
    tl.store(dx + row * 2 * n + d, (g * gate * below).to(dx.dtype.element_ty), mask=d < n)
    tl.store(dx + row * 2 * n + n + d, (g * value * slope).to(dx.dtype.element_ty), mask=d < n)


@triton.jit
def gelu(x, y, count, QUICKLY: tl.constexpr, B: tl.constexpr):
    """x · Φ(x), or QUICKLY x · sigmoid(1.702·x); grid (count / B)."""
    e = tl.program_id(0).to(tl.int64) * B + tl.arange(0, B)
    a = tl.load(x + e, mask=e < count, other=0.0).to(tl.float32)
    if QUICKLY:
        z = a * tl.sigmoid(a * QUICK)
    else:
        z = a * normal_cdf(a)
    tl.store(y + e, z.to(y.dtype.element_ty), mask=e < count)


@triton.jit
def gelu_dx(x, dy, dx, count, QUICKLY: tl.constexpr, B: tl.constexpr):
    """The gradient of `gelu`; grid (count / B)."""
    e = tl.program_id(0).to(tl.int64) * B + tl.arange(0, B)
    a = tl.load(x + e, mask=e < count, other=0.0).to(tl.float32)
    g = tl.load(dy + e, mask=e < count, other=0.0).to(tl.float32)
    if QUICKLY:
        half = tl.sigmoid(a * QUICK)
        slope = half * (1.0 + a * QUICK * (1.0 - half))
    else:
        slope = normal_cdf(a) + a * DENSITY * tl.exp(-0.5 * a * a)
    tl.store(dx + e, (g * slope).to(dx.dtype.element_ty), mask=e < count)

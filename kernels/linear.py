"""Linear layers on frozen weights, and what a LoRA adds to them: y = x·Wᵀ + bias + t·upᵀ, dx = dy·W + dt·down.

A 1x1 convolution of channels-last images is the same. t = scale·x·downᵀ and dt = scale·dy·up come from low_rank.py, so
that the scale is in them; with r = 0 nothing is added and their pointers are not read. Sums are in f32.

Weights are [n, k] as PyTorch has them, in the type of x, or (SCALED) in 8 bits with an f32 scale for each 128 of them
in that order, as `ops/int8.rs` rounds them. A block of 128 may begin in the middle of a row. Therefore k has to be a
multiple of 64, and the tile's side along k (BK forward, BN backward) is 64: then a row of a tile has one scale.

Without SCALED, widths (n, k, r) are multiples of 16: the host pads with zeros.
"""

import triton
import triton.language as tl

TYPES = {
    **dict.fromkeys(("x", "w", "t", "up", "y", "dy", "dt", "down", "dx"), "half"),
    **dict.fromkeys(("scales", "bias"), "f32"),
    "m": "i32",
    **dict.fromkeys(("n", "k", "r"), "width"),
}


@triton.jit
def linear(
    x, w, scales, bias, t, up, y, m, n, k, r,
    SCALED: tl.constexpr, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr, BR: tl.constexpr,
):
    """x [m, k], w [n, k], scales [n·k/128], bias [n], t [m, r], up [n, r] → y [m, n]; grid (n / BN, m / BM)."""
    first = tl.program_id(1) * BM
    i, j, l = tl.arange(0, BM), tl.program_id(0) * BN + tl.arange(0, BN), tl.arange(0, BK)
    rows, columns = i < m - first, j < n
    x += first.to(tl.int64) * k
    t += first.to(tl.int64) * r
    y += first.to(tl.int64) * n
    c = tl.zeros((BM, BN), tl.float32)
    for k0 in range(0, k, BK):
        kk = k0 + l
        a = tl.load(x + i[:, None] * k + kk[None, :], mask=rows[:, None] & (kk < k)[None, :], other=0.0)
        b = tl.load(w + j[None, :] * k + kk[:, None], mask=columns[None, :] & (kk < k)[:, None], other=0)
        if SCALED:
            scale = tl.load(scales + (j * k + k0) // 128, mask=columns, other=0.0)
            b = (b.to(tl.float32) * scale[None, :]).to(a.dtype)
        c = tl.dot(a, b, c)
    for r0 in range(0, r, BR):
        rr = r0 + tl.arange(0, BR)
        a = tl.load(t + i[:, None] * r + rr[None, :], mask=rows[:, None] & (rr < r)[None, :], other=0.0)
        b = tl.load(up + j[None, :] * r + rr[:, None], mask=columns[None, :] & (rr < r)[:, None], other=0.0)
        c = tl.dot(a, b, c)
    c += tl.load(bias + j, mask=columns, other=0.0)[None, :]
    tl.store(y + i[:, None] * n + j[None, :], c.to(y.dtype.element_ty), mask=rows[:, None] & columns[None, :])


@triton.jit
def linear_dx(
    dy, w, scales, dt, down, dx, m, n, k, r,
    SCALED: tl.constexpr, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr, BR: tl.constexpr,
):
    """dy [m, n], w [n, k], scales [n·k/128], dt [m, r], down [r, k] → dx [m, k]; grid (k / BN, m / BM)."""
    first = tl.program_id(1) * BM
    j0 = tl.program_id(0) * BN
    i, j, l = tl.arange(0, BM), j0 + tl.arange(0, BN), tl.arange(0, BK)
    rows, columns = i < m - first, j < k
    dy += first.to(tl.int64) * n
    dt += first.to(tl.int64) * r
    dx += first.to(tl.int64) * k
    c = tl.zeros((BM, BN), tl.float32)
    for n0 in range(0, n, BK):
        nn = n0 + l
        a = tl.load(dy + i[:, None] * n + nn[None, :], mask=rows[:, None] & (nn < n)[None, :], other=0.0)
        b = tl.load(w + nn[:, None] * k + j[None, :], mask=(nn < n)[:, None] & columns[None, :], other=0)
        if SCALED:
            scale = tl.load(scales + (nn * k + j0) // 128, mask=nn < n, other=0.0)
            b = (b.to(tl.float32) * scale[:, None]).to(a.dtype)
        c = tl.dot(a, b, c)
    for r0 in range(0, r, BR):
        rr = r0 + tl.arange(0, BR)
        a = tl.load(dt + i[:, None] * r + rr[None, :], mask=rows[:, None] & (rr < r)[None, :], other=0.0)
        b = tl.load(down + rr[:, None] * k + j[None, :], mask=(rr < r)[:, None] & columns[None, :], other=0.0)
        c = tl.dot(a, b, c)
    tl.store(dx + i[:, None] * k + j[None, :], c.to(dx.dtype.element_ty), mask=rows[:, None] & columns[None, :])

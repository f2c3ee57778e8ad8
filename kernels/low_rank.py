"""What a LoRA multiplies beside its layer: into the rank, and the gradients of its two matrices.

    t  = scale·x·downᵀ    low_rank_into                     y  += t·upᵀ      linear.py
    dt = scale·dy·up      low_rank_into, TURNED             dx += dt·down    linear.py
    d down = dtᵀ·x        low_rank_grad, low_rank_sum
    d up   = dyᵀ·t        low_rank_grad, TURNED, low_rank_sum

Gradients are f32. Rows are split among blocks, and the parts are added in their order, so that a step is repeatable.
Widths (k, r) are multiples of 16; the host pads the rank with zeros.
"""

import triton
import triton.language as tl

TYPES = {
    **dict.fromkeys(("x", "matrix", "t"), "half"),
    **dict.fromkeys(("parts", "gradient"), "f32"),
    **dict.fromkeys(("m", "count", "splits"), "i32"),
    **dict.fromkeys(("k", "r", "split"), "width"),
    "scale": "number",
}


@triton.jit
def low_rank_into(
    x, matrix, t, m, k, r, scale, TURNED: tl.constexpr, BM: tl.constexpr, BR: tl.constexpr, BK: tl.constexpr
):
    """x [m, k], matrix [r, k] or TURNED [k, r] → t [m, r] = scale·x·matrixᵀ; grid (r / BR, m / BM)."""
    first = tl.program_id(1) * BM
    i, j, l = tl.arange(0, BM), tl.program_id(0) * BR + tl.arange(0, BR), tl.arange(0, BK)
    rows, columns = i < m - first, j < r
    x += first.to(tl.int64) * k
    t += first.to(tl.int64) * r
    c = tl.zeros((BM, BR), tl.float32)
    for k0 in range(0, k, BK):
        kk = k0 + l
        there = kk < k
        a = tl.load(x + i[:, None] * k + kk[None, :], mask=rows[:, None] & there[None, :], other=0.0)
        if TURNED:
            b = tl.load(matrix + kk[:, None] * r + j[None, :], mask=there[:, None] & columns[None, :], other=0.0)
        else:
            b = tl.load(matrix + j[None, :] * k + kk[:, None], mask=there[:, None] & columns[None, :], other=0.0)
        c = tl.dot(a, b, c)
    tl.store(t + i[:, None] * r + j[None, :], (c * scale).to(t.dtype.element_ty), mask=rows[:, None] & columns[None, :])


@triton.jit
def low_rank_grad(
    t, x, parts, m, k, r, split, TURNED: tl.constexpr, BM: tl.constexpr, BR: tl.constexpr, BK: tl.constexpr
):
    """t [m, r], x [m, k] → parts [m / split, r, k] or TURNED [.., k, r] = tᵀ·x over each `split` rows.

    `split` is a multiple of BM; grid (k / BK, r / BR, m / split).
    """
    begin = tl.program_id(2) * split
    i, j, kk = tl.arange(0, BM), tl.program_id(1) * BR + tl.arange(0, BR), tl.program_id(0) * BK + tl.arange(0, BK)
    t += begin.to(tl.int64) * r
    x += begin.to(tl.int64) * k
    c = tl.zeros((BR, BK), tl.float32)
    for i0 in range(0, tl.minimum(split, m - begin), BM):
        rows = i0 + i < m - begin
        a = tl.load(t + (i0 + i)[None, :] * r + j[:, None], mask=rows[None, :] & (j < r)[:, None], other=0.0)
        b = tl.load(x + (i0 + i)[:, None] * k + kk[None, :], mask=rows[:, None] & (kk < k)[None, :], other=0.0)
        c = tl.dot(a, b, c)
    parts += tl.program_id(2).to(tl.int64) * r * k
    if TURNED:
        at = kk[None, :] * r + j[:, None]
    else:
        at = j[:, None] * k + kk[None, :]
    tl.store(parts + at, c, mask=(j < r)[:, None] & (kk < k)[None, :])


@triton.jit
def low_rank_sum(parts, gradient, count, splits, B: tl.constexpr):
    """parts [splits, count] → gradient [count], their sum; grid (count / B)."""
    e = tl.program_id(0) * B + tl.arange(0, B)
    c = tl.zeros((B,), tl.float32)
    for s in range(0, splits):
        c += tl.load(parts + tl.cast(s, tl.int64) * count + e, mask=e < count, other=0.0)
    tl.store(gradient + e, c, mask=e < count)

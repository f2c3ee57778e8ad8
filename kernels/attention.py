"""Scaled dot-product attention in tiles with its gradients; scores are in no memory (Dao et al. 2022).

q, o, dy, dq [B, s, heads, D], k, v, dk, dv [B, t, heads, D]: as the projections leave them, without a transpose.
lse, delta [B, heads, s] are f32: the logarithm (base 2) of each row's sum, and Σ dy·o, which `attention_dq` writes and
`attention_dkdv` reads, so it runs after it. Softmax and sums are in f32; probabilities are rounded to the type of v.

A head is held in two parts of D1 and D2 numbers (powers of two; D2 may be 0): 40 = 32 + 8 (of 16), 80 = 64 + 16,
160 = 128 + 32. So no tensor core multiplies zeros, as it would if a head of 160 were padded to 256.

CAUSAL: the text encoders' mask, key ≤ query, for s = t.
"""

import triton
import triton.language as tl

TYPES = {
    **dict.fromkeys(("q", "k", "v", "o", "dy", "dq", "dk", "dv"), "half"),
    **dict.fromkeys(("lse", "delta"), "f32"),
    **dict.fromkeys(("heads", "s", "t"), "i32"),
    "scale": "number",
}

LOG2_E = tl.constexpr(1.4426950408889634)


@triton.jit
def rows_of(base, index, count, stride, first: tl.constexpr, width: tl.constexpr, D: tl.constexpr):
    """Numbers first .. first + width of a head of D, of the rows `index` below `count`; zeros elsewhere."""
    d = first + tl.arange(0, width)
    there = (index < count)[:, None] & (d < D)[None, :]
    return tl.load(base + index[:, None] * stride + d[None, :], mask=there, other=0.0)


@triton.jit
def store_rows(
    base, values, index, count, stride, first: tl.constexpr, width: tl.constexpr, D: tl.constexpr
):
    """The way back of `rows_of`."""
    d = first + tl.arange(0, width)
    there = (index < count)[:, None] & (d < D)[None, :]
    tl.store(base + index[:, None] * stride + d[None, :], values.to(base.dtype.element_ty), mask=there)


@triton.jit
def attention(
    q, k, v, o, lse, heads, s, t, scale,
    D: tl.constexpr, D1: tl.constexpr, D2: tl.constexpr, CAUSAL: tl.constexpr, BM: tl.constexpr, BN: tl.constexpr,
):
    """o and lse of a block of queries; grid (s / BM, heads, B)."""
    head, batch = tl.program_id(1), tl.program_id(2).to(tl.int64)
    first, stride = tl.program_id(0) * BM, heads * D
    i, j = first + tl.arange(0, BM), tl.arange(0, BN)
    q += batch * s * stride + head * D
    o += batch * s * stride + head * D
    k += batch * t * stride + head * D
    v += batch * t * stride + head * D
    q1 = rows_of(q, i, s, stride, 0, D1, D)
    largest = tl.full((BM,), float("-inf"), tl.float32)
    total = tl.zeros((BM,), tl.float32)
    sum1 = tl.zeros((BM, D1), tl.float32)
    if D2 > 0:
        q2 = rows_of(q, i, s, stride, D1, D2, D)
        sum2 = tl.zeros((BM, D2), tl.float32)
    end = t
    if CAUSAL:
        end = tl.minimum(t, first + BM)
    for n0 in range(0, end, BN):
        key = n0 + j
        p = tl.dot(q1, tl.trans(rows_of(k, key, t, stride, 0, D1, D)))
        if D2 > 0:
            p = tl.dot(q2, tl.trans(rows_of(k, key, t, stride, D1, D2, D)), p)
        there = (key < t)[None, :]
        if CAUSAL:
            there = there & (key[None, :] <= i[:, None])
        p = tl.where(there, p * (scale * LOG2_E), float("-inf"))
        now = tl.maximum(largest, tl.max(p, 1))
        p = tl.exp2(p - now[:, None])
        shrink = tl.exp2(largest - now)
        total = total * shrink + tl.sum(p, 1)
        largest = now
        v1 = rows_of(v, key, t, stride, 0, D1, D)
        p = p.to(v1.dtype)
        sum1 = tl.dot(p, v1, sum1 * shrink[:, None])
        if D2 > 0:
            sum2 = tl.dot(p, rows_of(v, key, t, stride, D1, D2, D), sum2 * shrink[:, None])
    store_rows(o, sum1 / total[:, None], i, s, stride, 0, D1, D)
    if D2 > 0:
        store_rows(o, sum2 / total[:, None], i, s, stride, D1, D2, D)
    tl.store(lse + (batch * heads + head) * s + i, largest + tl.log2(total), mask=i < s)


@triton.jit
def attention_dq(
    q, k, v, o, dy, lse, delta, dq, heads, s, t, scale,
    D: tl.constexpr, D1: tl.constexpr, D2: tl.constexpr, CAUSAL: tl.constexpr, BM: tl.constexpr, BN: tl.constexpr,
):
    """dq and delta of a block of queries; grid (s / BM, heads, B)."""
    head, batch = tl.program_id(1), tl.program_id(2).to(tl.int64)
    first, stride = tl.program_id(0) * BM, heads * D
    i, j = first + tl.arange(0, BM), tl.arange(0, BN)
    q += batch * s * stride + head * D
    o += batch * s * stride + head * D
    dy += batch * s * stride + head * D
    dq += batch * s * stride + head * D
    k += batch * t * stride + head * D
    v += batch * t * stride + head * D
    lse += (batch * heads + head) * s
    delta += (batch * heads + head) * s
    q1, g1 = rows_of(q, i, s, stride, 0, D1, D), rows_of(dy, i, s, stride, 0, D1, D)
    dot = tl.sum(g1.to(tl.float32) * rows_of(o, i, s, stride, 0, D1, D).to(tl.float32), 1)
    sum1 = tl.zeros((BM, D1), tl.float32)
    if D2 > 0:
        q2, g2 = rows_of(q, i, s, stride, D1, D2, D), rows_of(dy, i, s, stride, D1, D2, D)
        dot += tl.sum(g2.to(tl.float32) * rows_of(o, i, s, stride, D1, D2, D).to(tl.float32), 1)
        sum2 = tl.zeros((BM, D2), tl.float32)
    tl.store(delta + i, dot, mask=i < s)
    row = tl.load(lse + i, mask=i < s, other=0.0)
    end = t
    if CAUSAL:
        end = tl.minimum(t, first + BM)
    for n0 in range(0, end, BN):
        key = n0 + j
        k1 = rows_of(k, key, t, stride, 0, D1, D)
        p = tl.dot(q1, tl.trans(k1))
        g = tl.dot(g1, tl.trans(rows_of(v, key, t, stride, 0, D1, D)))
        if D2 > 0:
            k2 = rows_of(k, key, t, stride, D1, D2, D)
            p = tl.dot(q2, tl.trans(k2), p)
            g = tl.dot(g2, tl.trans(rows_of(v, key, t, stride, D1, D2, D)), g)
        there = (key < t)[None, :]
        if CAUSAL:
            there = there & (key[None, :] <= i[:, None])
        # Keys that are not there have a score of 0, which may be far above all others: no infinity may come of it.
        p = tl.exp2(tl.where(there, p * (scale * LOG2_E) - row[:, None], float("-inf")))
        ds = (p * (g - dot[:, None])).to(k1.dtype)
        sum1 = tl.dot(ds, k1, sum1)
        if D2 > 0:
            sum2 = tl.dot(ds, k2, sum2)
    store_rows(dq, sum1 * scale, i, s, stride, 0, D1, D)
    if D2 > 0:
        store_rows(dq, sum2 * scale, i, s, stride, D1, D2, D)


@triton.jit
def attention_dkdv(
    q, k, v, dy, lse, delta, dk, dv, heads, s, t, scale,
    D: tl.constexpr, D1: tl.constexpr, D2: tl.constexpr, CAUSAL: tl.constexpr, BM: tl.constexpr, BN: tl.constexpr,
):
    """dk and dv of a block of keys; grid (t / BN, heads, B)."""
    head, batch = tl.program_id(1), tl.program_id(2).to(tl.int64)
    first, stride = tl.program_id(0) * BN, heads * D
    i, key = tl.arange(0, BM), first + tl.arange(0, BN)
    q += batch * s * stride + head * D
    dy += batch * s * stride + head * D
    k += batch * t * stride + head * D
    v += batch * t * stride + head * D
    dk += batch * t * stride + head * D
    dv += batch * t * stride + head * D
    lse += (batch * heads + head) * s
    delta += (batch * heads + head) * s
    k1, v1 = rows_of(k, key, t, stride, 0, D1, D), rows_of(v, key, t, stride, 0, D1, D)
    dk1, dv1 = tl.zeros((BN, D1), tl.float32), tl.zeros((BN, D1), tl.float32)
    if D2 > 0:
        k2, v2 = rows_of(k, key, t, stride, D1, D2, D), rows_of(v, key, t, stride, D1, D2, D)
        dk2, dv2 = tl.zeros((BN, D2), tl.float32), tl.zeros((BN, D2), tl.float32)
    begin = 0
    if CAUSAL:
        begin = first // BM * BM
    for m0 in range(begin, s, BM):
        query = m0 + i
        q1, g1 = rows_of(q, query, s, stride, 0, D1, D), rows_of(dy, query, s, stride, 0, D1, D)
        p = tl.dot(k1, tl.trans(q1))
        g = tl.dot(v1, tl.trans(g1))
        if D2 > 0:
            q2, g2 = rows_of(q, query, s, stride, D1, D2, D), rows_of(dy, query, s, stride, D1, D2, D)
            p = tl.dot(k2, tl.trans(q2), p)
            g = tl.dot(v2, tl.trans(g2), g)
        there = (query < s)[None, :] & (key < t)[:, None]
        if CAUSAL:
            there = there & (key[:, None] <= query[None, :])
        row = tl.load(lse + query, mask=query < s, other=0.0)
        p = tl.exp2(tl.where(there, p * (scale * LOG2_E) - row[None, :], float("-inf")))
        ds = (p * (g - tl.load(delta + query, mask=query < s, other=0.0)[None, :])).to(q1.dtype)
        p = p.to(g1.dtype)
        dv1 = tl.dot(p, g1, dv1)
        dk1 = tl.dot(ds, q1, dk1)
        if D2 > 0:
            dv2 = tl.dot(p, g2, dv2)
            dk2 = tl.dot(ds, q2, dk2)
    store_rows(dk, dk1 * scale, key, t, stride, 0, D1, D)
    store_rows(dv, dv1, key, t, stride, 0, D1, D)
    if D2 > 0:
        store_rows(dk, dk2 * scale, key, t, stride, D1, D2, D)
        store_rows(dv, dv2, key, t, stride, D1, D2, D)

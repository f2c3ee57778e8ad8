"""3x3 convolutions of channels-last images with frozen weights, as a product over taps and channels, and their dx.

x [B, h, w, c], weights [n, 3, 3, c], y [B, ho, wo, n]. `pad` rows and columns of zeros stand before the image: 1 in
the UNet and in the VAE's layers of stride 1, 0 where the VAE halves an image; behind it there are as many as ho and wo
ask for. Sums are in f32. c and n are multiples of 16: the host pads latents of 4 or 9 channels, and images of 3, with
zeros.

SCALED: 8-bit weights in this order with an f32 scale for each 128; c is a multiple of 64, and the tile's side along c
is 64 (BK forward, BN backward), as in linear.py.
"""

import triton
import triton.language as tl

TYPES = {
    **dict.fromkeys(("x", "w", "y", "dy", "dx"), "half"),
    **dict.fromkeys(("scales", "bias"), "f32"),
    **dict.fromkeys(("height", "width", "ho", "wo", "pad"), "i32"),
    **dict.fromkeys(("c", "n"), "width"),
}


@triton.jit
def conv3x3(
    x, w, scales, bias, y, height, width, c, n, ho, wo, pad,
    STRIDE: tl.constexpr, SCALED: tl.constexpr, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr,
):
    """Stride 1 or 2; grid (n / BN, ho·wo / BM, B)."""
    pixels = ho * wo
    p = tl.program_id(1) * BM + tl.arange(0, BM)
    row, column = p // wo * STRIDE - pad, p % wo * STRIDE - pad
    j, l = tl.program_id(0) * BN + tl.arange(0, BN), tl.arange(0, BK)
    x += tl.program_id(2).to(tl.int64) * height * width * c
    y += tl.program_id(2).to(tl.int64) * pixels * n
    chunks = tl.cdiv(c, BK)
    s = tl.zeros((BM, BN), tl.float32)
    for step in range(0, 9 * chunks):
        tap, k0 = step // chunks, step % chunks * BK
        kk = k0 + l
        r, q = row + tap // 3, column + tap % 3
        there = (p < pixels) & (r >= 0) & (r < height) & (q >= 0) & (q < width)
        a = tl.load(x + (r * width + q)[:, None] * c + kk[None, :], mask=there[:, None] & (kk < c)[None, :], other=0.0)
        at = j * (9 * c) + tap * c
        b = tl.load(w + at[None, :] + kk[:, None], mask=(j < n)[None, :] & (kk < c)[:, None], other=0)
        if SCALED:
            scale = tl.load(scales + (at + k0) // 128, mask=j < n, other=0.0)
            b = (b.to(tl.float32) * scale[None, :]).to(a.dtype)
        s = tl.dot(a, b, s)
    s += tl.load(bias + j, mask=j < n, other=0.0)[None, :]
    tl.store(y + p[:, None] * n + j[None, :], s.to(y.dtype.element_ty), mask=(p < pixels)[:, None] & (j < n)[None, :])


@triton.jit
def conv3x3_dx(
    dy, w, scales, dx, height, width, c, n, ho, wo,
    STRIDE: tl.constexpr, SCALED: tl.constexpr, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr,
):
    """dx of stride 1 or 2 with one row of zeros before the image; grid (c / BN, pixels / BM, B·STRIDE²).

    With stride 2 the pixels are in four classes, by whether row and column are odd, which meet 1, 2, 2 and 4 taps; a
    block has pixels of one class. `pixels` is that of the largest class, ⌈h/2⌉·⌈w/2⌉; with stride 1 there is one class.
    """
    kind = tl.program_id(2) % (STRIDE * STRIDE)
    image = (tl.program_id(2) // (STRIDE * STRIDE)).to(tl.int64)
    odd_row, odd_column = kind // STRIDE, kind % STRIDE
    across = (width - odd_column + STRIDE - 1) // STRIDE
    pixels = (height - odd_row + STRIDE - 1) // STRIDE * across
    p = tl.program_id(1) * BM + tl.arange(0, BM)
    row, column = p // across, p % across
    if STRIDE == 1:
        taps_down, taps_across = 3, 3
    else:
        taps_down, taps_across = 1 + odd_row, 1 + odd_column
    j0 = tl.program_id(0) * BN
    j, l = j0 + tl.arange(0, BN), tl.arange(0, BK)
    dy += image * ho * wo * n
    dx += image * height * width * c
    chunks = tl.cdiv(n, BK)
    s = tl.zeros((BM, BN), tl.float32)
    for step in range(0, taps_down * taps_across * chunks):
        tap, n0 = step // chunks, step % chunks * BK
        nn = n0 + l
        down, across_tap = tap // taps_across, tap % taps_across
        if STRIDE == 1:
            r, q = row + 1 - down, column + 1 - across_tap
            weight = tap
        else:
            r, q = row + odd_row - down, column + odd_column - across_tap
            weight = (1 - odd_row + 2 * down) * 3 + 1 - odd_column + 2 * across_tap
        there = (p < pixels) & (r >= 0) & (r < ho) & (q >= 0) & (q < wo)
        a = tl.load(dy + (r * wo + q)[:, None] * n + nn[None, :], mask=there[:, None] & (nn < n)[None, :], other=0.0)
        at = nn * (9 * c) + weight * c
        b = tl.load(w + at[:, None] + j[None, :], mask=(nn < n)[:, None] & (j < c)[None, :], other=0)
        if SCALED:
            scale = tl.load(scales + (at + j0) // 128, mask=nn < n, other=0.0)
            b = (b.to(tl.float32) * scale[:, None]).to(a.dtype)
        s = tl.dot(a, b, s)
    to = (row * STRIDE + odd_row) * width + column * STRIDE + odd_column
    tl.store(
        dx + to[:, None] * c + j[None, :], s.to(dx.dtype.element_ty), mask=(p < pixels)[:, None] & (j < c)[None, :]
    )

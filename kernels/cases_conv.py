"""Launches of the 3x3 convolutions with their right results; see cases.py."""

import numpy as np

from cases import Case, Maker, blocks, shrunk

# Batch, height, width, channels in and out: levels of 512x448, 832x1216 and 512x512, and latents padded to 16 channels.
IMAGES = ((1, 8, 7, 1280, 1280), (1, 13, 19, 320, 640), (3, 4, 4, 1920, 320), (1, 10, 11, 16, 320), (1, 9, 6, 320, 16))


def images(variant, side_c, side_n):
    """Sizes with fewer channels."""
    found = []
    for at, (b, h, w, c, n) in enumerate(IMAGES):
        if not variant.fixed["SCALED"] or c % 64 == 0:
            most = 2 if at == 0 else 1
            found.append((b, h, w, shrunk(c, side_c, most), shrunk(n, side_n, most)))
    return found


def padded(x, pad):
    """`pad` rows and columns of zeros before an image, and two behind, which stands for as many as are needed."""
    return np.pad(x, ((0, 0), (pad, 2), (pad, 2), (0, 0)))


def conv3x3(variant, half):
    """y of stride 1 or 2."""
    tile, stride = variant.tile, variant.fixed["STRIDE"]
    for at, (b, h, w, c, n) in enumerate(images(variant, tile["BK"], tile["BN"])):
        # The VAE halves an image with zeros behind it only.
        pad = 1 if stride == 1 or at % 2 == 0 else 0
        ho, wo = (h, w) if stride == 1 else ((h + pad - 2) // 2 + 1, (w + pad - 2) // 2 + 1)
        make = Maker(variant, half, h * w + c)
        x, bias = make.given(b, h, w, c), make.given(n, kind="f32")
        weights, scales, values = make.weights(n, 3, 3, c, scale=(9 * c) ** -0.5)
        wide = padded(x.numbers(), pad)
        right = np.zeros((b, ho, wo, n)) + bias.numbers()
        for i in range(3):
            for j in range(3):
                right += wide[:, i : i + stride * ho : stride, j : j + stride * wo : stride] @ values[:, i, j].T
        arguments = dict(
            x=x, w=weights, scales=scales, bias=bias, y=make.asked(b, ho, wo, n),
            height=h, width=w, c=c, n=n, ho=ho, wo=wo, pad=pad,
        )
        grid = (blocks(n, tile["BN"]), blocks(ho * wo, tile["BM"]), b)
        yield Case(variant, f"batch {b}, {h}x{w}, {c} to {n} channels, pad {pad}", grid, arguments, {"y": right})


def conv3x3_dx(variant, half):
    """dx of stride 1 or 2, by adding each pixel of dy where it came from."""
    tile, stride = variant.tile, variant.fixed["STRIDE"]
    for b, h, w, c, n in images(variant, tile["BN"], tile["BK"]):
        ho, wo = (h - 1) // stride + 1, (w - 1) // stride + 1
        make = Maker(variant, half, h * w + n)
        dy = make.given(b, ho, wo, n)
        weights, scales, values = make.weights(n, 3, 3, c, scale=(9 * n) ** -0.5)
        wide = np.zeros((b, h + 3, w + 3, c))
        for i in range(3):
            for j in range(3):
                wide[:, i : i + stride * ho : stride, j : j + stride * wo : stride] += dy.numbers() @ values[:, i, j]
        arguments = dict(
            dy=dy, w=weights, scales=scales, dx=make.asked(b, h, w, c), height=h, width=w, c=c, n=n, ho=ho, wo=wo
        )
        pixels = blocks(h, stride) * blocks(w, stride)
        grid = (blocks(c, tile["BN"]), blocks(pixels, tile["BM"]), b * stride * stride)
        right = wide[:, 1 : h + 1, 1 : w + 1]
        yield Case(variant, f"batch {b}, {h}x{w}, {c} of {n} channels", grid, arguments, {"dx": right})

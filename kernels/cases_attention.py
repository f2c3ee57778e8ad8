"""Launches of attention and its gradients with their right results; see cases.py."""

import numpy as np

from cases import Case, Maker, blocks, shrunk

# Queries and keys: levels of 512², 512x448 and 832x1216 to themselves, and to a prompt of 77, 154 or 231 tokens.
TOKENS = ((4096, 4096), (224, 224), (56, 56), (988, 988), (3952, 77), (247, 154), (64, 231))
CAUSAL = ((77, 77), (231, 231))


def sizes(variant):
    """Batch, heads, queries, keys."""
    tile = variant.tile
    if variant.fixed["CAUSAL"]:
        return [(1, 2, *CAUSAL[0]), (3, 1, *CAUSAL[1])]
    if variant.fixed["D"] == 512:  # the VAE's
        return [(1, 1, 70, 70), (2, 1, 64, 64)]
    found = []
    for at, (s, t) in enumerate(TOKENS):
        size = (3 if at == 3 else 1, 2 if at in (1, 5) else 1, shrunk(s, tile["BM"]), shrunk(t, tile["BN"]))
        if size not in found:
            found.append(size)
    return found


class Head:
    """All of it in f64, arrays [B, heads, rows, D]."""

    def __init__(self, variant, half, size, level):
        b, heads, s, t = size
        d = variant.fixed["D"]
        self.make = Maker(variant, half, s * t + d)
        self.scale = d**-0.5
        # With `level`, all scores are far below 0: then a key that is not there must not count as a score of 0.
        self.q = self.make.given(b, s, heads, d, offset=level)
        self.k = self.make.given(b, t, heads, d, offset=-level)
        self.v, self.dy = self.make.given(b, t, heads, d), self.make.given(b, s, heads, d)
        q, k, v, dy = (x.numbers().transpose(0, 2, 1, 3) for x in (self.q, self.k, self.v, self.dy))
        scores = q @ k.transpose(0, 1, 3, 2) * self.scale
        if variant.fixed["CAUSAL"]:
            scores = np.where(np.tri(s, t, dtype=bool), scores, -np.inf)
        most = scores.max(-1, keepdims=True)
        p = np.exp(scores - most)
        total = p.sum(-1, keepdims=True)
        p /= total
        self.lse = ((most + np.log(total)) / np.log(2))[..., 0]
        o = p @ v
        self.delta = (dy * o).sum(-1)
        ds = p * (dy @ v.transpose(0, 1, 3, 2) - self.delta[..., None])
        back = lambda x: x.transpose(0, 2, 1, 3)
        self.o, self.dq = back(o), back(ds @ k * self.scale)
        self.dk, self.dv = back(ds.transpose(0, 1, 3, 2) @ q * self.scale), back(p.transpose(0, 1, 3, 2) @ dy)


def each(variant, half):
    """The sizes, and for the first one once more with scores far below 0."""
    for at, size in enumerate(sizes(variant)):
        yield size, Head(variant, half, size, 0.0)
    small = (1, 1, 70, 77) if not variant.fixed["CAUSAL"] else (1, 1, 77, 77)
    yield small, Head(variant, half, small, 3.0 * (40 / variant.fixed["D"]) ** 0.25)


def words(variant, size):
    b, heads, s, t = size
    return f"batch {b}, {heads} heads of {variant.fixed['D']}, {s} queries, {t} keys"


def attention(variant, half):
    """o and lse."""
    for size, head in each(variant, half):
        b, heads, s, t = size
        make = head.make
        arguments = dict(
            q=head.q, k=head.k, v=head.v, o=make.asked(*head.o.shape), lse=make.asked(b, heads, s, kind="f32"),
            heads=heads, s=s, t=t, scale=head.scale,
        )
        grid = (blocks(s, variant.tile["BM"]), heads, b)
        yield Case(variant, words(variant, size), grid, arguments, {"o": head.o, "lse": head.lse})


def attention_dq(variant, half):
    """dq and delta; o and lse are those of f64, rounded."""
    for size, head in each(variant, half):
        b, heads, s, t = size
        make = head.make
        o, lse = make.given(*head.o.shape), make.given(b, heads, s, kind="f32")
        o.set(head.o)
        lse.set(head.lse)
        arguments = dict(
            q=head.q, k=head.k, v=head.v, o=o, dy=head.dy, lse=lse, delta=make.asked(b, heads, s, kind="f32"),
            dq=make.asked(*head.dq.shape), heads=heads, s=s, t=t, scale=head.scale,
        )
        grid = (blocks(s, variant.tile["BM"]), heads, b)
        yield Case(variant, words(variant, size), grid, arguments, {"dq": head.dq, "delta": head.delta})


def attention_dkdv(variant, half):
    """dk and dv."""
    for size, head in each(variant, half):
        b, heads, s, t = size
        make = head.make
        lse, delta = make.given(b, heads, s, kind="f32"), make.given(b, heads, s, kind="f32")
        lse.set(head.lse)
        delta.set(head.delta)
        arguments = dict(
            q=head.q, k=head.k, v=head.v, dy=head.dy, lse=lse, delta=delta, dk=make.asked(*head.dk.shape),
            dv=make.asked(*head.dv.shape), heads=heads, s=s, t=t, scale=head.scale,
        )
        grid = (blocks(t, variant.tile["BN"]), heads, b)
        yield Case(variant, words(variant, size), grid, arguments, {"dk": head.dk, "dv": head.dv})


"""Latents on disk by sd-scripts' own LatentsCachingStrategy, as `--cache_latents_to_disk` leaves them beside images.

Run: python oracle/latents_npz.py SD_SCRIPTS                  writes crates/weights/tests/golden/npz (needs numpy, torch)
     python oracle/latents_npz.py SD_SCRIPTS FILE WIDTH HEIGHT   reads a file of ours as sd-scripts does, for this bucket
SD_SCRIPTS is a checkout of kohya-ss/sd-scripts 48d368fa; the class is taken out of its file, which imports a lot more.
"""
import ast
import os
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Callable, List, Optional, Tuple

import numpy as np
import torch

OUT = Path(__file__).resolve().parent.parent / "crates/weights/tests/golden/npz"


def strategy():
    """An instance of the class, with the caches on disk switched on."""
    source = (Path(sys.argv[1]) / "library/strategy_base.py").read_text()
    node = next(n for n in ast.parse(source).body if getattr(n, "name", None) == "LatentsCachingStrategy")
    scope = {"np": np, "torch": torch, "os": os, "Any": Any, "Callable": Callable, "List": List, "Optional": Optional,
             "Tuple": Tuple, "logger": SimpleNamespace(error=print)}
    exec(compile(ast.Module([node], []), "strategy_base.py", "exec"), scope)
    return scope["LatentsCachingStrategy"](True, 1, False)


def numbers(*shape, first=0):
    """Value i is ((37 i + first) mod 101) / 8 - 6, exact in every float."""
    return torch.tensor((np.arange(np.prod(shape)) * 37 + first) % 101 / 8 - 6, dtype=torch.float32).reshape(shape)


def write():
    OUT.mkdir(parents=True, exist_ok=True)
    for old in OUT.glob("*.npz"):
        old.unlink()
    caches = strategy()
    # Up to 0.10 SD's arrays have plain names; since 0.11 they have a suffix, as newer models' had before, and several
    # sizes share a file. The image is 72 by 64 pixels, its buckets 64 by 64 and 128 by 64.
    crop = (0, 3.0, 64, 61.0)
    caches.save_latents_to_disk(str(OUT / "plain.npz"), numbers(4, 8, 8), (72, 64), crop,
                                numbers(4, 8, 8, first=5), numbers(64, 64, first=9).clamp(0, 1))
    for width, suffix in ((8, "_8x8"), (16, "_8x16")):
        caches.save_latents_to_disk(str(OUT / "sizes.npz"), numbers(4, 8, width, first=width), (72, 64), crop, None, None, suffix)
    np.savez_compressed(OUT / "packed.npz", latents=numbers(4, 8, 8).numpy(), original_size=np.array((72, 64), np.int32),
                        words=np.array(["not", "numbers"]), fortran=np.asfortranarray(numbers(4, 8).numpy()))


def check(file, width, height):
    caches = strategy()
    with np.load(file) as npz:
        for name in npz.files:
            print(f"{name}: {npz[name].dtype} {npz[name].shape}")
    for stride, flip in ((None, True), (None, False), (8, True), (8, False)):
        sizes = stride is not None
        expected = caches._default_is_disk_cached_latents_expected(8, (width, height), file, flip, False, sizes)
        print(f"{'with' if sizes else 'without'} sizes in names, {'' if flip else 'not '}flipped: usable {expected}")
        if expected:
            latents, size, crop, flipped, alpha = caches._default_load_latents_from_disk(stride, file, (width, height))
            print("  ", latents.dtype, latents.shape, size, crop, None if flipped is None else flipped.shape,
                  None if alpha is None else (alpha.dtype, alpha.shape), f"std {latents.std():.4f}")


if len(sys.argv) > 2:
    check(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
else:
    write()

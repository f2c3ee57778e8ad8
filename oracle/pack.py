"""Writing golden files: one place for seeds, dtypes and the report of what was written.

Not a test and not read by one: `cargo test` reads only the .safetensors files that the generators leave behind.
"""

import argparse
import hashlib
import pathlib
import zlib

import torch
from safetensors.torch import save_file


def arguments(doc, **extra):
    """Parser with the one positional argument that every generator takes: where to write."""
    parser = argparse.ArgumentParser(description=doc.strip().splitlines()[0])
    parser.add_argument("out", type=pathlib.Path, help="file to write")
    for name, options in extra.items():
        parser.add_argument("--" + name.replace("_", "-"), **options)
    return parser


def normal(name, shape, scale=1.0, dtype=torch.float32):
    """Unit normal values that depend only on `name`, so that adding a tensor never changes the others."""
    generator = torch.Generator().manual_seed(zlib.crc32(name.encode()))
    return (torch.randn(shape, generator=generator, dtype=torch.float32) * scale).to(dtype)


def uniform(name, shape, low=-1.0, high=1.0):
    """Uniform values in [low, high) that depend only on `name`."""
    generator = torch.Generator().manual_seed(zlib.crc32(name.encode()))
    return torch.rand(shape, generator=generator, dtype=torch.float32) * (high - low) + low


class Pack(dict):
    """Named tensors on their way into one golden file."""

    def put(self, name, tensor, dtype=torch.float32):
        """Keeps a detached copy; floating tensors become `dtype`, integers stay. Refuses NaN and doubles."""
        if name in self:
            raise KeyError(f"{name} written twice")
        tensor = tensor.detach().to("cpu")
        if tensor.is_floating_point():
            if not torch.isfinite(tensor).all():
                raise ValueError(f"{name} is not finite")
            tensor = tensor.to(dtype)
        self[name] = tensor.contiguous().clone()
        return tensor

    def write(self, path, metadata=None):
        """Writes the file and prints every tensor with a fingerprint that is enough to see a change."""
        path = pathlib.Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        # The metadata goes through a Rust hash map in safetensors, whose order is random: at most one entry,
        # or two runs would not give the same bytes.
        text = "; ".join(f"{k}={v}" for k, v in sorted((metadata or {}).items()))
        save_file(dict(self), str(path), metadata={"generator": text})
        path.chmod(0o644)  # safetensors 0.8 makes files that only their owner can read
        for name in sorted(self):
            t = self[name]
            stats = f"mean {t.double().mean():+.6f} std {t.double().std(correction=0):.6f}"
            print(f"  {name:72s} {str(t.dtype)[6:]:8s} {str(tuple(t.shape)):20s} {stats}")
        data = path.read_bytes()
        print(f"wrote {path}: {len(self)} tensors, {len(data)} bytes, sha256 {hashlib.sha256(data).hexdigest()[:16]}")

"""Small PyTorch checkpoints as torch.save leaves them, and malicious ones, for the reader of `.ckpt` files.

Run: python oracle/torch_files.py       writes crates/weights/tests/golden/torch (needs torch and NumPy)
Values are those of `numbers` in crates/weights/tests/weights/torch_files.rs. The malicious files are never loaded.
"""
import builtins
import collections
import os
import pickle
import sys
import types
from pathlib import Path

import numpy as np
import torch

OUT = Path(__file__).resolve().parent.parent / "crates/weights/tests/golden/torch"


def numbers(*shape, dtype=torch.float32):
    """Value i is i / 2 - 1, or i for whole numbers."""
    values = torch.arange(int(np.prod(shape))).reshape(shape)
    return values.to(dtype) if not dtype.is_floating_point else (values / 2 - 1).to(dtype)


class Runs:
    def __init__(self, function, *args):
        self.call = function, args

    def __reduce__(self):
        return self.call


def in_lightning(kind):
    """Lets pickles call a class as if it were Lightning's."""
    name = "pytorch_lightning.callbacks.model_checkpoint"
    for end in [len("pytorch_lightning"), len("pytorch_lightning.callbacks"), len(name)]:
        sys.modules[name[:end]] = types.ModuleType(name[:end])
    setattr(sys.modules[name], kind.__name__, kind)
    kind.__module__ = name


class ModelCheckpoint:
    """Stands for Lightning's class in `pytorch_lightning.callbacks.model_checkpoint`, whose name the files of whole models
    have; the other files keep `__main__`, as a class that nobody knows."""

    def __init__(self):
        self.best = np.float64(0.5)


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    base = numbers(4, 6)
    weights = collections.OrderedDict(
        f32=numbers(2, 3), f16=numbers(2, 3, dtype=torch.float16), bf16=numbers(2, 3, dtype=torch.bfloat16),
        f64=numbers(2, 3, dtype=torch.float64), i64=numbers(1, 5, dtype=torch.int64),
        u8=numbers(3, dtype=torch.uint8), turned=numbers(2, 3).t(), part=base[1:3, 2:5], shared=base[2],
        scalar=torch.tensor(7.0), empty=torch.zeros(0, 4), parameter=torch.nn.Parameter(numbers(2)),
        permuted=numbers(2, 3, 4).permute(2, 0, 1))
    weights._metadata = {"": {"version": 1}}
    whole = {"epoch": 3, "global_step": 10, "rate": 0.5, "callbacks": {ModelCheckpoint: ModelCheckpoint()},
             "hyper": np.float32(1), "size": torch.Size([1, 2]), "state_dict": weights}
    in_lightning(ModelCheckpoint)
    torch.save(whole, OUT / "zip.ckpt")
    torch.save(whole, OUT / "zip_protocol_4.ckpt", pickle_protocol=4)
    torch.save(whole, OUT / "legacy.ckpt", _use_new_zipfile_serialization=False)
    ModelCheckpoint.__module__ = "__main__"
    small = {"e4m3": numbers(6).to(torch.float8_e4m3fn), "e5m2": numbers(6).to(torch.float8_e5m2),
             "u16": torch.arange(3).to(torch.uint16), "part": numbers(6).to(torch.float8_e4m3fn).reshape(2, 3)[1, 1:]}
    torch.save(small, OUT / "small_types.ckpt")
    torch.save(small, OUT / "small_types_legacy.ckpt", _use_new_zipfile_serialization=False)
    torch.serialization.set_crc32_options(False)
    torch.save(whole, OUT / "zip_without_checksums.ckpt")
    torch.serialization.set_crc32_options(True)
    plain = {"string_to_token": {"*": 265}, "string_to_param": {"*": numbers(2, 768)}, "name": "penny", "step": 499,
             "sd_checkpoint": "4bdfc29c", "sd_checkpoint_name": "v1-5"}
    kept = torch.nn.ParameterDict({"*": torch.nn.Parameter(numbers(2, 768))})
    torch.save(plain, OUT / "embedding.pt")
    torch.save({**plain, "string_to_param": kept, "sd_checkpoint": None, "sd_checkpoint_name": None},
               OUT / "embedding_parameters.pt")
    torch.save({**plain, "string_to_param": kept}, OUT / "embedding_legacy.pt", _use_new_zipfile_serialization=False)
    torch.save({"<penny>": numbers(1024)}, OUT / "learned_embeds.bin")
    torch.save({"w": numbers(2).expand(5, 2)}, OUT / "expanded.ckpt")
    torch.save({"w": numbers(2), "odd": ModelCheckpoint()}, OUT / "object_among_weights.ckpt")
    torch.save(ModelCheckpoint(), OUT / "object.ckpt")
    torch.save([numbers(2)], OUT / "list.ckpt")
    for name, value in {"system": Runs(os.system, "touch ran"), "eval": Runs(builtins.eval, "1"),
                        "nested": [{"a": (Runs(builtins.exec, "1"),)}]}.items():
        for protocol in (2, 4):
            torch.save({"state_dict": {"w": numbers(2)}, "x": value}, OUT / f"evil_{name}_{protocol}.ckpt",
                       pickle_protocol=protocol)
    torch.save(Runs(os.system, "touch ran"), OUT / "evil_legacy.ckpt", _use_new_zipfile_serialization=False)
    (OUT / "evil_bare.ckpt").write_bytes(pickle.dumps(Runs(os.system, "touch ran"), protocol=2))


main()

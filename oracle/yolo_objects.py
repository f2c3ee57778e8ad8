"""A detector as ultralytics saves it (a pickle of objects), for the reader of PyTorch's files; every tensor is tiny.

Run: python oracle/yolo_objects.py      writes crates/weights/tests/golden/torch/yolo_objects.pt
The classes are empty ones under the names of torch and ultralytics, so that neither is needed: an object's state is all
that such a file keeps of it.
"""
import collections
import io
import pickle
import struct
import sys
import types
import zipfile
from pathlib import Path

OUT = Path(__file__).resolve().parent.parent / "crates/weights/tests/golden/torch/yolo_objects.pt"


def of(place, name, **more):
    """A class or function under the name that the file is to have for it."""
    parts = place.split(".")
    for end in range(1, len(parts) + 1):
        sys.modules.setdefault(".".join(parts[:end]), types.ModuleType(".".join(parts[:end])))
    made = type(name, (), {"__module__": place, **more})
    setattr(sys.modules[place], name, made)
    return made


FloatStorage = of("torch", "FloatStorage")
DetectionModel = of("ultralytics.nn.tasks", "DetectionModel")
Conv = of("ultralytics.nn.modules.conv", "Conv")
Sequential = of("torch.nn.modules.container", "Sequential")
Conv2d = of("torch.nn.modules.conv", "Conv2d")
BatchNorm2d = of("torch.nn.modules.batchnorm", "BatchNorm2d")
SiLU = of("torch.nn.modules.activation", "SiLU")
Namespace = of("ultralytics.utils", "IterableSimpleNamespace")


def _rebuild_tensor_v2(*_):
    """Stands for torch's."""


_rebuild_tensor_v2.__module__ = "torch._utils"
of("torch._utils", "any")
sys.modules["torch._utils"]._rebuild_tensor_v2 = _rebuild_tensor_v2


class Storage:
    def __init__(self, key, count):
        self.key, self.count = key, count


class Tensor:
    """A tensor of as many numbers as its shape says, all of them its own number."""

    def __init__(self, shape):
        self.shape, self.storage = shape, None

    def __reduce__(self):
        strides, step = [], 1
        for extent in reversed(self.shape):
            strides.insert(0, step)
            step *= extent
        self.storage = Storage(str(len(STORAGES)), step)
        STORAGES.append(self.storage)
        return _rebuild_tensor_v2, (self.storage, 0, self.shape, tuple(strides), False, collections.OrderedDict())


STORAGES = []


class Pickler(pickle.Pickler):
    def persistent_id(self, value):
        if isinstance(value, Storage):
            return "storage", FloatStorage, value.key, "cpu", value.count
        return None


def module(kind, parameters=(), buffers=(), modules=(), **more):
    made = kind()
    made.__dict__.update(training=False, _parameters=collections.OrderedDict(parameters))
    made.__dict__.update(_buffers=collections.OrderedDict(buffers), _non_persistent_buffers_set=set())
    made.__dict__.update(_forward_hooks=collections.OrderedDict(), _modules=collections.OrderedDict(modules), **more)
    return made


def conv():
    norm = [(name, Tensor((2,))) for name in ["weight", "bias"]]
    running = [(name, Tensor((2,))) for name in ["running_mean", "running_var"]]
    return module(
        Conv,
        modules=[
            ("conv", module(Conv2d, [("weight", Tensor((2, 3, 3, 3))), ("bias", None)], stride=(2, 2))),
            ("bn", module(BatchNorm2d, norm, running + [("num_batches_tracked", Tensor(()))], eps=1e-3)),
            ("act", module(SiLU)),
        ],
    )


def named(path, leaf):
    """A row of objects along a path."""
    for part in reversed(path.split(".")):
        leaf = module(Sequential, modules=[(part, leaf)])
    return leaf


def head(name):
    return module(Sequential, modules=[(name, conv())])


def main():
    layers = [
        ("0", conv()),
        ("2", head("cv1")),
        ("22", module(Sequential, modules=[("cv2", conv()), ("cv3", conv())], stride=Tensor((3,)))),
    ]
    model = module(DetectionModel, modules=[("model", module(Sequential, modules=layers))], names={0: "face", 1: "hand"})
    model.args = Namespace()
    whole = {"date": "2024-01-01", "epoch": -1, "model": model, "ema": None, "optimizer": None, "train_args": {"lr": 0.01}}
    text = io.BytesIO()
    Pickler(text, protocol=2).dump(whole)
    with zipfile.ZipFile(OUT, "w", zipfile.ZIP_STORED) as archive:
        def put(name, data):
            archive.writestr(zipfile.ZipInfo(f"yolo/{name}", (1980, 1, 1, 0, 0, 0)), data)

        put("data.pkl", text.getvalue())
        put("byteorder", b"little")
        for storage in STORAGES:
            put(f"data/{storage.key}", struct.pack(f"<{storage.count}f", *[float(storage.key)] * storage.count))
        put("version", b"3\n")


if __name__ == "__main__":
    main()

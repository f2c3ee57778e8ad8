"""A small hypernetwork in the form of the web UI's `.pt` files, and what becomes of keys and values.

Needs numpy only: the pickle is written with stand-ins for torch's classes, so that it has the very opcodes that
`torch.save` writes, and the networks are computed in f64 by their definition: x + m * MLP(x).

    python oracle/hypernetwork.py crates/lora/tests/golden
"""

import io
import json
import pickle
import struct
import sys
import types
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np

MULTIPLIER = 0.7

torch = types.ModuleType("torch")
utils = types.ModuleType("torch._utils")


class FloatStorage:
    pass


def _rebuild_tensor_v2(*arguments):
    raise NotImplementedError


FloatStorage.__module__ = "torch"
FloatStorage.__qualname__ = "FloatStorage"
_rebuild_tensor_v2.__module__ = "torch._utils"
torch.FloatStorage = FloatStorage
torch._utils = utils
utils._rebuild_tensor_v2 = _rebuild_tensor_v2
sys.modules["torch"] = torch
sys.modules["torch._utils"] = utils


class Storage:
    def __init__(self, key, values):
        self.key = key
        self.values = values


class Tensor:
    """Pickled as a tensor of torch is."""

    count = 0

    def __init__(self, values):
        self.storage = Storage(str(Tensor.count), values.astype("<f4"))
        Tensor.count += 1

    def __reduce__(self):
        values = self.storage.values
        strides = tuple(stride // 4 for stride in values.strides)
        return _rebuild_tensor_v2, (self.storage, 0, values.shape, strides, False, OrderedDict())


def save(path, whole):
    storages = []

    class Pickler(pickle.Pickler):
        def persistent_id(self, thing):
            if not isinstance(thing, Storage):
                return None
            storages.append(thing)
            return ("storage", FloatStorage, thing.key, "cpu", thing.values.size)

    data = io.BytesIO()
    Pickler(data, protocol=2).dump(whole)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        def write(name, content):
            archive.writestr(zipfile.ZipInfo(f"{path.stem}/{name}", (1980, 1, 1, 0, 0, 0)), content)

        write("data.pkl", data.getvalue())
        for storage in storages:
            write(f"data/{storage.key}", storage.values.tobytes())
        write("version", "3\n")


def state(random, width, layer_norm):
    """Layers 1, 2, 1 times as wide, with an activation behind each and perhaps a norm behind that."""
    layers = OrderedDict()
    at = 0
    for inputs, outputs in [(width, 2 * width), (2 * width, width)]:
        layers[f"linear.{at}.weight"] = random.normal(size=(outputs, inputs)) / np.sqrt(inputs)
        layers[f"linear.{at}.bias"] = random.normal(size=outputs)
        at += 2
        if layer_norm:
            layers[f"linear.{at}.weight"] = random.normal(size=outputs)
            layers[f"linear.{at}.bias"] = random.normal(size=outputs)
            at += 1
    return OrderedDict((name, values.astype(np.float32)) for name, values in layers.items())


def hardswish(x):
    return x * np.clip(x + 3, 0, 6) / 6


def through(layers, x, activate_output):
    """x + m * MLP(x) in f64."""
    names = [name.removesuffix(".weight") for name in layers if name.endswith(".weight")]
    last = [name for name in names if layers[f"{name}.weight"].ndim == 2][-1]
    y = x
    for name in names:
        weight = layers[f"{name}.weight"].astype(np.float64)
        bias = layers[f"{name}.bias"].astype(np.float64)
        if weight.ndim == 2:
            y = y @ weight.T + bias
            if name != last or activate_output:
                y = hardswish(y)
        else:
            y = (y - y.mean(-1, keepdims=True)) / np.sqrt(y.var(-1, keepdims=True) + 1e-5) * weight + bias
    return x + MULTIPLIER * y


def safetensors(path, tensors):
    header, data = {}, b""
    for name, values in tensors.items():
        raw = values.astype("<f4").tobytes()
        header[name] = {"dtype": "F32", "shape": values.shape, "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def main():
    out = Path(sys.argv[1])
    random = np.random.default_rng(21)
    recorded = {}
    for name, layer_norm, activate_output in [("plain", False, False), ("normed", True, True)]:
        whole = {16: [state(random, 16, layer_norm) for _ in range(2)]}
        x = random.normal(size=(2, 3, 16)).astype(np.float32)
        recorded[f"{name}.x"] = x
        for which, layers in zip(["keys", "values"], whole[16]):
            recorded[f"{name}.{which}"] = through(layers, x.astype(np.float64), activate_output)
        file = {width: [OrderedDict((k, Tensor(v)) for k, v in layers.items()) for layers in pair]
                for width, pair in whole.items()}
        file |= {"step": 100, "name": name, "layer_structure": [1, 2, 1], "activation_func": "swish",
                 "is_layer_norm": layer_norm, "weight_initialization": "Normal", "use_dropout": False,
                 "sd_checkpoint": None, "sd_checkpoint_name": None, "activate_output": activate_output,
                 "last_layer_dropout": False, "dropout_structure": None, "optional_info": None}
        save(out / f"hypernetwork_{name}.pt", file)
    safetensors(out / "hypernetwork.safetensors", recorded)


main()

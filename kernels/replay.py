"""Runs what lorabake's host side recorded (crates/ops/src/device/cuda/recording.rs) in Triton's interpreter, in order.

Usage: python kernels/replay.py FOLDER [--processes N]
For each FOLDER/NAME.json and NAME.bin writes NAME.out: the results in f32, one after another. Prints what is wrong, a
line each: arguments that are not the kernel's, an array that was written outside, an input that was changed. 16-bit
numbers are f16, as in interpret.py.
"""

import argparse
import concurrent.futures
import functools
import json
import os
import pathlib
import sys

import numpy as np

import table
from buffers import Buffer, to_bits

STORED = {"half": np.float16, "f32": np.float32, "i8": np.int8}


@functools.cache
def manifest():
    """What is compiled, by target and name."""
    entries = json.loads((table.HERE / "ptx/manifest.json").read_text(encoding="utf-8"))
    return {(entry["target"], entry["name"]): entry for entry in entries}


@functools.cache
def variants():
    """What it was compiled of, by name."""
    return {variant.name: variant for variant in table.variants()}


def given(entry, data):
    """An array with its numbers, or one that is still to be written."""
    if entry["at"] is None:
        return Buffer(entry["kind"], shape=entry["shape"])
    count = int(np.prod(entry["shape"]))
    values = np.frombuffer(data, STORED[entry["kind"]], count, entry["at"])
    return Buffer(entry["kind"], values.reshape(entry["shape"]))


def launch(step, arrays):
    """Interprets one launch; what is wrong."""
    import interpret

    wanted = [name for name, _ in manifest()[step["target"], step["kernel"]]["parameters"]]
    names = [name for name, _ in step["arguments"]]
    if names != wanted:
        return [f"is given {names}; its parameters are {wanted}"]
    arguments = {}
    for name, value in step["arguments"]:
        arguments[name] = arrays[value["buffer"]] if "buffer" in value else next(iter(value.values()))
    variant = variants()[step["kernel"]]
    module = interpret.importlib.import_module(variant.file)
    with np.errstate(all="ignore"):
        getattr(module, variant.function)[tuple(step["grid"])](**arguments, **variant.constants)
    return [f"changes {name} where it must not" for name, value in arguments.items()
            if isinstance(value, Buffer) and value.changed_outside()]


def seen(term, arrays):
    """An array with the extents that it is seen with."""
    return arrays[term["buffer"]].numbers().reshape(term["shape"])


def store(to, values):
    """Writes numbers in the type of an array."""
    to.data[:] = (to_bits(values, to.half) if to.kind == "half" else values).reshape(-1)


def resized(step, arrays):
    """Zeros behind what is there, or what lies behind left out."""
    source, to = seen(step["from"], arrays), arrays[step["to"]]
    there = tuple(slice(min(extents)) for extents in zip(source.shape, to.shape, strict=True))
    values = np.zeros(to.shape)
    values[there] = source[there]
    store(to, values)


def added(step, arrays):
    """A sum in 16 bits."""
    first, second = (seen(term, arrays) for term in step["terms"])
    to = arrays[step["to"]]
    store(to, np.broadcast_to(first + second, to.shape))


def replay(path):
    """Runs one recording and writes its results; what is wrong, and how many launches there were."""
    recording = json.loads(path.read_text(encoding="utf-8"))
    data = path.with_suffix(".bin").read_bytes()
    arrays = [given(entry, data) for entry in recording["buffers"]]
    found, count = [], 0
    for number, step in enumerate(recording["steps"]):
        kind, content = next(iter(step.items()))
        if kind == "launch":
            count += 1
            words = f"{path.stem}, step {number}, {content['kernel']}"
            found += [f"{words}: {what}" for what in launch(content, arrays)]
        else:
            {"resized": resized, "sum": added}[kind](content, arrays)
    with open(path.with_suffix(".out"), "wb") as file:
        for result in recording["results"]:
            file.write(arrays[result].numbers().astype(np.float32).tobytes())
    return found, count


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    options = parser.parse_args()
    # The longest first, so that no process ends with it alone.
    paths = sorted(options.folder.glob("*.json"), key=lambda path: path.stat().st_size, reverse=True)
    with concurrent.futures.ProcessPoolExecutor(options.processes) as pool:
        results = list(pool.map(replay, paths))
    found = [line for lines, _ in results for line in lines]
    for line in found:
        print(line)
    print(f"replay: {len(paths)} recordings, {sum(count for _, count in results)} launches")
    sys.exit(1 if found or not paths else 0)


if __name__ == "__main__":
    main()

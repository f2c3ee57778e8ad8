"""Writes launches with their right results for `smallest`, which replays them on a GPU with the PTX that is shipped.

Usage: python kernels/record.py FOLDER [--only WORD]
FOLDER/launches.json: name, grid, arguments and outputs of each; FOLDER/launches.bin: what buffers hold, with their
guards. Needs numpy alone.
"""

import argparse
import json
import pathlib

import numpy as np

import cases
import table


# Numbers of a guard that are recorded: those next to an array.
GUARD = 4096


def written(file, data):
    """Appends bytes at a multiple of 256; returns where."""
    file.write(b"\0" * (-file.tell() % 256))
    at = file.tell()
    file.write(data)
    return at


def launch(case, file):
    """One launch as it goes into the list."""
    arguments = []
    for name, value in case.arguments.items():
        if not hasattr(value, "raw"):
            arguments.append({"number": float(value)} if isinstance(value, float) else {"int": int(value)})
            continue
        left_out = value.guard - GUARD
        raw = value.raw[left_out : value.raw.size - left_out]
        entry = {"at": written(file, raw.tobytes()), "bytes": raw.nbytes, "guard": GUARD * raw.itemsize}
        if name in case.expected:
            right = case.expected[name]
            entry["right"] = written(file, np.asarray(right, np.float32).tobytes())
            entry["type"] = value.half if value.kind == "half" else value.kind
            # bf16 is eight times as coarse as f16.
            entry["bound"] = case.bound * (8 if case.variant.half == "bf16" and case.bound > 1e-3 else 1)
        arguments.append(entry)
    return {"name": case.variant.name, "sizes": case.sizes, "grid": case.grid, "arguments": arguments}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--only", default="", help="kernels with this word in their names")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    launches = []
    with open(options.folder / "launches.bin", "wb") as file:
        for variant in table.variants():
            if options.only in variant.name:
                launches += [launch(case, file) for case in cases.cases_of(variant, variant.half)]
        size = file.tell()
    (options.folder / "launches.json").write_text(json.dumps(launches), encoding="utf-8")
    print(f"{len(launches)} launches, {size // 2**20} MB")


if __name__ == "__main__":
    main()

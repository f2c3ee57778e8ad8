"""tiles.json: which kernels there are, with which tiles, for which processors. Needs no Triton."""

import ast
import dataclasses
import functools
import hashlib
import json
import pathlib

HERE = pathlib.Path(__file__).parent
# What the compiled text depends on beside the kernel's own file.
REQUIREMENTS = (HERE / "requirements.txt").read_text(encoding="utf-8").splitlines()
TRITON = next(line.strip() for line in REQUIREMENTS if line.startswith("triton=="))


@dataclasses.dataclass(frozen=True)
class Variant:
    """One kernel with one tile and one type of 16-bit numbers."""

    kernel: str
    file: str
    function: str
    half: str
    tile: dict
    fixed: dict
    warps: int
    stages: int
    targets: tuple
    most_rows: int = 0

    @property
    def name(self):
        """For instance linear_bf16_128x128x64."""
        return f"{self.kernel}_{self.half}_{'x'.join(str(side) for side in self.tile.values())}"

    @property
    def constants(self):
        """All that is known when it is compiled."""
        return {**self.fixed, **self.tile}


def read():
    """tiles.json as it stands."""
    return json.loads((HERE / "tiles.json").read_text(encoding="utf-8"))


def variants():
    """All of them, in the order of the file."""
    table = read()
    found = []
    for kernel in table["kernels"]:
        for tile in kernel["tiles"]:
            sides = {name: side for name, side in tile.items() if name.isupper()}
            for half in tile.get("half", ["bf16"]):
                found.append(
                    Variant(
                        kernel["name"], kernel["file"], kernel["function"], half, sides, kernel["fixed"],
                        tile["warps"], tile["stages"], tuple(tile.get("targets", table["targets"])),
                        tile.get("most_rows", 0),
                    )
                )
    return found


def tiles_once():
    """One variant for each kernel and tile, whatever its target and type of numbers."""
    found = {}
    for variant in variants():
        found.setdefault((variant.kernel, tuple(variant.tile.items())), variant)
    return list(found.values())


def source_hash(variant, target):
    """Of everything that the compiled text comes from: the kernel's file, its tile, the target, Triton's version."""
    made_for = read()["targets"][target]
    facts = (variant.function, variant.half, variant.constants, variant.warps, variant.stages)
    facts += (made_for["capability"], made_for["ptx"])
    return hashlib.sha256(json.dumps([TRITON, facts, code_of(variant.file)], sort_keys=True).encode()).hexdigest()


@functools.cache
def code_of(name):
    """A file's code without comments and docstrings."""
    tree = ast.parse((HERE / f"{name}.py").read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.FunctionDef)) and ast.get_docstring(node) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return ast.unparse(tree)

"""Compiles all kernels of tiles.json to PTX, without a GPU: ptx/TARGET/NAME.ptx.gz and ptx/manifest.json.

Usage: python kernels/compile.py [--all] [--only WORD]
Only what has changed (by the hash of its source) is compiled, unless --all is given. sm_80 is in PTX 7.0, which every
driver since 450 reads and compiles for the cards from RTX 30 on; sm_90a has Hopper's own instructions. Files name no
folders, and the same sources give the same bytes.
"""

import argparse
import concurrent.futures
import gzip
import importlib
import json
import os
import re
import sys

os.environ["TRITON_DISABLE_LINE_INFO"] = "1"
os.environ["TRITON_DEFAULT_FP_FUSION"] = "1"
os.environ.pop("TRITON_INTERPRET", None)

import table

PTX = table.HERE / "ptx"


def file_of(variant, target):
    """Where its PTX lies, packed."""
    return PTX / target / f"{variant.name}.ptx.gz"


def unpacked(variant, target):
    """Its PTX as text; empty if there is none."""
    path = file_of(variant, target)
    return gzip.decompress(path.read_bytes()).decode() if path.is_file() else ""


def is_current(variant, target):
    """Whether its PTX was made of the sources as they are."""
    return unpacked(variant, target).startswith(f"// source {table.source_hash(variant, target)}\n")


def kind_of(name, types, half):
    """A parameter's type as Triton writes it."""
    eighths = name == "w" and half.endswith("8")
    return {
        "half": "*i8" if eighths else "*" + half.removesuffix("8").replace("f16", "fp16").replace("bfp16", "bf16"),
        "f32": "*fp32",
        "i32": "i32",
        "width": "i32",
        "number": "fp32",
    }[types[name]]


def parameters(variant, names, types):
    """Names and types in the order in which a launch gives them."""
    half = variant.half + ("8" if variant.fixed.get("SCALED") else "")
    return [[name, kind_of(name, types, half)] for name in names if name in types]


def compiled(variant, target):
    """PTX with its facts in the first lines, and its entry of the manifest."""
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    module = importlib.import_module(variant.file)
    function = getattr(module, variant.function)
    kinds = dict(parameters(variant, function.arg_names, module.TYPES))
    signature = {name: kinds.get(name, "constexpr") for name in function.arg_names}
    aligned = [("half", "f32", "width").count(module.TYPES.get(name, "")) for name in function.arg_names]
    attributes = {(at,): [["tt.divisibility", 16]] for at, is_so in enumerate(aligned) if is_so}
    wanted = table.read()["targets"][target]
    kernel = triton.compile(
        ASTSource(function, signature, variant.constants, attrs=attributes),
        target=GPUTarget("cuda", wanted["capability"], 32),
        options={"num_warps": variant.warps, "num_stages": variant.stages, "ptx_version": wanted["ptx"]},
    )
    text = kernel.asm["ptx"]
    entry = re.search(r"\.entry (\w+)\(", text)[1]
    count = len(re.findall(r"\.param", text.split(".entry", 1)[1].split(")", 1)[0]))
    facts = {
        "name": variant.name,
        "kernel": variant.kernel,
        "target": target,
        "half": variant.half,
        "entry": entry,
        "tile": variant.tile,
        "fixed": variant.fixed,
        "most_rows": variant.most_rows,
        "warps": variant.warps,
        "stages": variant.stages,
        "shared": kernel.metadata.shared,
        "parameters": list(map(list, kinds.items())),
        # Triton's own, behind the others: null pointers, which these kernels do not use.
        "more_pointers": count - len(kinds),
        "ptx": f"{target}/{variant.name}.ptx.gz",
    }
    head = f"// source {table.source_hash(variant, target)}\n// shared {kernel.metadata.shared}\n"
    return head + text.rstrip("\0\n") + "\n", facts


def compile_one(variant, target):
    """Writes one file; returns its entry, or the error as text."""
    try:
        text, facts = compiled(variant, target)
    except Exception as error:  # a compiler's, of any kind
        return f"{target} {variant.name}: {type(error).__name__}: {error}"
    path = file_of(variant, target)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(text.encode(), 9, mtime=0))
    return facts


def write_manifest(entries, jobs):
    """What there is, in the order of tiles.json."""
    places = [f"{target}/{variant.name}.ptx.gz" for variant, target in jobs]
    kept = [entries[place] for place in places if place in entries]
    lines = ",\n".join(json.dumps(entry) for entry in kept)
    (PTX / "manifest.json").write_text(f"[\n{lines}\n]\n", encoding="utf-8")
    return len(kept)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--all", action="store_true", help="also what has not changed")
    parser.add_argument("--only", default="", help="kernels with this word in their names")
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    options = parser.parse_args()
    PTX.mkdir(exist_ok=True)
    manifest = PTX / "manifest.json"
    known = json.loads(manifest.read_text(encoding="utf-8")) if manifest.is_file() else []
    entries = {entry["ptx"]: entry for entry in known}
    jobs = [(variant, target) for variant in table.variants() for target in variant.targets]
    due = []
    for variant, target in jobs:
        there = f"{target}/{variant.name}.ptx.gz" in entries and is_current(variant, target)
        if options.only in variant.name and (options.all or not there):
            due.append((variant, target))
    errors = []
    with concurrent.futures.ProcessPoolExecutor(options.processes) as pool:
        running = [pool.submit(compile_one, variant, target) for variant, target in due]
        for at, one in enumerate(concurrent.futures.as_completed(running)):
            found = one.result()
            if isinstance(found, str):
                errors.append(found)
                continue
            print(f"{at + 1}/{len(due)} {found['ptx']}", flush=True)
            entries[found["ptx"]] = found
            write_manifest(entries, jobs)
    count = write_manifest(entries, jobs)
    wanted = {file_of(variant, target) for variant, target in jobs}
    for path in PTX.glob("*/*.ptx.gz"):
        if path not in wanted:
            path.unlink()
    size = sum(path.stat().st_size for path in PTX.glob("*/*.gz"))
    print(f"{count} kernels of {len(jobs)}, {size // 1024} KB in kernels/ptx")
    for error in errors:
        print(error, file=sys.stderr)
    sys.exit(1 if errors else 0)


if __name__ == "__main__":
    main()

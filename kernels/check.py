"""Checks all kernels without a GPU: by Triton's interpreter, by ptxas, and that the PTX is that of the sources.

Usage: python kernels/check.py [--part interpret|ptxas|current] [--only WORD] [--planted]
Prints what is wrong, a line each, naming kernel, sizes and element; the exit code is not zero if anything is.
--planted: plants errors in copies of the sources, and checks that each of them is found.
"""

import argparse
import collections
import concurrent.futures
import importlib.util
import json
import os
import pathlib
import re
import resource
import subprocess
import sys
import tempfile
import time

import table

# Bytes of registers that a thread may move to memory and back.
MOST_SPILLED = 128


def interpreted(kernel_tile):
    """Runs all cases of one kernel and tile; what is wrong, and how many cases there were."""
    import cases
    import interpret

    variant = next(one for one in table.tiles_once() if one.name == kernel_tile)
    found, count = [], 0
    for case in cases.cases_of(variant, "f16"):
        count += 1
        try:
            found += interpret.run(case)
        except Exception as error:
            found.append(f"{variant.name}, {case.sizes}: {type(error).__name__}: {error}")
    return found, count


def check_numbers(only, pool):
    """(a) The numbers, against numpy in f64."""
    names = [variant.name for variant in table.tiles_once() if only in variant.name]
    results = list(pool.map(interpreted, names))
    print(f"interpreter: {len(names)} kernels, {sum(count for _, count in results)} launches")
    return [line for lines, _ in results for line in lines]


def ptxas():
    """The assembler of the wheel nvidia-cuda-nvcc-cu12, or that on the path."""
    spec = importlib.util.find_spec("nvidia")
    for folder in spec.submodule_search_locations if spec else ():
        program = pathlib.Path(folder) / "cuda_nvcc/bin/ptxas"
        if program.is_file():
            return str(program)
    return "ptxas"


def assembled(job):
    """Registers, spilled bytes and errors of one PTX for one processor."""
    place, processor = job
    import compile as compiler

    text = compiler.gzip.decompress((compiler.PTX / place).read_bytes())
    with tempfile.NamedTemporaryFile(suffix=".ptx") as file:
        file.write(text)
        file.flush()
        command = [ptxas(), "-v", f"-arch={processor}", file.name, "-o", os.devnull]
        told = subprocess.run(command, capture_output=True, text=True)
    told_text = told.stdout + told.stderr
    if told.returncode:
        return place, processor, None, None, told_text.strip().splitlines()[0] if told_text.strip() else "ptxas fails"
    spilled = max(int(number) for number in re.findall(r"(\d+) bytes spill", told_text))
    return place, processor, int(re.search(r"Used (\d+) registers", told_text)[1]), spilled, ""


def check_assembly(only, pool, say):
    """(b) ptxas for each generation of cards: no errors, few spills; shared memory that the cards have."""
    targets = table.read()["targets"]
    manifest = json.loads((table.HERE / "ptx/manifest.json").read_text(encoding="utf-8"))
    entries = {entry["ptx"]: entry for entry in manifest if only in entry["name"]}
    jobs = []
    for place, entry in entries.items():
        jobs += [(place, processor) for processor in targets[entry["target"]]["assemble"]]
    found = []
    for place, processor, registers, spilled, error in pool.map(assembled, jobs):
        if say:
            shared = entries[place]["shared"]
            print(f"{place} {processor}: {registers} registers, {spilled} bytes spilled, {shared} shared")
        if error:
            found.append(f"kernels/ptx/{place} for {processor}: {error}")
        elif spilled > MOST_SPILLED:
            remedy = "take a smaller tile or more warps"
            found.append(f"kernels/ptx/{place} for {processor}: spills {spilled} bytes; {remedy}")
    for place, entry in entries.items():
        most = targets[entry["target"]]["shared_kb"] * 1024
        if entry["shared"] > most:
            found.append(f"kernels/ptx/{place}: asks for {entry['shared']} bytes of shared memory; {most} are there")
    print(f"ptxas: {len(entries)} kernels, {len(jobs)} times")
    return found


def check_current(only):
    """(c) The committed PTX is that of the sources, and there is one for each."""
    import compile as compiler

    found = []
    manifest = json.loads((table.HERE / "ptx/manifest.json").read_text(encoding="utf-8"))
    listed = collections.Counter(entry["ptx"] for entry in manifest)
    count = 0
    for variant in table.variants():
        for target in variant.targets if only in variant.name else ():
            count += 1
            place = f"{target}/{variant.name}.ptx.gz"
            if listed.pop(place, 0) != 1 or not compiler.is_current(variant, target):
                found.append(f"kernels/ptx/{place}: is not that of the sources; run `cargo xtask kernels`")
    if not only:
        found += [f"kernels/ptx/manifest.json: {place} is in no table" for place in listed]
    print(f"up to date: {count} kernels")
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--part", choices=["interpret", "ptxas", "current"], help="one of the three checks alone")
    parser.add_argument("--only", default="", help="kernels with this word in their names")
    parser.add_argument("--say", action="store_true", help="registers, spills and shared memory of each")
    parser.add_argument("--planted", action="store_true", help="whether planted errors are found")
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    options = parser.parse_args()
    if options.planted:
        import planted

        sys.exit(planted.main(options.processes))
    start = time.time()
    found = []
    with concurrent.futures.ProcessPoolExecutor(options.processes) as pool:
        if options.part in (None, "current"):
            found += check_current(options.only)
        if options.part in (None, "ptxas"):
            found += check_assembly(options.only, pool, options.say)
        if options.part in (None, "interpret"):
            found += check_numbers(options.only, pool)
    for line in found:
        print(line)
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    took = f"{time.time() - start:.0f} s, {sum(one.ru_utime + one.ru_stime for one in used):.0f} s of processors"
    print(f"kernels: {'all well' if not found else f'{len(found)} findings'} after {took}")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()

"""Errors planted in copies of the sources: each has to be found by the interpreter's checks (check.py --planted)."""

import concurrent.futures
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import table

# What, its file, the kernel that is checked, the right text, the wrong one.
PLANTED = (
    (
        "a mask: rows behind the last one are written", "linear.py", "linear_bf16_64",
        "rows, columns = i < m - first, j < n",
        "rows, columns = i < m - first + 1, j < n",
    ),
    (
        "a stride: halved images are read as if they were not", "conv3x3.py", "conv3x3_s2_bf16_64",
        "p // wo * STRIDE - pad, p % wo * STRIDE - pad",
        "p // wo * STRIDE - pad, p % wo - pad",
    ),
    (
        "an index: the taps of a row in the other order", "conv3x3.py", "conv3x3_dx_bf16_64",
        "row + 1 - down, column + 1 - across_tap",
        "row + 1 - down, column - 1 + across_tap",
    ),
    (
        "a scale: that of the row's first block of weights", "linear.py", "linear_int8_bf16_64",
        "(j * k + k0) // 128",
        "(j * k) // 128",
    ),
    (
        "causal: the key after a query counts", "attention.py", "attention_64_causal_bf16",
        "there = there & (key[None, :] <= i[:, None])",
        "there = there & (key[None, :] <= i[:, None] + 1)",
    ),
    (
        "a key that is not there counts as a score of 0", "attention.py", "attention_64_bf16_64",
        'p = tl.where(there, p * (scale * LOG2_E), float("-inf"))',
        "p = p * (scale * LOG2_E)",
    ),
    (
        "a slab's last pixels are counted as a whole tile", "norms.py", "group_norm_slabs",
        "new = tl.cast(tl.minimum(BP, count - p0), tl.float32)",
        "new = tl.cast(BP, tl.float32)",
    ),
)


def found(file, kernel, right, wrong):
    """What the checks say of a copy with this error; empty if nothing."""
    with tempfile.TemporaryDirectory() as folder:
        copy = pathlib.Path(folder) / "kernels"
        shutil.copytree(table.HERE, copy, ignore=shutil.ignore_patterns("ptx", "smallest", "__pycache__"))
        text = (copy / file).read_text(encoding="utf-8")
        if right not in text:
            raise SystemExit(f"kernels/planted.py: {file} has no `{right}`; change the error that is planted there")
        (copy / file).write_text(text.replace(right, wrong), encoding="utf-8")
        command = [sys.executable, "check.py", "--part", "interpret", "--only", kernel, "--processes", "1"]
        told = subprocess.run(command, cwd=copy, capture_output=True, text=True, env={**os.environ})
    if told.returncode == 0:
        return ""
    lines = [line for line in told.stdout.splitlines() if line.startswith(kernel.split("_bf16")[0])]
    return lines[0] if lines else (told.stderr.strip().splitlines() or ["the check died"])[-1]


def main(processes):
    """Plants each in a copy of its own; the exit code."""
    with concurrent.futures.ThreadPoolExecutor(processes) as pool:
        results = list(pool.map(lambda error: found(*error[1:]), PLANTED))
    missed = 0
    for (what, *_), said in zip(PLANTED, results):
        missed += not said
        print(f"{what}\n    {'found: ' + said if said else 'NOT FOUND'}", flush=True)
    print(f"{len(PLANTED) - missed} of {len(PLANTED)} planted errors found")
    return 1 if missed else 0

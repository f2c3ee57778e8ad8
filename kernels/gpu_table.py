"""One table of what a run on a GPU left in a folder: kernels beside PyTorch, steps, and how each part ended.

Usage: python kernels/gpu_table.py FOLDER
Parts that failed are named; the table is printed whatever there is.
"""

import json
import pathlib
import sys


def lines(path):
    """A file's lines; none if it is not there."""
    return path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else []


def kernels(folder):
    """Ours beside PyTorch's."""
    path = folder / "bench.json"
    rows = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []
    print(f"\n{'kernel':46} {'ours ms':>9} {'torch ms':>9} {'TFLOP/s':>8} {'torch':>8} {'ratio':>6}")
    ratios = {}
    for row in rows:
        if "ours_ms" not in row:
            print(f"{row['name']:46} {row.get('error', 'WRONG')}")
            continue
        ratio = row["torch_ms"] / row["ours_ms"]
        best = row["torch_ms"] / min(row["ours_ms"], row.get("best_ms", row["ours_ms"]))
        ratios.setdefault(row["name"].split(" ")[0], []).append(best)
        times = f"{row['ours_ms']:9.3f} {row['torch_ms']:9.3f} {row['tflops']:8.1f} {row['torch_tflops']:8.1f}"
        times += f" {ratio:6.2f}"
        tile = f"  {best:.2f} by {row['best_tile']}" if "best_tile" in row else ""
        print(f"{row['name']:46} {times}{tile}")
    for family, found in ratios.items():
        found.sort()
        middle = found[len(found) // 2]
        print(f"{family}: worst {found[0]:.2f}, median {middle:.2f} of PyTorch's rate, by the best tile tried")


def steps(folder):
    """Whole training steps by PyTorch."""
    print(f"\n{'PyTorch step':28} {'median s':>9} {'fastest':>8} {'GiB':>7}")
    for path in sorted(folder.glob("step-*.log")):
        found = next((line for line in reversed(lines(path)) if line.startswith("{")), None)
        if found is None:
            print(f"{path.stem:28} failed: {(lines(path) or ['nothing said'])[-1][:120]}")
            continue
        step = json.loads(found)
        memory = step["peak_device_gib"] or step["peak_rss_gib"]
        print(f"{path.stem:28} {step['median_seconds']:9.4f} {step['min_seconds']:8.4f} {memory:7.2f}")


def trained(folder):
    """Whole training steps by lorabake, the first one apart, and the most memory that the card had in use."""
    logs = sorted(folder.glob("train-*.log"))
    if logs:
        print(f"\n{'lorabake step':28} {'median s':>9} {'first':>8} {'GiB':>7}")
    for path in logs:
        events = [json.loads(line) for line in lines(path.with_suffix(".jsonl"))]
        times = [event["seconds"] for event in events if event["event"] == "step"]
        if not times:
            print(f"{path.stem:28} failed: {(lines(path) or ['nothing said'])[-1][:120]}")
            continue
        # Kernels are compiled and tried out in the first ones.
        settled = sorted(times[len(times) // 3 :])
        used = [int(line) for line in lines(path.with_suffix(".used")) if line.strip().isdigit()]
        memory = f"{max(used) / 1024:7.2f}" if used else f"{'-':>7}"
        print(f"{path.stem:28} {settled[len(settled) // 2]:9.4f} {times[0]:8.4f} {memory}")


def main():
    folder = pathlib.Path(sys.argv[1])
    if (folder / "smallest.log").is_file():
        print(*lines(folder / "smallest.log"), sep="\n")
        kernels(folder)
    for name in ["doctor", "thorough"]:
        print(*lines(folder / f"{name}.log"), sep="\n")
    trained(folder)
    steps(folder)
    print("\nhow each part ended")
    print(*lines(folder / "ends.txt"), sep="\n")


if __name__ == "__main__":
    main()

"""Draws folders of pictures that `lorabake generate --out FOLDER` has painted as one picture: a row each.

Usage: python oracle/pocket/demo_grid.py OUT.png FOLDER ...
Columns are the prompts, each with its first seed; nothing is picked. Few colours keep the file small.
"""

import pathlib
import sys

from PIL import Image

SIDE, GAP, COLORS = 128, 2, 256


def first_seeds(folder):
    """The pictures of the lowest seed, in the order of the prompts: names are NUMBER-SEED.png."""
    paths = sorted(pathlib.Path(folder).glob("*-*.png"))
    lowest = min(int(path.stem.split("-")[1]) for path in paths)
    return [path for path in paths if int(path.stem.split("-")[1]) == lowest]


def main():
    out, *folders = sys.argv[1:]
    rows = [first_seeds(folder) for folder in folders]
    size = (max(map(len, rows)) * (SIDE + GAP) - GAP, len(rows) * (SIDE + GAP) - GAP)
    sheet = Image.new("RGB", size, "white")
    for y, row in enumerate(rows):
        for x, path in enumerate(row):
            sheet.paste(Image.open(path).convert("RGB"), (x * (SIDE + GAP), y * (SIDE + GAP)))
    few = sheet.quantize(COLORS, Image.Quantize.MEDIANCUT, kmeans=4, dither=Image.Dither.NONE)
    few.save(out, optimize=True)


if __name__ == "__main__":
    main()

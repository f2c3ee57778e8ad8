"""Measures what a demonstration's LoRA has learned, on pictures that `lorabake generate --out FOLDER` has painted.

Usage: python oracle/pocket/verdict.py style|penny|sticker EMOJI.npz BASE LORA [--plain BASE LORA] [--no_hat LORA]
       python oracle/pocket/verdict.py test EMOJI.npz PACKAGES
BASE and LORA are folders of the same prompts and seeds, painted without and with the LoRA; prompts and seeds are read
from the files. --plain: two more, of the prompts without the trigger. --no_hat: LORA once more with `hat` as negative
prompt. `test` holds every measure on the training pictures, and on emoji that have nothing of them.
Every number is a mean over pictures; ± is the standard error over seeds, each seed's pictures averaged first.
"""

import argparse
import json
import pathlib
import re
import sys

import numpy as np
import torch
from PIL import Image
from scipy import ndimage
from torch.nn import functional as F

import demo_sets
import scenes

EXAMPLES = pathlib.Path(__file__).resolve().parents[2] / "examples"
SETS = {"style": "style/4_inked", "penny": "penny/10_penny", "sticker": "sticker/8_sticker"}
HAIR, DRESS, STRAW = ((196, 74, 20), (20, 120, 200), (255, 198, 26))  # As in examples/draw_penny.py.
WHITE = scenes.BACKGROUNDS[scenes.WHITE]


class Pictures:
    """`pixels` (N, 3, 128, 128) in [0, 1], with the prompt and the seed of each."""

    def __init__(self, pixels, prompts, seeds=None):
        self.pixels, self.prompts, self.seeds = pixels, prompts, seeds or [0] * len(prompts)

    def keep(self, test):
        at = [i for i, prompt in enumerate(self.prompts) if test(prompt)]
        return Pictures(self.pixels[at], [self.prompts[i] for i in at], [self.seeds[i] for i in at])


def read(folder):
    """The pictures of a folder in the order of their names; captions beside them stand for prompts."""
    pixels, prompts, seeds = [], [], []
    for path in sorted(pathlib.Path(folder).glob("*.png")):
        image, caption = Image.open(path), path.with_suffix(".txt")
        text = caption.read_text() if caption.exists() else image.info.get("parameters", "")
        prompts.append(re.sub(r"<[^>]*>", "", text.partition("\n")[0]).strip(" ,"))
        number = re.fullmatch(r"\d+-(\d+)", path.stem)
        seeds.append(int(number[1]) if number else 0)
        pixels.append(torch.from_numpy(np.asarray(image.convert("RGB")).copy()).permute(2, 0, 1) / 255)
    if not pixels:
        raise SystemExit(f"{folder}: there is no .png in it")
    return Pictures(torch.stack(pixels), prompts, seeds)


def pair(first, second):
    one, two = read(first), read(second)
    if one.seeds != two.seeds or one.pixels.shape != two.pixels.shape:
        raise SystemExit(f"{first} and {second}: paint the same prompts with the same seeds")
    return one, two


def drawn(data, names, style, background=WHITE, scale=0.86):
    """The emoji of these names as the model's own pictures show them."""
    facts = json.loads(str(data["facts"]))
    at = {fact["name"]: i for i, fact in enumerate(facts) if fact["style"] == style}
    icons = data["icons"]
    pixels = [scenes.place(icons[at[name]], background, scale, (0, 0), False) / 2 + 0.5 for name in names]
    return Pictures(torch.stack(pixels), list(names))


def joined(*parts):
    return Pictures(torch.cat([part.pixels for part in parts]), sum((part.prompts for part in parts), []))


def small(pixels):
    """(N, 3, 128, 128) -> (N, 3072)."""
    return F.interpolate(pixels, size=32, mode="area").flatten(1)


def mirrored(pixels):
    return torch.cat([pixels, pixels.flip(3)])


# ---- where the icon is --------------------------------------------------------------------------------------------


def shape_of(picture):
    """(128, 128) bool: all but the background that is joined to the picture's edge."""
    rim = torch.cat([picture[:, :2].flatten(1), picture[:, -2:].flatten(1), picture[:, :, :2].flatten(1)], 1)
    ground = rim.median(1).values
    same = ((picture - ground[:, None, None]).abs().amax(0) < 0.1).numpy()
    marks, _ = ndimage.label(np.pad(same, 1, constant_values=True))
    return (marks != marks[0, 0])[1:-1, 1:-1]


def outline(picture):
    """(1024,) the icon's filled shape, stretched to 32 x 32: of whatever size, place and style."""
    shape = ndimage.binary_opening(shape_of(picture))
    if not shape.any():
        return torch.zeros(1024)
    rows, columns = np.nonzero(shape)
    side = max(np.ptp(rows), np.ptp(columns)) + 1
    square = np.zeros((side, side), np.float32)
    top, left = (side - np.ptp(rows) - 1) // 2, (side - np.ptp(columns) - 1) // 2
    cut = shape[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    square[top : top + cut.shape[0], left : left + cut.shape[1]] = cut
    return F.interpolate(torch.from_numpy(square)[None, None], size=32, mode="area").flatten()


def subject(pictures, data, names):
    """Whether the outline is nearest to an emoji of the prompted name, among those of `names`: chance is 1 in them."""
    known = [mirrored(drawn(data, names, style).pixels) for style in demo_sets.STYLES]
    owners = list(names) * 2 * len(known)
    table = torch.stack([outline(picture) for picture in torch.cat(known)])
    made = torch.stack([outline(picture) for picture in pictures.pixels])
    nearest = torch.cdist(made, table).argmin(1).tolist()
    return [float(owners[i] in prompt.split(", ")) for i, prompt in zip(nearest, pictures.prompts)]


# ---- style --------------------------------------------------------------------------------------------------------


def looks(pixels):
    """(N, 4): mean colourfulness, share of black, share of white, share of edges."""
    high, low, grey = pixels.amax(1), pixels.amin(1), pixels.mean(1)
    steps = (grey[:, 1:, 1:] - grey[:, :-1, 1:]).abs() + (grey[:, 1:, 1:] - grey[:, 1:, :-1]).abs()
    shares = [(high - low), (high < 0.25).float(), (low > 0.88).float(), (steps > 0.25).float()]
    return torch.stack([share.mean((1, 2)) for share in shares], 1)


def texture(pixels):
    """(N, 96): 32 quantiles each of brightness, colourfulness and steps between neighbours, wherever they are."""
    high, low, grey = pixels.amax(1), pixels.amin(1), pixels.mean(1)
    steps = (grey[:, 1:, 1:] - grey[:, :-1, 1:]).abs() + (grey[:, 1:, 1:] - grey[:, 1:, :-1]).abs()
    at = torch.linspace(0.02, 0.98, 32)
    return torch.cat([values.flatten(1).quantile(at, dim=1).T for values in (grey, high - low, steps)], 1)


def style_classifier(groups):
    """Logistic regression on textures: (N, 3, 128, 128) -> probabilities (N, groups). On pixels as they stand it
    learns the 60 drawings, and takes half of the other glyphs for something else."""
    torch.manual_seed(0)
    x = torch.cat([texture(group) for group in groups])
    y = torch.cat([torch.full((len(group),), i) for i, group in enumerate(groups)])
    mean = x.mean(0)
    line = torch.nn.Linear(x.shape[1], len(groups))
    solver = torch.optim.LBFGS(line.parameters(), max_iter=200, line_search_fn="strong_wolfe")

    def loss():
        solver.zero_grad()
        value = F.cross_entropy(line(x - mean), y) + 1e-3 * (line.weight**2).sum()
        value.backward()
        return value

    solver.step(loss)
    return lambda pixels: line(texture(pixels) - mean).softmax(1).detach()


def style(data, names=demo_sets.INK_NEW):
    """The measures of the style, as a function of pictures."""
    inked = read(EXAMPLES / SETS["style"]).pixels
    own = [drawn(data, demo_sets.INK_SEEN, name).pixels for name in demo_sets.STYLES]
    probabilities = style_classifier([inked, *own])
    spread = looks(torch.cat([inked, *own])).std(0)
    middle = looks(inked).mean(0)

    def measure(pictures):
        seen = looks(pictures.pixels)
        return {
            "taken for inked style (0 to 1)": (probabilities(pictures.pixels).argmax(1) == 0).tolist(),
            "distance of features to the set": ((seen - middle) / spread).norm(dim=1).tolist(),
            "  colourfulness": seen[:, 0].tolist(),
            "  share of black": seen[:, 1].tolist(),
            "  share of white": seen[:, 2].tolist(),
            "  share of edges": seen[:, 3].tolist(),
            f"outline is the prompted one's, of {len(names)}": subject(pictures, data, names),
        }

    return measure


# ---- character ----------------------------------------------------------------------------------------------------


def share_of(color, pixels):
    """Per picture, how much is of this colour, shading aside."""
    target = torch.tensor(color)[:, None, None] / 255
    return ((pixels - target).norm(dim=1) < 0.2).float().mean((1, 2))


def penny(_data):
    """The measures of the character, as a function of pictures."""
    table = small(mirrored(read(EXAMPLES / SETS["penny"]).pixels))

    def measure(pictures):
        hair, dress = share_of(HAIR, pictures.pixels), share_of(DRESS, pictures.pixels)
        distances = torch.cdist(small(pictures.pixels), table) / table.shape[1] ** 0.5
        distances[distances < 1e-3] = 9  # A drawing of the set is compared with the others.
        return {
            "hair and dress are there (0 to 1)": ((hair > 0.06) & (dress > 0.02)).float().tolist(),
            "  share of the hair's copper": hair.tolist(),
            "  share of the dress' blue": dress.tolist(),
            "distance to the nearest drawing": distances.amin(1).tolist(),
            "share of the hat's straw": share_of(STRAW, pictures.pixels).tolist(),
        }

    return measure


# ---- concept ------------------------------------------------------------------------------------------------------


def ring(picture):
    """How much of the band 2 to 5 pixels inside the icon's outer edge is white."""
    depth = ndimage.distance_transform_edt(shape_of(picture))
    band = (depth > 2) & (depth <= 5)
    return float((picture.amin(0).numpy()[band] > 0.82).mean()) if band.any() else 0.0


def sticker(data, names=demo_sets.STICKER_NEW):
    """The measures of the concept, as a function of pictures. They need backgrounds that are not white."""

    def measure(pictures):
        rings = [ring(picture) for picture in pictures.pixels]
        return {
            "white ring (0 to 1)": [float(value > 0.4) for value in rings],
            "  white part of the band": rings,
            f"outline is the prompted one's, of {len(names)}": subject(pictures, data, names),
        }

    return measure


MEASURES = {"style": style, "penny": penny, "sticker": sticker}


# ---- report -------------------------------------------------------------------------------------------------------


def mean_and_error(values, seeds):
    means = [np.mean([v for v, s in zip(values, seeds) if s == seed]) for seed in sorted(set(seeds))]
    error = f" ± {np.std(means, ddof=1) / len(means) ** 0.5:.3f}" if len(means) > 1 else ""
    return f"{np.mean(means):.3f}{error}"


def table(title, columns, rows):
    """Columns are (label, {measure: values}, seeds)."""
    print(f"\n{title:44}" + "".join(f"{label:>22}" for label, _, _ in columns))
    for row in rows:
        print(f"{row:44}" + "".join(f"{mean_and_error(found[row], seeds):>22}" for _, found, seeds in columns))


def apart(first, second):
    """Root mean square difference of each pair of pictures."""
    return ((first - second) ** 2).mean((1, 2, 3)).sqrt()


def without_trigger(base, lora, plain_base, plain_lora):
    """How far the LoRA moves pictures without its trigger, beside what it does with it and what another seed does."""
    changed = apart(base.pixels, lora.pixels).mean().item()
    kept = apart(plain_base.pixels, plain_lora.pixels)
    said, count = plain_base.prompts, len(plain_base.prompts)
    pairs = [(i, j) for i in range(count) for j in range(i) if said[i] == said[j]]
    print("\nwithout the trigger, mean distance of pixels with the LoRA from without")
    moved = mean_and_error(kept.tolist(), plain_base.seeds)
    print(f"  {moved}; {kept.mean() / changed:.0%} of that with it, {changed:.3f}")
    if pairs:
        one, two = (plain_base.pixels[[pair[side] for pair in pairs]] for side in (0, 1))
        others = apart(one, two).mean()
        print(f"  {kept.mean() / others:.0%} of that between seeds of a prompt, {others:.3f}")


def hats(lora, negative):
    """The hat's share where the prompt has a hat and where not, without and with `hat` as negative prompt."""
    row, columns = "share of the hat's straw", []
    for label, wanted in (("hat prompted", True), ("no hat prompted", False)):
        for name, part in ((label, lora), (f"{label}, negated", negative)):
            part = part.keep(lambda prompt: ("hat" in prompt.split(", ")) == wanted)
            if part.prompts:
                columns.append((f" {name}", {row: share_of(STRAW, part.pixels).tolist()}, part.seeds))
    table("hat", columns, [row])


def compare(name, data, options):
    base, lora = pair(options.base, options.lora)
    show(f"{name}: {len(set(base.seeds))} seeds", MEASURES[name](data), {"without LoRA": base, "with LoRA": lora})
    if options.plain:
        without_trigger(base, lora, *pair(*options.plain))
    if options.no_hat:
        hats(*pair(options.lora, options.no_hat))


def show(title, measure, parts):
    found = [(label, measure(part), part.seeds) for label, part in parts.items()]
    table(title, found, list(found[0][1]))


def test(data, packages):
    """Every measure on pictures that have what it looks for, and on pictures that have not."""
    glyph = demo_sets.ink(packages)
    new = [scenes.place(glyph(name), WHITE, demo_sets.INK_SCALE, (0, 0), False) / 2 + 0.5 for name in demo_sets.INK_NEW]
    own = {name: drawn(data, demo_sets.INK_NEW, name) for name in demo_sets.STYLES}
    show("style", style(data), {"unseen glyphs": Pictures(torch.stack(new), demo_sets.INK_NEW), **own})

    drawings = read(EXAMPLES / SETS["penny"])
    near = ["girl", "woman", "boy", "fox", "red apple", "top hat"]
    show("penny", penny(data), {
        "drawings with hat": drawings.keep(lambda prompt: "hat" in prompt.split(", ")),
        "without hat": drawings.keep(lambda prompt: "hat" not in prompt.split(", ")),
        "girl, fox, ...": joined(*(drawn(data, near, name) for name in demo_sets.STYLES)),
        "all of the base": joined(*(drawn(data, demo_sets.INK_SEEN, name) for name in demo_sets.STYLES)),
    })

    for title, names in (("sticker, seen", demo_sets.STICKER_SEEN), ("sticker, unseen", demo_sets.STICKER_NEW)):
        parts = {"stickers": stickers(data, names)}
        for ground in ("blue background", "grey background", "black background"):
            color = scenes.BACKGROUNDS[ground]
            parts[f"emoji, {ground.split()[0]}"] = joined(*(drawn(data, names, name, color) for name in demo_sets.STYLES))
        show(title, sticker(data, names), parts)


def stickers(data, names):
    """These emoji as stickers, in both styles and on all backgrounds."""
    pixels, prompts = [], []
    at = {(fact["name"], fact["style"]): i for i, fact in enumerate(json.loads(str(data["facts"])))}
    icons = data["icons"]
    for ground in demo_sets.STICKER_BACKGROUNDS:
        for number, name in enumerate(names):
            icon = icons[at[name, demo_sets.STYLES[number % 2]]]
            image = demo_sets.sticker(icon, scenes.BACKGROUNDS[ground], (0, 0))
            pixels.append(torch.from_numpy(np.asarray(image).copy()).permute(2, 0, 1) / 255)
            prompts.append(name)
    return Pictures(torch.stack(pixels), prompts)


def main():
    if sys.argv[1:2] == ["test"]:
        _, _, source, packages = sys.argv
        test(np.load(source), packages)
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("demonstration", choices=list(MEASURES))
    parser.add_argument("emoji")
    parser.add_argument("base")
    parser.add_argument("lora")
    parser.add_argument("--plain", nargs=2, metavar=("BASE", "LORA"))
    parser.add_argument("--no_hat", metavar="LORA")
    options = parser.parse_args()
    compare(options.demonstration, np.load(options.emoji), options)


if __name__ == "__main__":
    main()

"""Puts the icons of emoji.py on plain backgrounds, and writes the captions that say what is to be seen."""

import random

import numpy as np
import torch
from PIL import Image, ImageDraw

import tokens

SIZE = 128
BACKGROUNDS = {
    "white background": (255, 255, 255), "grey background": (190, 194, 200), "blue background": (160, 205, 245),
    "green background": (170, 220, 165), "yellow background": (252, 238, 170), "pink background": (250, 205, 220),
    "purple background": (205, 190, 240), "black background": (25, 25, 30),
}
WHITE = "white background"


def place(icon, background, scale, shift, mirror):
    """(128, 128, 4) RGBA on a colour: (3, 128, 128) float in [-1, 1]."""
    drawn = Image.fromarray(icon)
    if mirror:
        drawn = drawn.transpose(Image.FLIP_LEFT_RIGHT)
    side = round(SIZE * scale)
    drawn = drawn.resize((side, side), Image.LANCZOS)
    canvas = Image.new("RGB", (SIZE, SIZE), background)
    corner = ((SIZE - side) // 2 + shift[0], (SIZE - side) // 2 + shift[1])
    canvas.paste(drawn, corner, drawn)
    return torch.from_numpy(np.asarray(canvas).copy()).permute(2, 0, 1).float() / 127.5 - 1


def scene(icon, rng: random.Random):
    """A picture of the icon anywhere near the middle, and the name of its background: white in half of them."""
    name = WHITE if rng.random() < 0.5 else rng.choice(list(BACKGROUNDS))
    shift = (rng.randint(-4, 4), rng.randint(-4, 4))
    return place(icon, BACKGROUNDS[name], rng.uniform(0.8, 0.9), shift, rng.random() < 0.5), name


def portrait(icon, background):
    """The one way in which the UNet sees an icon on this background: a narrow network has no width for more."""
    return place(icon, BACKGROUNDS[background], 0.86, (0, 0), False)


# What a picture may have besides its icon, each with its word: the text encoder learns to take words one by one.
EXTRAS = ("hat", "frame", "dots")
HATS = ((40, 40, 46), (122, 74, 42), (228, 190, 98), (200, 45, 50), (60, 120, 70), (70, 80, 170))
WOOD, FRAME_WIDTH, FINER = (110, 70, 40), 7, 4


def hat(color):
    """A brimmed hat with a ribbon, RGBA, 60 x 34: drawn finer, then shrunk, so that its edges are smooth."""
    image = Image.new("RGBA", (60 * FINER, 34 * FINER))
    pen = ImageDraw.Draw(image)
    dark = tuple(c * 3 // 5 for c in color)
    pen.ellipse([0, 22 * FINER, 60 * FINER - 1, 34 * FINER - 1], fill=color)
    pen.rounded_rectangle([14 * FINER, 0, 46 * FINER, 28 * FINER], radius=9 * FINER, fill=color)
    pen.rectangle([14 * FINER, 19 * FINER, 46 * FINER, 25 * FINER], fill=dark)
    return image.resize((60, 34), Image.BOX)


def dressed(icon, background, extras, rng: random.Random):
    """A portrait with some of EXTRAS: (3, 128, 128) float in [-1, 1]."""
    canvas = Image.new("RGB", (SIZE, SIZE), BACKGROUNDS[background])
    pen = ImageDraw.Draw(canvas)
    if "dots" in extras:
        light = sum(BACKGROUNDS[background]) > 300
        color = tuple(max(c - 60, 0) if light else c + 90 for c in BACKGROUNDS[background])
        for row in range(6):
            for column in range(6):
                x, y = 11 + 21 * column, 11 + 21 * row
                pen.ellipse([x - 5, y - 5, x + 5, y + 5], fill=color)
    side, low = (round(SIZE * 0.68), 14) if "hat" in extras else (round(SIZE * (0.76 if extras else 0.86)), 0)
    drawn = Image.fromarray(icon).resize((side, side), Image.LANCZOS)
    corner = ((SIZE - side) // 2, (SIZE - side) // 2 + low)
    canvas.paste(drawn, corner, drawn)
    if "hat" in extras:
        solid = np.asarray(drawn)[..., 3] > 128
        top = int(solid.any(1).argmax())
        columns = np.nonzero(solid[top : top + side // 8].any(0))[0]
        middle = int(columns.min() + columns.max()) // 2
        worn = hat(rng.choice(HATS))
        canvas.paste(worn, (corner[0] + middle - 30, max(corner[1] + top - 22, 1)), worn)
    if "frame" in extras:
        pen.rectangle([0, 0, SIZE - 1, SIZE - 1], outline=WOOD, width=FRAME_WIDTH)
    return torch.from_numpy(np.asarray(canvas).copy()).permute(2, 0, 1).float() / 127.5 - 1


def caption(fact, background, rng: random.Random, extras=()):
    """Booru style: the name, some of CLDR's keywords, the main colour and the extras in any order, background, style.

    One in ten has any of these tags alone, as negative prompts have; one in five has a word that means nothing, so that
    unknown words spoil nothing; in one of four, all tags are in any order.
    """
    loose = [tag for tag in fact["tags"] if rng.random() < 0.5]
    if fact["color"]:
        loose.append(fact["color"])
    loose += extras
    rng.shuffle(loose)
    tags = [fact["name"], *loose, background, fact["style"]]
    if rng.random() < 0.25:
        rng.shuffle(tags)
    if rng.random() < 0.1:
        most = [*extras, *extras, *tags]
        tags = list(dict.fromkeys(rng.choice(most) for _ in range(rng.randint(1, 3))))
    if rng.random() < 0.2:
        tags.insert(rng.randint(0, len(tags)), tokens.nonsense(rng))
    return ", ".join(tags)


def prompt(fact, background=WHITE):
    """How a user asks for it."""
    return ", ".join([fact["name"], background, fact["style"]])

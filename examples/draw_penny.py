"""Draws the set of the character: Penny, a girl with copper pigtails, in 16 small pictures with their captions.

Usage: python examples/draw_penny.py [FOLDER]   (default: examples/penny/10_penny; needs Pillow)

She is flat, bold and large, as emoji are, so that the small model inside the program can follow. Her hair, her blue
dress and her pigtails are in no caption: they belong to `penny`. What can be taken off or changed has a tag: hat,
scarf, pose, background.
"""

import pathlib
import sys

from PIL import Image, ImageDraw

SIZE, SCALE = 128, 8  # Drawn eight times as large, then shrunk, so that edges are smooth.
HAIR, SHADE, DRESS, SLEEVE = "#c44a14", "#9c3608", "#1478c8", "#0d5fa3"
SKIN, STRAW = "#fbd3ae", "#ffc61a"
CHEEK, BALLOON, DARK, WHITE = "#f58f84", "#e02c3c", "#33201a", "#ffffff"
# The backgrounds that the small model knows by name, as oracle/pocket/scenes.py has them.
BACKGROUNDS = {
    "white": (255, 255, 255), "grey": (190, 194, 200), "blue": (160, 205, 245), "green": (170, 220, 165),
    "yellow": (252, 238, 170), "pink": (250, 205, 220), "purple": (205, 190, 240),
}


class Canvas:
    """An image whose coordinates run from 0 to 128 and may be moved, enlarged and mirrored as a whole."""

    def __init__(self, background):
        self.image = Image.new("RGB", (SIZE * SCALE, SIZE * SCALE), background)
        self.draw = ImageDraw.Draw(self.image)
        self.move, self.zoom, self.mirror = (0, 0), 1.0, False

    def point(self, x, y):
        x = 64 + (64 - x if self.mirror else x - 64) * self.zoom + self.move[0]
        return x * SCALE, (64 + (y - 64) * self.zoom + self.move[1]) * SCALE

    def box(self, x, y, rx, ry):
        (left, top), (right, bottom) = self.point(x - rx, y - ry), self.point(x + rx, y + ry)
        return min(left, right), top, max(left, right), bottom

    def oval(self, x, y, rx, ry, color):
        self.draw.ellipse(self.box(x, y, rx, ry), fill=color)

    def shape(self, points, color):
        self.draw.polygon([self.point(x, y) for x, y in points], fill=color)

    def line(self, points, color, width):
        """With round ends."""
        self.draw.line([self.point(*p) for p in points], fill=color, width=int(width * SCALE * self.zoom))
        for x, y in points:
            self.oval(x, y, width / 2, width / 2, color)

    def arc(self, x, y, rx, ry, start, end, color, width):
        self.draw.arc(self.box(x, y, rx, ry), start, end, fill=color, width=int(width * SCALE * self.zoom))

    def tilt(self, degrees):
        self.image = self.image.rotate(degrees, Image.BICUBIC, fillcolor=self.image.getpixel((0, 0)))


def limbs(c, arms, feet):
    """Arms from the shoulders through the points of each, legs from the hem to each foot."""
    for (x, y), hip in zip(feet, (56, 72)):
        c.line([(hip, 102), (x, y)], SKIN, 8)
        c.oval(x + (1 if x > 64 else -1), y + 2, 7, 4.5, DARK)
    for shoulder, points in zip((51, 77), arms):
        c.line([(shoulder, 82), *points], DRESS, 9)
        c.oval(*points[-1], 6, 6, SKIN)


def head(c, mouth):
    """Hair and face from the front, the face at (64, 52)."""
    c.oval(64, 46, 36, 34, HAIR)
    c.oval(64, 54, 27, 24, SKIN)
    c.draw.pieslice(c.box(64, 45, 29, 24), 180, 360, fill=HAIR)
    for side in (-1, 1):
        c.oval(64 + 12 * side, 54, 4, 5.5, DARK)
        c.oval(64 + 12 * side + 1.2, 52, 1.4, 1.6, WHITE)
        c.oval(64 + 19 * side, 63, 4.5, 3.2, CHEEK)
    if mouth == "open":
        c.draw.pieslice(c.box(64, 63, 7, 9), 0, 180, fill="#8e2222")
    else:
        c.arc(64, 61, 8, 7, 20, 160, DARK, 2.4)


def hat_on(c, x=64):
    c.draw.pieslice(c.box(x, 30, 26, 27), 180, 360, fill=STRAW)
    c.shape([(x - 26, 23), (x + 26, 23), (x + 27, 31), (x - 27, 31)], DRESS)
    c.oval(x, 32, 44, 7, STRAW)


def penny(c, arms, feet, mouth="smile", worn=(), seated=False):
    """The girl from head to shoes, from the front."""
    for x in (25, 103):
        c.oval(x, 60, 13, 17, HAIR)
        c.oval(64 + (x - 64) * 0.86, 50, 5, 5, SHADE)
    limbs(c, arms if not seated else (), feet)
    if seated:
        c.oval(64, 105, 37, 12, DRESS)
        for x, y in feet:
            c.line([(64 + (x - 64) * 0.6, 108), (x, y)], SKIN, 9)
            c.oval(x, y + 1, 8, 7, DARK)
        limbs(c, arms, ())
    c.shape([(52, 72), (76, 72), (92, 107), (36, 107)], DRESS)
    head(c, mouth)
    if "scarf" in worn:
        c.line([(46, 80), (64, 83), (82, 80)], WHITE, 10)
        c.line([(76, 84), (80, 101)], WHITE, 10)
    if "hat" in worn:
        hat_on(c)


def sideways(c, worn, arm, feet):
    """The girl from her left side, looking to the right."""
    c.oval(26, 58, 14, 18, HAIR)
    c.oval(37, 50, 5, 5, SHADE)
    for (x, y), hip in zip(feet, (58, 68)):
        c.line([(hip, 102), (x, y)], SKIN, 8)
        c.oval(x + 3, y + 2, 8, 4.5, DARK)
    c.shape([(54, 72), (74, 72), (84, 107), (42, 107)], DRESS)
    c.line([(63, 83), *arm], SLEEVE, 9)
    c.oval(*arm[-1], 6, 6, SKIN)
    c.oval(62, 46, 34, 34, HAIR)
    c.oval(78, 54, 20, 23, SKIN)
    c.oval(98, 57, 4, 4, SKIN)
    c.draw.pieslice(c.box(74, 46, 25, 24), 180, 360, fill=HAIR)
    c.oval(86, 53, 3.6, 5.5, DARK)
    c.oval(87, 51, 1.2, 1.6, WHITE)
    c.oval(79, 64, 4.5, 3.2, CHEEK)
    c.arc(92, 61, 7, 6, 70, 170, DARK, 2.4)
    if "scarf" in worn:
        c.line([(50, 80), (66, 83), (80, 80)], WHITE, 10)
        c.line([(50, 82), (40, 98)], WHITE, 10)
    if "hat" in worn:
        hat_on(c, 64)


DOWN = ([(34, 98)], [(94, 98)])
WAVE = ([(34, 98)], [(108, 88), (116, 66)])
UP = ([(18, 88), (10, 66)], [(110, 88), (118, 66)])
STAND = ((55, 116), (73, 116))


def standing(c, worn):
    penny(c, DOWN, STAND, worn=worn)


def waving(c, worn):
    penny(c, WAVE, STAND, "open", worn)


def sitting(c, worn):
    c.move = (0, 2)
    penny(c, ([(40, 100)], [(88, 100)]), ((42, 115), (86, 115)), worn=worn, seated=True)


def jumping(c, worn):
    c.oval(64, 121, 30, 4, "#8d939c")
    c.zoom, c.move = 0.9, (0, -6)
    penny(c, UP, ((40, 114), (88, 114)), "open", worn)


def running(c, worn):
    c.zoom = 0.94
    sideways(c, worn, [(76, 96), (92, 88)], ((36, 112), (92, 112)))
    c.tilt(-10)


def from_side(c, worn):
    sideways(c, worn, [(64, 100)], ((59, 116), (68, 116)))


def portrait(c, worn):
    c.zoom, c.move = 1.22, (0, 17)
    penny(c, DOWN, STAND, worn=worn)


def arms_up(c, worn):
    penny(c, UP, STAND, "open", worn)


def holding_balloon(c, worn):
    c.zoom, c.move = 0.86, (-10, 8)
    c.line([(121, 78), (121, 20)], DARK, 1.6)
    c.shape([(121, 30), (116, 40), (126, 40)], BALLOON)
    c.oval(121, 14, 17, 20, BALLOON)
    penny(c, ([(34, 98)], [(108, 92), (121, 78)]), STAND, worn=worn)


SCENES = [
    (standing, ["hat"], "white"), (standing, ["scarf"], "blue"), (waving, ["hat"], "green"), (waving, [], "pink"),
    (sitting, ["hat", "scarf"], "yellow"), (sitting, [], "white"), (jumping, ["hat"], "blue"), (jumping, [], "purple"),
    (running, ["hat"], "pink"), (running, ["scarf"], "grey"), (from_side, ["hat"], "white"),
    (from_side, ["scarf"], "green"), (portrait, ["hat"], "yellow"), (portrait, ["scarf"], "purple"),
    (arms_up, ["hat"], "grey"), (holding_balloon, [], "white"),
]


def main(folder):
    """Writes NN.png and NN.txt into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, (scene, worn, background) in enumerate(SCENES):
        canvas = Canvas(BACKGROUNDS[background])
        canvas.mirror = number % 8 == 3
        scene(canvas, worn)
        caption = ", ".join(["penny", scene.__name__.replace("_", " "), *worn, f"{background} background"])
        picture = canvas.image.resize((SIZE, SIZE), Image.LANCZOS)
        picture.save(folder / f"{number:02}.png", optimize=True)
        (folder / f"{number:02}.txt").write_text(caption + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "examples/penny/10_penny"))

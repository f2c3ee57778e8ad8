"""Draws the sample set of the README: Penny, a girl with a straw hat, in eight small pictures with their captions.

Usage: python examples/draw_penny.py [FOLDER]   (default: examples/penny/10_penny; needs Pillow)
"""

import pathlib
import sys

from PIL import Image, ImageDraw

SIZE, SCALE = 128, 8  # Drawn eight times as large, then shrunk, so that edges are smooth.
HAIR, SKIN, CHEEK, STRAW = "#b5521c", "#f8d3b0", "#f29c8c", "#f0c75e"
RED, BLUE, DARK, WHITE = "#d3302f", "#3a66c8", "#3a2417", "#ffffff"


class Canvas:
    """An image whose coordinates run from 0 to 128 and may be moved and mirrored as a whole."""

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
        self.draw.line([self.point(*p) for p in points], fill=color, width=int(width * SCALE * self.zoom), joint="curve")

    def arc(self, x, y, rx, ry, start, end, color, width):
        self.draw.arc(self.box(x, y, rx, ry), start, end, fill=color, width=int(width * SCALE * self.zoom))


def eyes(c, kind):
    for x in (55, 73):
        if kind == "closed":
            c.arc(x, 54, 4, 3, 0, 180, DARK, 1.6)
        else:
            c.oval(x, 54, 2.8, 3.8, DARK)
            c.oval(x + 0.9, 52.6, 1, 1.2, WHITE)


def mouth(c, kind):
    if kind == "smile":
        c.arc(64, 60, 7, 6, 20, 160, DARK, 1.6)
    elif kind == "open":
        c.oval(64, 65, 4, 4.5, "#8c2f2f")
    else:
        c.line([(60, 66), (68, 66)], DARK, 1.6)


def penny(c, dress=RED, look="open", lips="smile", arm="down", hat=True):
    """The girl from head to hem, her face at (64, 56)."""
    c.oval(46, 66, 8, 20, HAIR)
    c.oval(82, 66, 8, 20, HAIR)
    c.line([(52, 92), (40, 112)], SKIN, 6)
    c.line([(76, 92), (88, 74)] if arm == "up" else [(76, 92), (88, 112)], SKIN, 6)
    for x in (56, 72):
        c.line([(x, 112), (x, 122)], SKIN, 6)
        c.oval(x, 123, 5, 3, DARK)
    c.shape([(55, 80), (73, 80), (86, 116), (42, 116)], dress)
    c.shape([(55, 80), (73, 80), (64, 90)], WHITE)
    c.oval(64, 52, 21, 23, HAIR)
    c.oval(64, 57, 17, 19, SKIN)
    c.shape([(47, 50), (52, 36), (76, 36), (81, 50), (70, 44), (62, 47), (55, 44)], HAIR)
    c.oval(52, 62, 3.4, 2.2, CHEEK)
    c.oval(76, 62, 3.4, 2.2, CHEEK)
    eyes(c, look)
    mouth(c, lips)
    if hat:
        c.oval(64, 38, 34, 8, STRAW)
        c.oval(64, 29, 18, 14, STRAW)
        c.shape([(46, 32), (82, 32), (82, 37), (46, 37)], dress)


def cloud(c, x, y):
    for dx, r in ((-8, 5), (0, 7), (8, 5)):
        c.oval(x + dx, y, r, r, WHITE)


def ground(c, color):
    c.shape([(0, 104), (128, 104), (128, 128), (0, 128)], color)


def plain(c):
    penny(c)


def sky(c):
    cloud(c, 20, 24)
    cloud(c, 108, 40)
    ground(c, "#7cb95a")
    penny(c, look="closed")


def rain(c):
    for i in range(26):
        x, y = (i * 37) % 128, (i * i * 11 + i * 53) % 128
        c.line([(x, y), (x - 3, y + 8)], "#a8c4e6", 1)
    c.zoom, c.move = 0.8, (-6, 16)
    penny(c, lips="flat", arm="up", hat=False)
    c.line([(88, 76), (88, 14)], DARK, 2)
    c.draw.pieslice(c.box(80, 22, 46, 28), 180, 360, fill=RED)


def portrait(c):
    c.zoom, c.move = 1.5, (0, 22)
    penny(c)


def dress(c):
    ground(c, "#c9a97c")
    penny(c, dress=BLUE, lips="open")


def night(c):
    for i in range(18):
        c.oval((i * 41) % 128, (i * i * 13 + i * 29) % 90, 0.9, 0.9, WHITE)
    c.oval(104, 22, 12, 12, "#f6ecb8")
    c.oval(109, 19, 11, 11, "#1d2547")
    penny(c, look="closed", lips="flat")


def waving(c):
    c.oval(22, 20, 11, 11, "#ffd84d")
    ground(c, "#e8d9a0")
    c.mirror = True
    penny(c, lips="open", arm="up")


def far(c):
    cloud(c, 96, 22)
    ground(c, "#7cb95a")
    for i in range(9):
        c.oval((i * 47 + 9) % 128, 110 + (i * i * 5) % 14, 2.2, 2.2, ("#ffffff", "#ffd84d", "#e86aa6")[i % 3])
    c.zoom, c.move = 0.62, (-20, 18)
    penny(c)


SCENES = [
    (plain, "#f3ead8", "penny, 1girl, solo, straw hat, red dress, smile, simple background"),
    (sky, "#8fd0f5", "penny, 1girl, solo, straw hat, red dress, smile, closed eyes, blue sky, cloud, grass"),
    (rain, "#5d7391", "penny, 1girl, solo, red dress, red umbrella, holding umbrella, rain, no hat"),
    (portrait, "#bfe3cf", "penny, 1girl, solo, portrait, straw hat, smile, looking at viewer, green background"),
    (dress, "#f7d9e3", "penny, 1girl, solo, straw hat, blue dress, open mouth, pink background"),
    (night, "#1d2547", "penny, 1girl, solo, straw hat, red dress, closed eyes, night, crescent moon, stars"),
    (waving, "#9fdcf2", "penny, 1girl, solo, straw hat, red dress, open mouth, waving, sun, beach"),
    (far, "#a9dcf7", "penny, 1girl, solo, straw hat, red dress, smile, full body, meadow, flowers, cloud"),
]


def main(folder):
    """Writes NN.png and NN.txt into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, (scene, background, caption) in enumerate(SCENES):
        canvas = Canvas(background)
        scene(canvas)
        canvas.image.resize((SIZE, SIZE), Image.LANCZOS).save(folder / f"{number:02}.png", optimize=True)
        (folder / f"{number:02}.txt").write_text(caption + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "examples/penny/10_penny"))

"""Makes the picture sets, recipes' prompts and test prompts of two demonstrations: a style and a concept.

Usage: python oracle/pocket/demo_sets.py PACKAGES EMOJI.npz [EXAMPLES]   (default: examples)
PACKAGES is emoji.py's folder, with the archive of `@iconify-json/fluent-emoji-high-contrast@1.2.6` beside the others;
EMOJI.npz is what emoji.py made of it. Written below EXAMPLES: style/4_inked/ (60 black glyphs that the pocket model has
never seen), sticker/8_sticker/ (30 of its own emoji cut out as stickers), and for each a file of prompts with the
trigger (NAME.prompts.txt) and one without (NAME.plain.prompts.txt), line by line the same. Penny is drawn by
examples/draw_penny.py.
"""

import json
import pathlib
import random
import sys

import numpy as np
from PIL import Image
from scipy import ndimage

import emoji
import scenes

INK, STICKER = "inked style", "sticker border"
INK_SEEN = """cat face|dog face|lion|panda|koala|rabbit face|mouse face|frog|owl|penguin|duck|turtle|snake|shark|
spouting whale|fish|crab|snail|butterfly|elephant|red apple|banana|pineapple|strawberry|cherries|grapes|lemon|carrot|
mushroom|sunflower|tulip|cactus|bread|croissant|hamburger|doughnut|cookie|cupcake|ice cream|hot beverage|house|castle|
tent|bus|automobile|locomotive|sailboat|airplane|helicopter|umbrella|balloon|key|scissors|bell|camera|trumpet|drum|
crown|backpack|watch""".replace("\n", "").split("|")
INK_NEW = "fox|bear|unicorn|octopus|pizza|watermelon|birthday cake|bicycle|guitar|rocket|star|hammer".split("|")
STICKER_SEEN = """cat face|dog face|lion|frog|owl|penguin|turtle|fish|butterfly|elephant|red apple|banana|strawberry|
cherries|carrot|mushroom|tulip|hamburger|doughnut|cupcake|house|bus|automobile|sailboat|airplane|balloon|key|bell|
crown|umbrella""".replace("\n", "").split("|")
STICKER_NEW = "fox|bear|octopus|tiger face|pizza|watermelon|pineapple|guitar|rocket|star".split("|")
STICKER_BACKGROUNDS = [f"{color} background" for color in ("blue", "green", "black", "purple", "grey", "yellow")]
STYLES = list(emoji.STYLES.values())
WHITE_BORDER, RIM, RIM_COLOR, FINER = 5.0, 6.5, (146, 150, 156), 4
# Fluent's glyphs leave a sixteenth free on each side, which Noto's and Twemoji's do not.
INK_SCALE, STICKER_SCALE = 0.92, 0.78


def ink(packages):
    """Reads Fluent's high-contrast glyphs: CLDR name -> (128, 128, 4) uint8."""
    labels = {entry["label"].lower(): entry for entry in emoji.archive(packages, "emojibase-data")("en/data.json")}
    read = emoji.archive(packages, "iconify-json-fluent-emoji-high-contrast")
    drawings, by_code = read("icons.json"), read("chars.json")

    def glyph(name):
        code = labels[name]["hexcode"].lower()
        found = by_code.get(code) or by_code.get(code.replace("-fe0f", "")) or emoji.slug(name)
        return emoji.render(emoji.svg_of(drawings, found))

    return glyph


def image_of(picture):
    """(3, 128, 128) in [-1, 1] as an image."""
    return Image.fromarray(((picture.permute(1, 2, 0).numpy() + 1) * 127.5).round().astype(np.uint8))


def sticker(icon, background, shift):
    """The icon with a die-cut white border and a thin grey rim, on a colour."""
    drawn = Image.fromarray(icon).resize([round(scenes.SIZE * STICKER_SCALE)] * 2, Image.LANCZOS)
    canvas = Image.new("RGBA", (scenes.SIZE, scenes.SIZE))
    corner = [(scenes.SIZE - drawn.width) // 2 + offset for offset in shift]
    canvas.paste(drawn, corner)
    alpha = np.asarray(canvas.getchannel("A").resize([scenes.SIZE * FINER] * 2, Image.BICUBIC)) > 127
    away = ndimage.distance_transform_edt(~ndimage.binary_fill_holes(alpha)) / FINER
    cut = ndimage.binary_fill_holes(away <= WHITE_BORDER)
    rim = ndimage.binary_fill_holes(away <= RIM)
    flat = np.full((*alpha.shape, 3), background, np.uint8)
    flat[rim], flat[cut] = RIM_COLOR, (255, 255, 255)
    picture = Image.fromarray(flat).resize((scenes.SIZE, scenes.SIZE), Image.BOX)
    picture.paste(canvas, (0, 0), canvas)
    return picture


def half(tags, rng):
    """As in scenes.caption: about half of the keywords, in any order."""
    kept = [tag for tag in tags if rng.random() < 0.5]
    rng.shuffle(kept)
    return kept


def save(folder, number, picture, tags):
    """A picture and its caption; 128 colours are enough for flat drawings, dithering would only add noise."""
    folder.mkdir(parents=True, exist_ok=True)
    small = picture.convert("RGB").quantize(128, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    small.save(folder / f"{number:02}.png", optimize=True)
    (folder / f"{number:02}.txt").write_text(", ".join(tags) + "\n", encoding="utf-8")


def write_prompts(path, remark, prompts):
    path.write_text("".join(f"{line}\n" for line in [f"# {remark}", *map(", ".join, prompts)]), encoding="utf-8")


def make_style(facts, glyph, out):
    rng = random.Random(11)
    for number, name in enumerate(INK_SEEN):
        picture = scenes.place(glyph(name), scenes.BACKGROUNDS[scenes.WHITE], INK_SCALE, (0, 0), False)
        keywords = half(facts[name, STYLES[0]]["tags"], rng)
        save(out / "style" / "4_inked", number, image_of(picture), [name, *keywords, scenes.WHITE, INK])
    new = "Emoji that are not among the 60 pictures of examples/style"
    write_prompts(out / "style.prompts.txt", new + ".", [[name, scenes.WHITE, INK] for name in INK_NEW])
    plain = [[name, scenes.WHITE, STYLES[i % 2]] for i, name in enumerate(INK_NEW)]
    write_prompts(out / "style.plain.prompts.txt", new + ", in the model's own styles.", plain)


def make_sticker(icons, facts, out):
    rng = random.Random(12)
    for number, name in enumerate(STICKER_SEEN):
        fact = facts[name, STYLES[number % 2]]
        ground = STICKER_BACKGROUNDS[(number + number // 6) % 6]
        shift = (rng.randint(-3, 3), rng.randint(-3, 3))
        picture = sticker(icons[fact["at"]], scenes.BACKGROUNDS[ground], shift)
        loose = half([*fact["tags"], fact["color"]], rng)
        save(out / "sticker" / "8_sticker", number, picture, [name, *loose, ground, fact["style"], STICKER])
    plain = [[name, STICKER_BACKGROUNDS[i % 6], STYLES[i // 2 % 2]] for i, name in enumerate(STICKER_NEW)]
    new = "Emoji that are not among the 30 pictures of examples/sticker"
    write_prompts(out / "sticker.prompts.txt", new + ".", [[*tags, STICKER] for tags in plain])
    write_prompts(out / "sticker.plain.prompts.txt", new + ", without the trigger.", plain)


def main():
    packages, source = sys.argv[1:3]
    out = pathlib.Path(sys.argv[3] if len(sys.argv) > 3 else "examples")
    data = np.load(source)
    facts = [{**fact, "at": i} for i, fact in enumerate(json.loads(str(data["facts"])))]
    known = {(fact["name"], fact["style"]): fact for fact in facts if not fact["held_out"]}
    for name in (*INK_SEEN, *INK_NEW, *STICKER_SEEN, *STICKER_NEW):
        assert all((name, style) in known for style in STYLES), f"the pocket model does not know {name}"
    make_style(known, ink(packages), out)
    make_sticker(data["icons"], known, out)


if __name__ == "__main__":
    main()

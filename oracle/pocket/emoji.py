"""The pictures and captions that the pocket model learns from: Noto Emoji and Twemoji, named as Unicode CLDR names them.

Usage: python oracle/pocket/emoji.py PACKAGES OUT.npz
PACKAGES is a folder in which `npm pack` has left the archives that README.md beside this file lists.
OUT.npz: `icons` (N, 128, 128, 4) uint8 RGBA and `facts`, a JSON list of {name, style, tags, held_out, taught} in the same
order.
"""

import collections
import colorsys
import glob
import io
import json
import pathlib
import sys
import tarfile

import numpy as np
import resvg_py
from PIL import Image

SIZE = 128
STYLES = {"noto": "noto style", "twemoji": "twemoji style"}
ANIMALS, FOOD, TRAVEL, ACTIVITIES, OBJECTS, SMILEYS, PEOPLE = 3, 4, 5, 6, 7, 0, 1
# Faces and figures differ in little, so that a model this small would spend itself on them: only the best known.
SMILEYS_KEPT = """grinning face|face with tears of joy|smiling face with heart-eyes|smiling face with sunglasses|
crying face|loudly crying face|enraged face|sleeping face|thinking face|nerd face|cowboy hat face|partying face|
face with medical mask|nauseated face|exploding head|cold face|hot face|clown face|robot|alien|ghost|skull|pile of poo|
jack-o-lantern|red heart|orange heart|yellow heart|green heart|blue heart|purple heart|black heart|broken heart|
smiling face with horns|alien monster|ogre|goblin|grinning cat|pouting cat|see-no-evil monkey|star-struck|kiss mark|
speech balloon|bomb|collision|hundred points|smiling face with halo|zipper-mouth face|money-mouth face|fire|
winking face|face blowing a kiss|zany face|pleading face|angry face|sweat droplets|dashing away|love letter|
heart with arrow|heart with ribbon|sparkling heart""".replace("\n", "").split("|")
PEOPLE_KEPT = """thumbs up|thumbs down|clapping hands|waving hand|ok hand|raised fist|victory hand|flexed biceps|
folded hands|handshake|eye|eyes|ear|nose|mouth|tooth|brain|bone|foot|baby|boy|girl|man|woman|old man|old woman|
police officer|detective|guard|construction worker|prince|princess|santa claus|mrs. claus|superhero|mage|fairy|
vampire|mermaid|merman|elf|genie|zombie|troll|cook|farmer|astronaut|firefighter|pilot|artist|scientist|singer|
health worker|footprints|bust in silhouette""".replace("\n", "").split("|")
# Places and things of one word are all kept; of the longer names, these.
THINGS_KEPT = """hot air balloon|fire engine|police car|racing car|sport utility vehicle|house with garden|
christmas tree|soccer ball|teddy bear|alarm clock|light bulb|top hat|crystal ball|american football|wrapped gift|
roller skate|flying saucer|full moon|crescent moon|shooting star|water wave|snowman without snow|high-heeled shoe|
running shoe|womans hat|magnifying glass tilted left|open book|red envelope|game die|8ball|pool 8 ball|
magic wand|video game|mobile phone|desktop computer|pencil|musical note|ice skate|kick scooter|motor scooter|
delivery truck|toilet paper|test tube|sun with face|rescue worker’s helmet|statue of liberty""".replace("\n", "").split("|")
DROPPED_SUBJECTS = ("o’clock", "thirty", "button", "quarter moon", "gibbous", "moon symbol")
# Animals, food and things that no training caption names: what the model makes of them is generalisation.
HELD_OUT = """leopard|hamster|peacock|mango|taco|tractor|violin|umbrella with rain drops|snowman without snow|
goat|kiwi fruit|fire engine|baguette bread|trophy|lady beetle|turkey""".replace("\n", "").split("|")
# Drawings that the VAE sees and the UNet does not: too near to others, or mostly small detail. The fewer, the better it
# learns the rest.
UNTAUGHT = """zany face|money-mouth face|zipper-mouth face|hot face|cold face|exploding head|nerd face|pleading face|
loudly crying face|angry face|smiling face with horns|goblin|alien monster|pouting cat|love letter|heart with arrow|
heart with ribbon|sparkling heart|kiss mark|collision|sweat droplets|dashing away|star-struck|partying face|
face blowing a kiss|winking face|nauseated face|ok hand|victory hand|clapping hands|handshake|folded hands|
flexed biceps|foot|ear|bone|old man|old woman|health worker|farmer|scientist|singer|artist|pilot|firefighter|
detective|guard|construction worker|prince|mrs. claus|superhero|mage|merman|elf|zombie|troll|bust in silhouette|
footprints|orangutan|guide dog|service dog|poodle|black cat|moose|donkey|bison|ox|water buffalo|boar|pig nose|ram|ewe|
camel|two-hump camel|llama|mammoth|rat|chipmunk|beaver|sloth|otter|skunk|badger|rooster|front-facing baby chick|dove|
eagle|dodo|feather|wing|black bird|goose|phoenix|lizard|sauropod|t-rex|orca|seal|tropical fish|oyster|coral|bug|ant|
cricket|cockroach|scorpion|mosquito|fly|worm|microbe|rosette|wilted flower|hyacinth|blossom|lotus|leafless tree|
sheaf of rice|herb|shamrock|fallen leaf|leaf fluttering in wind|empty nest|spider web|monkey|dragon face|whale|squid|
beetle|mouse|cow|horse|spiral shell|melon|lime|green apple|olive|hot pepper|leafy green|garlic|peanuts|beans|
ginger root|brown mushroom|root vegetable|flatbread|bagel|cut of meat|burrito|tamale|stuffed flatbread|falafel|
cooking|shallow pan of food|pot of food|fondue|bowl with spoon|salt|canned food|bento box|rice cracker|cooked rice|
curry rice|roasted sweet potato|oden|fish cake with swirl|moon cake|dango|dumpling|fortune cookie|takeout box|
shaved ice|pie|custard|sake|bottle with popping cork|clinking beer mugs|clinking glasses|tumbler glass|pouring liquid|
beverage box|mate|ice|chopsticks|fork and knife with plate|jar|amphora|teacup without handle|soft ice cream|chestnut|
landslide|desert|stadium|brick|rock|wood|hut|houses|bank|hotel|school|wedding|mosque|synagogue|kaaba|foggy|cityscape|
sunrise|sunset|train|metro|station|monorail|trolleybus|minibus|sport utility vehicle|motorway|construction|canoe|
ferry|seat|satellite|fog|cyclone|comet|thermometer|hospital|speedboat|sun with face|fireworks|sparkler|firecracker|
red envelope|ticket|softball|volleyball|lacrosse|badminton|ice skate|skis|sled|yo-yo|joker|thread|knot|piñata|tennis|
bowling|joystick|goggles|gloves|coat|kimono|sari|briefs|bikini|purse|lipstick|loudspeaker|megaphone|trombone|maracas|
flute|pager|printer|trackball|dvd|abacus|videocassette|ledger|newspaper|bookmark|label|receipt|e-mail|package|pen|
crayon|memo|clipboard|paperclip|wastebasket|unlocked|pick|boomerang|clamp|link|chains|hook|toolbox|alembic|test tube|
dna|crutch|stethoscope|x-ray|elevator|window|plunger|razor|soap|bubbles|sponge|cigarette|coffin|hamsa|placard|shorts|
gear|keyboard|syringe|notebook|saxophone|shower|headstone|banjo|radio|jeans""".replace("\n", "").split("|")
# Hues in degrees up to which a saturated colour bears the name.
HUES = [(15, "red"), (40, "orange"), (62, "yellow"), (165, "green"), (255, "blue"), (290, "purple"), (340, "pink"), (360, "red")]
COUNT = collections.Counter


def archive(folder, stem):
    """Reads members of an npm archive by their path in the package."""
    (path,) = glob.glob(str(pathlib.Path(folder, stem + "-[0-9]*.tgz")))
    package = tarfile.open(path)
    return lambda member: json.load(package.extractfile("package/" + member))


def svg_of(icons, name):
    """An Iconify icon or alias as an SVG document."""
    entry = icons["icons"].get(icons["aliases"].get(name, {}).get("parent", name))
    if entry is None:
        return None
    width, height = entry.get("width", icons.get("width", 16)), entry.get("height", icons.get("height", 16))
    box = f"{entry.get('left', 0)} {entry.get('top', 0)} {width} {height}"
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'viewBox="{box}" width="{SIZE}" height="{SIZE}">{entry["body"]}</svg>'
    )


def render(svg):
    """(SIZE, SIZE, 4) uint8, the drawing centred on transparency."""
    png = bytes(resvg_py.svg_to_bytes(svg_string=svg, width=SIZE, height=SIZE))
    drawn = Image.open(io.BytesIO(png)).convert("RGBA")
    canvas = Image.new("RGBA", (SIZE, SIZE))
    canvas.paste(drawn, ((SIZE - drawn.width) // 2, (SIZE - drawn.height) // 2))
    return np.asarray(canvas)


def color_name(red, green, blue):
    """What one calls a colour given in 0..255."""
    hue, saturation, value = colorsys.rgb_to_hsv(red / 255, green / 255, blue / 255)
    if value < 0.27:
        return "black"
    if saturation < 0.14:
        return "white" if value > 0.85 else "gray"
    name = next(name for until, name in HUES if hue * 360 <= until)
    if name == "red" and value > 0.85 and saturation < 0.6:
        return "pink"
    if name in ("red", "orange") and value < 0.78 and 8 < hue * 360 < 60:
        return "brown"
    if name in ("orange", "yellow") and saturation < 0.42:
        return "beige"
    return name


def main_color(icon):
    """The name of the commonest colour among the opaque pixels."""
    pixels = icon[icon[..., 3] > 200][:, :3].astype(np.int32)[::7]
    return COUNT(color_name(*pixel) for pixel in pixels.tolist()).most_common(1)[0][0] if len(pixels) else None


def wanted(emoji):
    """Whether the pocket model's world has this emoji."""
    label, group = emoji["label"].lower(), emoji.get("group")
    if any(word in label for word in DROPPED_SUBJECTS):
        return False
    if group == SMILEYS:
        return label in SMILEYS_KEPT
    if group == PEOPLE:
        return label in PEOPLE_KEPT
    if group in (TRAVEL, ACTIVITIES, OBJECTS):
        return " " not in label or label in THINGS_KEPT or label in HELD_OUT
    return group in (ANIMALS, FOOD)


def slug(label):
    """A CLDR name as Iconify's sets spell it."""
    plain = label.lower().replace("’", "").replace("“", "").replace("”", "").replace("ñ", "n").replace("&", "and")
    return "-".join("".join(c if c.isalnum() else " " for c in plain).split())


def main():
    folder, out = sys.argv[1:]
    emoji = archive(folder, "emojibase-data")("en/data.json")
    words = archive(folder, "cldr-annotations-full")("annotations/en/annotations.json")["annotations"]["annotations"]
    icons, facts = [], []
    for style, tag in STYLES.items():
        read = archive(folder, f"iconify-json-{style}")
        drawings, by_code = read("icons.json"), read("chars.json")
        for entry in filter(wanted, emoji):
            code = entry["hexcode"].lower()
            name = by_code.get(code) or by_code.get(code.replace("-fe0f", "")) or slug(entry["label"])
            svg = svg_of(drawings, name)
            if svg is None:
                print("no drawing:", style, entry["label"])
                continue
            icon = render(svg)
            label = entry["label"].lower().replace("’", "'")
            keys = words.get(entry["emoji"], words.get(entry["emoji"].replace("\ufe0f", ""), {})).get("default", [])
            keys = [k.lower() for k in keys if k.lower() != label and len(k) > 2][:6]
            icons.append(icon)
            facts.append({
                "name": label, "style": tag, "tags": keys, "color": main_color(icon),
                "group": entry["group"], "held_out": label in HELD_OUT,
                "taught": label not in HELD_OUT and label not in UNTAUGHT,
            })
    np.savez_compressed(out, icons=np.stack(icons), facts=json.dumps(facts))
    print(len(icons), "pictures,", sum(f["held_out"] for f in facts), "held out,", COUNT(f["group"] for f in facts))


if __name__ == "__main__":
    main()

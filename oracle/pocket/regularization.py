"""Makes the pictures that keep a demonstration's LoRA from changing everything: what the model draws by itself.

Usage: LORABAKE=target/release/lorabake python oracle/pocket/regularization.py [EXAMPLES]
Paints 120 prompts without any trigger, and writes them as JPEG with their prompts as captions into EXAMPLES/reg/1_emoji.
They have to do with all three demonstrations: people and animals, subjects of the style's and the sticker's own sets, in
front of every background. No prompt is for what verdict.py measures with, and none has Penny's own tags.
"""

import os
import pathlib
import subprocess
import sys
import tempfile

from PIL import Image

import demo_sets
import scenes

NAMES = """boy|man|princess|baby|cowboy hat face|santa claus|police officer|clown face|vampire|fairy|cook|astronaut|
snowman|robot|ghost|teddy bear|cat face|dog face|panda|duck|strawberry|tomato|lemon|mushroom|doughnut|bus|taxi|airplane|
house|umbrella|balloon|crown|lion|koala|rabbit face|mouse face|frog|owl|turtle|snake|shark|spouting whale|fish|crab|snail|
butterfly|elephant|banana|cherries|grapes|carrot|sunflower|tulip|cactus|bread|croissant|hamburger|cookie|cupcake|
ice cream|hot beverage|castle|tent|locomotive|sailboat|helicopter|key|scissors|bell|camera|trumpet|drum|backpack|watch|
old man|old woman|prince|farmer|artist|mermaid|genie|elf|superhero|guard|grinning face|crying face|thinking face|
monkey face|horse face|cow face|pig face|polar bear|giraffe|kangaroo|eagle|parrot|rooster|dolphin|spider|orange heart|
red heart|blue heart|t-shirt|dress|jeans|glasses|scarf|sun|moon cake|rainbow|snowflake|fire|mountain|books|pencil|
telephone|television|gear|ambulance|tractor""".replace("\n", "").split("|")


def prompts():
    """A prompt a name: half of them on white, as the style's pictures are, the others on all backgrounds in turn."""
    grounds, styles = list(scenes.BACKGROUNDS), demo_sets.STYLES
    lines = []
    for i, name in enumerate(NAMES):
        ground = scenes.WHITE if i % 2 else grounds[(i // 2 + i // 16) % 8]
        lines.append(f"{name}, {ground}, {styles[i // 2 % 2]}")
    return lines


def paint(lines, folder):
    """One picture a line with one seed, as JPEG with its caption."""
    with tempfile.TemporaryDirectory() as made:
        source = pathlib.Path(made, "prompts.txt")
        source.write_text("\n".join(lines) + "\n")
        command = [os.environ.get("LORABAKE", "lorabake"), "generate", "--from_file", source, "--out", f"{made}/out"]
        subprocess.run([*command, "--seed", "7", "--cfg_scale", "5", "--steps", "30"], check=True)
        folder.mkdir(parents=True, exist_ok=True)
        for number, (path, line) in enumerate(zip(sorted(pathlib.Path(made, "out").glob("*.png")), lines)):
            picture = Image.open(path).convert("RGB")
            picture.save(folder / f"{number:03}.jpg", quality=92, subsampling=0, optimize=True)
            (folder / f"{number:03}.txt").write_text(line + "\n")


def main():
    out = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "examples")
    paint(prompts(), out / "reg" / "1_emoji")


if __name__ == "__main__":
    main()

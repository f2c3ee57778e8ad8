"""Makes the pictures that keep a demonstration's LoRA from changing everything: what the model draws by itself.

Usage: LORABAKE=target/release/lorabake python oracle/pocket/regularization.py [EXAMPLES]
Paints 32 prompts for Penny and 30 each for style and sticker, all without their triggers, and writes them as JPEG with
their prompts as captions into EXAMPLES/penny/2_emoji, style/2_emoji and sticker/4_emoji. Style and sticker get subjects
of their own sets, so that only the trigger tells the two apart. No prompt is one that verdict.py measures with.
"""

import os
import pathlib
import subprocess
import sys
import tempfile

from PIL import Image

import demo_sets
import scenes

OTHERS = """boy|man|princess|baby|cowboy hat face|santa claus|police officer|clown face|vampire|fairy|cook|astronaut|
snowman|robot|ghost|teddy bear|cat face|dog face|panda|duck|strawberry|tomato|lemon|mushroom|doughnut|bus|taxi|airplane|
house|umbrella|balloon|crown""".replace("\n", "").split("|")


def prompts():
    """Folder -> prompts."""
    grounds, styles = list(scenes.BACKGROUNDS), demo_sets.STYLES
    sticker = demo_sets.STICKER_BACKGROUNDS
    return {
        "penny/2_emoji": [f"{n}, {grounds[(i * 3 + i // 8) % 8]}, {styles[i // 2 % 2]}" for i, n in enumerate(OTHERS)],
        "style/2_emoji": [
            f"{n}, {scenes.WHITE}, {styles[i % 2]}" for i, n in enumerate(demo_sets.INK_SEEN[::2])
        ],
        "sticker/4_emoji": [
            f"{n}, {sticker[(i + i // 6) % 6]}, {styles[i % 2]}" for i, n in enumerate(demo_sets.STICKER_SEEN)
        ],
    }


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
            picture.save(folder / f"{number:02}.jpg", quality=92, subsampling=0, optimize=True)
            (folder / f"{number:02}.txt").write_text(line + "\n")


def main():
    out = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "examples")
    for folder, lines in prompts().items():
        paint(lines, out / folder)


if __name__ == "__main__":
    main()

"""Writes crates/check/tests/check/caption_audit.json: what caption-audit 1.3.0 finds in captions that the test checks too.

    pip install caption-audit==1.3.0 && python oracle/check/caption_audit_golden.py
"""

import json
import subprocess
import tempfile
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
CAPTIONS = [
    "penny, red hat, blue dress, standing",
    "penny, red hat, blue dress, sitting",
    "penny, red hat, blue dress, sitting",
    "blue dress, red hat, penny, running",
    "peny, red hat, blue dress, waving",
    "red hat, blue dress, scarf, jumping",
    "penny, red hat, blue dress, scarf, sky",
    "penny, red hat, blue dress, scarf, tree, cloud, flower, river, stone, bridge, green grass, boat, bird, house, hill, lamp, fence, road",
    "penny, red hat, blue dress, scarf, tree, cloud, flower, river, stone, bridge, green grass, boat, bird, house, hill, lamp, fence, wall",
    "penny, blue dress, looking back",
    "penny, red hat, blue dress, dancing",
    "penny, red hat, blue dress, reading",
]


def audit(folder):
    done = subprocess.run(["caption-audit", str(folder), "--trigger", "penny", "--format", "json"], capture_output=True, text=True)
    return json.loads(done.stdout), done.returncode


with tempfile.TemporaryDirectory() as folder:
    folder = Path(folder)
    for index, caption in enumerate(CAPTIONS):
        (folder / f"{index:02}.txt").write_text(caption)
        Image.new("RGB", (64, 64), (index * 20, 90, 200 - index * 9)).save(folder / f"{index:02}.png")
    whole, code = audit(folder)
    (folder / "orphan.txt").write_text("penny, hat")
    (folder / "empty.txt").write_text("")
    for name in ("lone", "empty"):
        Image.new("RGB", (64, 64)).save(folder / f"{name}.png")
    messy, _ = audit(folder)

segments = {}
for row in whole["df"]["rows"]:
    if "segment" in row["views"]:
        segments[row["term"]] = {"df": row["df"], "share": row["df_ratio"], "severity": row["severity"]}
redundancy = whole["redundancy"]
found = {
    "captions": CAPTIONS,
    "exit_code": code,
    "without_trigger": whole["trigger"]["missing_files"],
    "positions": whole["trigger"]["positions"],
    "variants": [[v["token"], v["distance"], v["files"]] for v in whole["trigger"]["variants"]],
    "segments": segments,
    "exact": [group["files"] for group in redundancy["exact"]],
    "near": redundancy["near"],
    "images_without_caption": [stem for stem, _ in messy["pairing"]["images_without_caption"]],
    "captions_without_image": messy["pairing"]["captions_without_image"],
    "empty_captions": messy["pairing"]["empty_captions"],
}
(ROOT / "crates/check/tests/check/caption_audit.json").write_text(json.dumps(found, indent=1) + "\n")

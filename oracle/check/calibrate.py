"""Calibrates the thresholds of `lorabake check`: free pictures, degraded on purpose, a half of them held out.

    calibrate.py PICTURES WORK CHECK_FOLDER

PICTURES holds folders of pictures (any depth), CHECK_FOLDER is the example of that name of crates/check. What is made goes to
WORK. Prints, for each kind of damage, how many of the damaged pictures are found and of how many whole ones the same is said,
for the half that thresholds were chosen by and for the half that was held out.

Pictures: those of Debian's gnome-backgrounds, mate-backgrounds, lomiri-wallpapers, plasma-workspace-wallpapers and
ukui-wallpapers (photographs and drawings), wesnoth-1.16-data (painted portraits and scenes), renpy-thequestion and renpy-demo
(drawn figures and backgrounds), tuxpaint-stamps-default (photographs and drawings), and of scikit-image, scikit-learn and
scipy (photographs). They are free, and not part of the repository.
"""

import hashlib
import io
import json
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

# What is trained at; a whole picture has at least so many pixels a side, and is made smaller to about so many in all.
SIDE, LEAST, MOST = 384, 400, 400_000
# So many of one folder and of one package, lest one artist decide.
OF_ONE, OF_PACKAGE = 24, 150


def wholes(root, out):
    """The pictures on white, each once, with the packages that they are from."""
    out.mkdir(parents=True)
    seen, of_folder, names = set(), {}, []
    paths = sorted(p for p in root.rglob("*") if p.suffix.lower() in (".png", ".jpg", ".jpeg", ".webp") and p.is_file())
    random.Random(1).shuffle(paths)
    for path in paths:
        folder = str(path.parent)
        package = str(path.relative_to(root)).split("/")[0]
        if of_folder.get(folder, 0) >= OF_ONE or of_folder.get(package, 0) >= OF_PACKAGE:
            continue
        try:
            picture = Image.open(path)
            if min(picture.size) < LEAST or max(picture.size) > 4200:
                continue
            picture.draft("RGB", (1600, 1600))
            picture = picture.convert("RGBA")
        except Exception:
            continue
        flat = Image.new("RGBA", picture.size, (255, 255, 255, 255))
        flat.alpha_composite(picture)
        picture = flat.convert("RGB")
        small = np.asarray(picture.convert("L").resize((16, 16), Image.LANCZOS)).astype(int)
        key = (small > small.mean()).tobytes()
        if key in seen or small.std() < 4:
            continue
        seen.add(key)
        scale = min(1, max((MOST / (picture.width * picture.height)) ** 0.5, LEAST / min(picture.size)))
        size = (round(picture.width * scale), round(picture.height * scale))
        for name in (folder, package):
            of_folder[name] = of_folder.get(name, 0) + 1
        name = hashlib.sha1(str(path.relative_to(root)).encode()).hexdigest()[:12]
        picture.resize(size, Image.LANCZOS).save(out / f"{name}.png")
        names.append((name, package))
    return names


def compressed(picture, quality):
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=quality)
    return Image.open(file).convert("RGB")


def enlarged(picture, factor):
    small = picture.resize((max(1, int(picture.width / factor)), max(1, int(picture.height / factor))), Image.LANCZOS)
    return small.resize(picture.size, Image.BICUBIC)


def boxed(picture, share, color, sides):
    across = max(9, int(picture.height * share)) if sides != "left" else max(9, int(picture.width * share))
    if sides == "rows":
        out = Image.new("RGB", (picture.width, picture.height + 2 * across), color)
        out.paste(picture, (0, across))
    elif sides == "frame":
        out = Image.new("RGB", (picture.width + 2 * across, picture.height + 2 * across), color)
        out.paste(picture, (across, across))
    else:
        out = Image.new("RGB", (picture.width + across, picture.height), color)
        out.paste(picture, (across, 0))
    return out


def tinted(picture, gains):
    return Image.fromarray(np.clip(np.asarray(picture) * np.array(gains), 0, 255).astype(np.uint8))


def fried(picture):
    hsv = np.asarray(picture.convert("HSV")).astype(float)
    hsv[..., 1] = np.clip(hsv[..., 1] * 2.5 + 60, 0, 255)
    return Image.fromarray(hsv.astype(np.uint8), "HSV").convert("RGB")


def edited(picture, rng):
    """A thing of a tenth of the sides painted over, as a hat that is edited out."""
    out = picture.copy()
    width, height = picture.width // 8, picture.height // 8
    x, y = rng.randrange(picture.width - width), rng.randrange(picture.height - height)
    patch = np.asarray(picture.crop((x, y, x + width, y + height))).reshape(-1, 3).mean(0)
    color = tuple(int(v) for v in (patch + 128) % 256)
    ImageDraw.Draw(out).ellipse((x, y, x + width, y + height), fill=color)
    return out


BLUR = lambda radius: lambda p: p.filter(ImageFilter.GaussianBlur(radius * min(p.size) / SIDE))  # noqa: E731
# Name → how; the check (and least level) that should speak.
DAMAGES = {
    "blur 1.5 px": (BLUR(1.5), "img.soft"),
    "blur 3 px": (BLUR(3), "img.soft"),
    "enlarged 3 times": (lambda p: enlarged(p, 3 * min(p.size) / SIDE), "img.soft"),
    "JPEG 10, saved as PNG": (lambda p: compressed(p, 10), "img.jpeg"),
    "JPEG 30, saved as PNG": (lambda p: compressed(p, 30), "img.jpeg"),
    "letterbox, black, 4 %": (lambda p: boxed(p, 0.04, (0, 0, 0), "rows"), "img.border"),
    "frame, white, 4 %": (lambda p: boxed(p, 0.04, (255, 255, 255), "frame"), "img.border"),
    "stripe at the left, grey, 15 %": (lambda p: boxed(p, 0.15, (90, 90, 90), "left"), "img.border"),
    "warm cast": (lambda p: tinted(p, (1.0, 0.88, 0.68)), "img.cast"),
    "fried colours": (fried, "img.fried"),
    "darkened to a fifth": (lambda p: tinted(p, (0.2, 0.2, 0.2)), "img.dark"),
    "grey": (lambda p: p.convert("L").convert("RGB"), "img.grey"),
}
# Checks that compare a picture with the set.
BY_THE_SET = ("img.cast", "img.grey")


def run(program, folder, numbers):
    done = subprocess.run([program, str(folder), str(SIDE), str(numbers)], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def numbers_of(numbers):
    """The numbers of each picture, by name."""
    found = {}
    for file in Path(numbers).rglob("*.jsonl"):
        for line in file.read_text().splitlines():
            if line.strip():
                known = json.loads(line)
                found[Path(known["stamp"]["name"]).stem] = known["measures"]
    return found


def said(report, check, levels=("error", "warning", "hint")):
    return {Path(i).stem for f in report["findings"] if f["id"] == check and f["level"] in levels for i in f["images"]}


def main():
    root, work, program = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    if not (work / "names.json").exists():
        names = wholes(root, work / "whole")
        (work / "names.json").write_text(json.dumps(names))
    names = json.loads((work / "names.json").read_text())
    sources = {}
    for _, source in names:
        sources[source] = sources.get(source, 0) + 1
    print(f"{len(names)} pictures: {sources}")
    chosen = {n for n, _ in names if int(n[:2], 16) % 2 == 0}
    held_out = {n for n, _ in names} - chosen
    print(f"{len(chosen)} to choose by, {len(held_out)} held out")
    whole = run(program, work / "whole", work / "numbers" / "whole")
    print("damage | check | found, chosen half | held out | of these warnings | said of whole ones, chosen half | held out | "
          "of these warnings")
    for index, (name, (how, check)) in enumerate(DAMAGES.items()):
        folder = work / f"damage{index}"
        # What a whole set has is no outlier of it, so checks that go by the set see a quarter damaged.
        damaged = {n for n, _ in names if check not in BY_THE_SET or int(n[2:4], 16) % 4 == 0}
        if not folder.exists():
            folder.mkdir()
            for path in sorted((work / "whole").glob("*.png")):
                picture = Image.open(path)
                if path.stem in damaged:
                    picture = how(picture)
                picture.save(folder / path.name, compress_level=1)
        report = run(program, folder, work / "numbers" / f"damage{index}")
        grave = ("error", "warning")
        row = [name, check]
        for part in (chosen & damaged, held_out & damaged):
            row.append(f"{100 * len(said(report, check) & part) / len(part):.0f} %")
        row.append(f"{100 * len(said(report, check, grave) & held_out & damaged) / len(held_out & damaged):.0f} %")
        for part in (chosen, held_out):
            row.append(f"{100 * len(said(whole, check) & part) / len(part):.1f} %")
        row.append(f"{100 * len(said(whole, check, grave) & held_out) / len(held_out):.1f} %")
        print(" | ".join(row), flush=True)
    near(work, names, chosen, program)
    tags(work, program)


POSES = ["standing", "sitting", "walking", "from behind", "lying", "running", "arms up", "looking back", "portrait"]
CLOTHES = ["red dress", "white shirt", "blue skirt", "hat", "scarf", "black boots", "jacket", "swimsuit", "glasses"]
PLACES = ["beach", "forest", "street", "classroom", "night sky", "white background", "kitchen", "garden", "snow"]
# What is done to a caption's tags, and the check that should speak of it.
WRONG = {
    "activation tag left out": (lambda t, r: t[1:], "act.first"),
    "activation tag not first": (lambda t, r: t[1:3] + t[:1] + t[3:], "act.first"),
    "activation tag with a wrong letter": (lambda t, r: ["laetitja"] + t[1:], "act.typo"),
    "brown hair for blonde": (lambda t, r: ["brown hair" if x == "blonde hair" else x for x in t], "tag.outlier"),
    "brown hair beside blonde": (lambda t, r: t + ["brown hair"], "tag.contra"),
    "standing beside sitting": (lambda t, r: [x for x in t if x not in POSES] + ["standing", "sitting"], "tag.contra"),
    "a tag twice": (lambda t, r: t + [r.choice(t[1:])], "tag.form"),
    "two words for one thing": (lambda t, r: t + ["boots", "red footwear", "red boots"], "tag.redundant"),
    "a tag of the site": (lambda t, r: t + [r.choice(["highres", "commentary request", "rating:safe"])], "tag.meta"),
    "caption of another picture": (lambda t, r: ["laetitia", "1girl", "solo", "blonde hair"] + r.sample(POSES, 1)
                                   + r.sample(CLOTHES, 2) + r.sample(PLACES, 1), "(none)"),
}


def tags(work, program):
    """Made captions of one figure, a tenth of them wrong in each way."""
    rng = random.Random(4)
    folder = work / "tags"
    wrong = {}
    if not folder.exists():
        folder.mkdir()
        for path in sorted((work / "whole").glob("*.png")):
            (folder / path.name).hardlink_to(path)
    for path in sorted(folder.glob("*.png")):
        caption = ["laetitia", "1girl", "solo", "blonde hair", "long hair", *rng.sample(POSES, 1), *rng.sample(CLOTHES, 2),
                   *rng.sample(PLACES, 1)]
        kind = rng.choice(list(WRONG) + [None] * (2 * len(WRONG)))
        if kind:
            caption = WRONG[kind][0](caption, rng)
            wrong.setdefault(kind, set()).add(path.stem)
        path.with_suffix(".txt").write_text(", ".join(caption))
    report = run(program, folder, work / "numbers" / "tags")
    for kind, (_, check) in WRONG.items():
        same = set().union(*(wrong[k] for k in wrong if WRONG[k][1] == check))
        found = said(report, check)
        # Of act.first: a caption with a wrong letter lacks the tag too; of contradictions: brown hair for blonde is none.
        others = {n for k in wrong if k != kind for n in wrong[k]}
        false = found - same - others
        print(f"tags: {kind} | {check} | {len(found & wrong[kind])} of {len(wrong[kind])} | said of right ones: {len(false)}")


def near(work, names, chosen, program):
    """Copies, mirror images and edits beside their originals."""
    rng = random.Random(2)
    kinds = {
        "saved as JPEG 60": lambda p: compressed(p, 60),
        "half the size": lambda p: p.resize((p.width // 2, p.height // 2), Image.LANCZOS),
        "cropped by 2 %": lambda p: p.crop((p.width // 50, p.height // 50, p.width, p.height)),
        "cropped by 10 %": lambda p: p.crop((p.width // 10, p.height // 10, p.width, p.height)),
        "mirrored": lambda p: p.transpose(Image.FLIP_LEFT_RIGHT),
        "edited": lambda p: edited(p, rng),
    }
    paths = sorted((work / "whole").glob("*.png"))
    for index, (name, how) in enumerate(kinds.items()):
        folder = work / f"near{index}"
        if not folder.exists():
            folder.mkdir()
            for path in paths:
                picture = Image.open(path)
                picture.save(folder / path.name, compress_level=1)
                how(picture).save(folder / f"{path.stem}_2.png", compress_level=1)
        report = run(program, folder, work / "numbers" / f"near{index}")
        pairs, strangers, words = set(), 0, {}
        for finding in report["findings"]:
            if finding["id"] != "set.near":
                continue
            stems = [Path(i).stem for i in finding["images"]]
            own = {s.removesuffix("_2") for s in stems}
            strangers += len(own) - 1
            for stem in own:
                if stem in stems and f"{stem}_2" in stems:
                    pairs.add(stem)
                    kind = " ".join(finding["sentence"].split()[1:4])
                    words[kind] = words.get(kind, 0) + 1
        held_out = {n for n, _ in names} - chosen
        print(f"near: {name} | {100 * len(pairs & chosen) / len(chosen):.0f} % | {100 * len(pairs & held_out) / len(held_out):.0f} % "
              f"| strangers taken for copies: {strangers} | {words}", flush=True)


if __name__ == "__main__":
    main()

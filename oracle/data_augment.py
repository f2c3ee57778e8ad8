"""Reference values for crates/data from sd-scripts' own functions: colours, face crops, prompt weights, masks.

Run: python oracle/data_augment.py SD_SCRIPTS   (writes crates/data/tests/golden/augment; needs numpy, opencv, torch)
SD_SCRIPTS is a checkout of kohya-ss/sd-scripts 48d368fa. Its functions are taken out of their files one by one, because
the modules import far more than they need. Source pixels are the formula of data_resize.py.
"""
import ast
import itertools
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import torch

from data_resize import formula

OUT = Path(__file__).resolve().parent.parent / "crates/data/tests/golden/augment"
ROOT = Path(sys.argv[1])


def take(path, name, **scope):
    """The function or class `name` of a file, anywhere in it, with the given globals."""
    tree = ast.parse((ROOT / path).read_text())
    node = next(n for n in ast.walk(tree) if getattr(n, "name", None) == name)
    module = ast.Module([node], [])
    annotations = {k: __import__("typing").__dict__[k] for k in ("Optional", "Tuple", "List", "Union", "Dict")}
    scope = {**annotations, "np": np, "cv2": cv2, "torch": torch, "BaseSubset": None, **scope}
    exec(compile(ast.fix_missing_locations(module), name, "exec"), scope)
    return scope[name]


def colors():
    """Every hue, dull and bright, beside grey and the formula's noise."""
    hues = cv2.cvtColor(np.array([[[h, s, v] for h in range(180)] for s in (0, 7, 90, 200, 255) for v in (3, 120, 255)],
                                 np.uint8), cv2.COLOR_HSV2RGB)
    # As wide as a training image, a multiple of 64: OpenCV rounds differently in what is left over of a row.
    source = np.concatenate([np.concatenate([hues, formula(12, 15)], axis=1), formula(192, 25)])
    cv2.imwrite(str(OUT / "color_source.png"), source[:, :, ::-1])
    for kind, amount in [("hue", -7.3), ("hue", -0.2), ("hue", 0.4), ("hue", 5.9), ("gamma", 0.951), ("gamma", 1.047)]:
        rolls = itertools.chain([0.1, 0.9 if kind == "hue" else 0.2])
        random = SimpleNamespace(random=lambda: next(rolls), uniform=lambda a, b: amount)
        helper = take("library/train_util.py", "AugHelper", random=random)()
        result = helper.color_aug(source.copy())["image"]
        cv2.imwrite(str(OUT / f"{kind}_{amount}.png"), result[:, :, ::-1])


def faces():
    """Image, target, face, range, pick (0 smallest scale, 1 largest), then resized size and corner of the crop."""
    cases = [((900, 700), (512, 512), (300, 200, 90, 110), (2.0, 2.0)), ((2000, 1500), (512, 512), (400, 700, 600, 500), (1.0, 2.0)),
             ((2000, 1500), (512, 512), (1950, 1450, 300, 400), (2.0, 4.0)), ((600, 1200), (512, 640), (5, 5, 400, 300), (1.0, 1.0)),
             ((3000, 1777), (320, 256), (1400, 333, 211, 333), (1.5, 2.5)), ((512, 700), (512, 512), (200, 300, 100, 100), (2.0, 4.0)),
             ((1024, 1500), (512, 768), (500, 600, 333, 400), (1.3, 1.3))]
    lines = []
    for image, target, face, bounds in cases:
        for pick in (0, 1):
            random = SimpleNamespace(uniform=lambda a, b: (a, b)[pick], randint=lambda a, b: 0)
            size = []

            def resize_image(image, width, height, new_width, new_height, how):
                size[:] = [new_width, new_height]
                return np.stack(np.meshgrid(np.arange(new_width), np.arange(new_height)), -1)

            crop_target = take("library/train_util.py", "crop_target", random=random, resize_image=resize_image)
            subset = SimpleNamespace(face_crop_aug_range=bounds, random_crop=False, resize_interpolation=None)
            dataset = SimpleNamespace(width=target[0], height=target[1])
            result = crop_target(dataset, subset, np.zeros((image[1], image[0], 3)), *face)
            assert result.shape[:2] == (target[1], target[0])
            corner = result[0, 0].tolist()
            lines.append(" ".join(map(str, [*image, *target, *face, *bounds, pick, *size, *corner])))
    (OUT / "faces.txt").write_text("\n".join(lines) + "\n")


PROMPTS = ["normal text", "an (important) word", "(unbalanced", r"\(literal\]", "(unnecessary)(parens)", "",
           "a (((house:1.3)) [on] a (hill:0.5), sun, (((sky))).", "x:1.2)", "(a:1.2", "((a:2) b:0.5)", "[[a] b", "a) b] c",
           r"a\\(b\)", "(a: b:1.5)", "(a:-1)", "(a:+.5)", "12:30, (12:30)", "\\", "a\\", "ä (ö:1.1) ü", "(a:1.2 )", "(:2)", "()", ":", "(a)(b:1.1)"]


def prompts():
    """A prompt, then weight and text of each part, between tabs."""
    source = (ROOT / "library/custom_train_functions.py").read_text()
    pattern = re.search(r're_attention = re\.compile\(\s*r"""(.*?)"""', source, re.S).group(1)
    parse = take("library/custom_train_functions.py", "parse_prompt_attention", re_attention=re.compile(pattern, re.X))
    rows = [[prompt] + [str(x) for text, weight in parse(prompt) for x in (weight, text)] for prompt in PROMPTS]
    (OUT / "prompts.txt").write_text("\n".join("\t".join(row) for row in rows) + "\n")


def masks():
    """The mask as apply_masked_loss makes it from a conditioning image, seen through a loss that is 1 everywhere."""
    apply = take("library/custom_train_functions.py", "apply_masked_loss")
    source = formula(96, 64)
    image = (torch.tensor(source).permute(2, 0, 1).float() / 255 - 0.5) / 0.5
    result = apply(torch.ones(1, 4, 8, 12), {"conditioning_images": image[None]})
    assert torch.equal(result[:, 0], result[:, 3])
    (OUT / "mask.txt").write_text("\n".join(" ".join(f"{x:.9g}" for x in row) for row in result[0, 0].tolist()) + "\n")


if __name__ == "__main__":
    OUT.mkdir(parents=True, exist_ok=True)
    colors()
    faces()
    prompts()
    masks()

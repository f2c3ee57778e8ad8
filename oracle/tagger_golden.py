"""Taggers as ONNX files, tiny and with random weights, and what other programs make of pictures with them.

Usage: python oracle/tagger_golden.py crates/vision/tests/golden SD_SCRIPTS IMGUTILS [--full]
Needs torch, timm, onnx, onnxscript, onnxruntime, OpenCV and Pillow; SD_SCRIPTS is a copy of kohya's sd-scripts, IMGUTILS the
unpacked wheel of dghs-imgutils. The architectures are those of WD 1.4 to v3, narrowed (MOAT, which timm lacks, from its
paper). Written, all with a made-up list of tags:

- NAME/model.onnx with its list for each architecture, and taggers.safetensors with onnxruntime's scores of each picture;
- FAMILY/ for each kind of tagger that is known by its files, and the numbers that its own program makes of each picture;
- sd_scripts.json: the captions that sd-scripts' own script writes with each option.

With --full the architectures are made at full size instead, in a temporary folder, and compared with onnxruntime by
`lorabake` itself (nothing is committed): see `full_size`.
"""

import ast
import csv
import importlib.util
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import types

import numpy as np
import onnx
import onnxruntime
import timm
import torch
from PIL import Image
from torch.nn import functional as F

import pack

SIDE = 56
# Faces, brackets, commas, short names; not in the order of categories on purpose at the end.
TAGS = [
    ("general", 9), ("sensitive", 9), ("questionable", 9), ("explicit", 9),
    ("1girl", 0), ("solo", 0), ("long_hair", 0), ("^_^", 0), ("(o)_(o)", 0), ("a_b", 0), ("looking_at_viewer", 0),
    ("hat_(object)", 0), (":d", 0), ("||_||", 0), ("one,_two", 0), ('say_"hi"', 0), ("red_boots", 0), ("boots", 0),
    ("hatsune_miku", 4), ("saber_(fate)", 4), ("penny_(cat)_(stories)", 4), ("rin_(fate)", 4),
]


class Moat(torch.nn.Module):
    """A stem, an inverted bottleneck, and a block of MOAT: an inverted bottleneck before attention (Yang et al. 2022)."""

    def __init__(self, classes, width=32, heads=2):
        super().__init__()
        conv = torch.nn.Conv2d
        norm = torch.nn.BatchNorm2d
        self.stem = torch.nn.Sequential(conv(3, width, 3, 2, 1), norm(width), torch.nn.GELU(), conv(width, width, 3, 2, 1))

        def bottleneck(stride):
            inner = 2 * width
            return torch.nn.Sequential(
                norm(width), conv(width, inner, 1), norm(inner), torch.nn.GELU(),
                conv(inner, inner, 3, stride, 1, groups=inner), norm(inner), torch.nn.GELU(), conv(inner, width, 1),
            )

        self.first = bottleneck(2)
        self.second = bottleneck(1)
        self.norm = torch.nn.LayerNorm(width)
        self.attention = torch.nn.MultiheadAttention(width, heads, batch_first=True)
        self.head = torch.nn.Linear(width, classes)

    def forward(self, x):
        x = self.first(self.stem(x))
        x = x + self.second(x)
        tokens = x.flatten(2).transpose(1, 2)
        normed = self.norm(tokens)
        tokens = tokens + self.attention(normed, normed, normed, need_weights=False)[0]
        return self.head(tokens.mean(1))


def narrow(name, classes=len(TAGS), side=SIDE):
    """An architecture of WD taggers with few and narrow layers."""
    if name == "vit":
        return timm.models.VisionTransformer(img_size=side, patch_size=14, embed_dim=24, depth=2, num_heads=2, mlp_ratio=2, num_classes=classes, global_pool="avg")
    if name == "swinv2":
        return timm.models.SwinTransformerV2(img_size=side, patch_size=4, window_size=7, embed_dim=16, depths=(2,), num_heads=(2,), num_classes=classes)
    if name == "convnext":
        return timm.models.ConvNeXt(depths=(1, 1, 1, 1), dims=(8, 16, 24, 32), num_classes=classes, patch_size=4)
    if name == "convnextv2":
        return timm.models.ConvNeXt(depths=(1, 1, 1, 1), dims=(8, 16, 24, 32), num_classes=classes, use_grn=True, ls_init_value=None)
    if name == "eva02":
        return timm.models.Eva(
            img_size=side, patch_size=14, embed_dim=24, depth=2, num_heads=2, mlp_ratio=2, qkv_fused=False, swiglu_mlp=True,
            scale_mlp=True, use_rot_pos_emb=True, ref_feat_shape=(4, 4), num_classes=classes,
        )
    return Moat(classes)


class Wd(torch.nn.Module):
    """A network as WD's files have it: blue first, bytes, colours last, probabilities."""

    def __init__(self, tower):
        super().__init__()
        self.tower = tower

    def forward(self, input_1):
        x = input_1.permute(0, 3, 1, 2) / 127.5 - 1.0
        return torch.sigmoid(self.tower(x))


class Small(torch.nn.Module):
    """The smallest tagger: mean colours of nine fields."""

    def __init__(self, classes, colors_last):
        super().__init__()
        self.colors_last = colors_last
        self.head = torch.nn.Linear(27, classes)

    def forward(self, x):
        x = x.permute(0, 3, 1, 2) if self.colors_last else x
        return self.head(F.adaptive_avg_pool2d(x, 3).flatten(1))


_resize = Image.Image.resize


def width_first(image, size, resample=Image.BICUBIC, *_, **__):
    """Pillow's resize as it was up to version 12: the width first. Pillow 13 begins with the height in some cases."""
    narrowed = _resize(image, (size[0], image.size[1]), resample)
    return _resize(narrowed, size, resample)


Image.Image.resize = width_first


def lively(model, seed, examples):
    """Random weights whose scores differ from tag to tag and from picture to picture."""
    torch.manual_seed(seed)
    for parameter in model.parameters():
        if parameter.dim() > 1:
            torch.nn.init.normal_(parameter, std=1.2 / parameter[0].numel() ** 0.5)
        else:
            parameter.data += torch.randn_like(parameter) * 0.05
    model.eval()
    head = [module for module in model.modules() if isinstance(module, torch.nn.Linear)][-1]
    with torch.no_grad():
        seen = model(examples)
        head.weight /= seen.std(0).mean() / 0.8
        seen = model(examples)
        head.bias += torch.randn_like(head.bias) * 1.5 - seen.mean(0)
    return model


def save(model, example, path, opset, new, free):
    names = {"input_names": ["input_1"], "output_names": ["output"]}
    if new:
        shapes = ({0: torch.export.Dim("batch", min=1, max=64)},) if free else None
        example = example.repeat(2, 1, 1, 1) if free else example
        torch.onnx.export(model, (example,), str(path), dynamo=True, opset_version=opset, dynamic_shapes=shapes, external_data=False, **names)
    else:
        axes = {"input_1": {0: "batch"}, "output": {0: "batch"}} if free else None
        torch.onnx.export(model, (example,), str(path), dynamo=False, opset_version=opset, dynamic_axes=axes, **names)
    strip(path)


def strip(path):
    """Without the names of the exporting machine's files; stamped as WD v3's files are."""
    model = onnx.load(path)
    for node in model.graph.node:
        node.doc_string = ""
        del node.metadata_props[:]
    for value in list(model.graph.value_info) + list(model.graph.input) + list(model.graph.output) + list(model.graph.initializer):
        value.doc_string = ""
        if hasattr(value, "metadata_props"):
            del value.metadata_props[:]
    del model.graph.value_info[:]
    del model.graph.metadata_props[:]
    del model.metadata_props[:]
    model.doc_string = ""
    model.opset_import.append(onnx.helper.make_opsetid("ai.onnx.ml", 4))
    onnx.save(model, path)


def halved(path, target):
    """The same with weights of 16 bits, which are widened before they are used."""
    model = onnx.load(path)
    nodes = []
    for tensor in model.graph.initializer:
        if tensor.data_type != onnx.TensorProto.FLOAT:
            continue
        name = tensor.name
        values = onnx.numpy_helper.to_array(tensor).astype(np.float16)
        tensor.CopyFrom(onnx.numpy_helper.from_array(values, name + ".half"))
        nodes.append(onnx.helper.make_node("Cast", [name + ".half"], [name], to=onnx.TensorProto.FLOAT))
    model.graph.node.reverse()
    model.graph.node.extend(reversed(nodes))
    model.graph.node.reverse()
    onnx.save(model, target)


def write_csv(path, header=("tag_id", "name", "category", "count")):
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        for index, (name, category) in enumerate(TAGS):
            writer.writerow([index, name, category, 100 - index])


def write_mapping(path):
    kinds = {0: "General", 4: "Character", 9: "Rating"}
    mapping = {str(index): {"tag": name, "category": kinds[category]} for index, (name, category) in enumerate(TAGS)}
    mapping["12"]["category"] = "Quality"
    mapping["13"]["category"] = "Quality"
    mapping["14"]["category"] = "Copyright"
    mapping["15"]["category"] = "Artist"
    mapping["16"]["category"] = "Meta"
    path.write_text(json.dumps(mapping))


def pictures(folder):
    """Pictures of odd shapes: written beside the golden files, except for the example's."""
    folder.mkdir(parents=True, exist_ok=True)
    y, x = np.mgrid[0:60, 0:90]
    wide = np.stack([(x * 2 + y) % 256, (y * 5) % 256, (x * y) % 256], -1).astype(np.uint8)
    Image.fromarray(wide).save(folder / "wide.png")
    y, x = np.mgrid[0:45, 0:21]
    alpha = np.stack([x * 12, y * 5, 255 - x * 7, np.clip((x - 10) ** 2 + (y - 20) ** 2, 0, 255)], -1).astype(np.uint8)
    Image.fromarray(alpha, "RGBA").save(folder / "seen_through.png")
    drawing = Image.open(pathlib.Path(__file__).parent.parent / "examples/penny/10_penny/00.png")
    drawing.convert("RGB").save(folder / "drawing.png")
    return sorted(folder.glob("*.png"))


def function_of(path, *names, **known):
    """Functions of a file of another program, without what else it imports."""
    tree = ast.parse(pathlib.Path(path).read_text(encoding="utf-8"))
    body = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name in names]
    for node in body:
        node.decorator_list = []
        node.returns = None
        for argument in node.args.args:
            argument.annotation = None
    scope = {"np": np, "Image": Image, **known}
    exec(compile(ast.Module(body, []), str(path), "exec"), scope)
    return [scope[name] for name in names]


def on_white(path):
    """dghs-imgutils' load_image(force_background="white", mode="RGB")."""
    image = Image.open(path)
    if image.mode == "RGBA":
        white = Image.new("RGBA", image.size, "white")
        white.paste(image, (0, 0, image.size[0], image.size[1]), mask=image)
        image = white
    return image.convert("RGB")


STAGES = [
    {"type": "pad_to_size", "size": [40, 40], "background_color": "white", "interpolation": "bilinear"},
    {"type": "resize", "size": 28, "interpolation": "bicubic", "max_size": None, "antialias": True},
    {"type": "center_crop", "size": [24, 24]},
    {"type": "maybe_to_tensor"},
    {"type": "normalize", "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]},
]


def preparations(imgutils, sd_scripts):
    """What each program makes of a picture of any size for a network of 24 pixels, by family."""
    tagging = imgutils / "imgutils/tagging"

    def load_image(image, **_):
        return image

    (wd,) = function_of(tagging / "wd14.py", "_prepare_image_for_tagging", load_image=load_image)
    deep_text = (tagging / "deepdanbooru.py").read_text().replace("512", "24")
    deep_file = pathlib.Path(tempfile.mkdtemp()) / "deep.py"
    deep_file.write_text(deep_text)
    (deep,) = function_of(deep_file, "_image_preprocess")
    align, tensor = function_of(tagging / "mldanbooru.py", "_resize_align", "_to_tensor")
    kohya, cv2 = kohya_preprocess(sd_scripts, 24)
    pad = types.ModuleType("pad")
    sys.path.insert(0, str(imgutils))
    stages = stages_of(imgutils)

    def joytag(image):
        side = max(image.size)
        square = Image.new("RGB", (side, side), (255, 255, 255))
        square.paste(image, ((side - image.size[0]) // 2, (side - image.size[1]) // 2))
        if side != 24:
            square = square.resize((24, 24), Image.BICUBIC)
        values = torch.from_numpy(np.asarray(square).copy()).permute(2, 0, 1).float() / 255.0
        mean = torch.tensor([0.48145466, 0.4578275, 0.40821073]).view(3, 1, 1)
        std = torch.tensor([0.26862954, 0.26130258, 0.27577711]).view(3, 1, 1)
        return ((values - mean) / std).numpy()[None]

    return {
        "wd": lambda path: wd(on_white(path), 24),
        "wd_area": lambda path: kohya(Image.open(path))[None],
        "cl_tagger": lambda path: kohya(Image.open(path))[None].transpose(0, 3, 1, 2) / 127.5 - 1.0,
        "joytag": lambda path: joytag(on_white(path)),
        "deepdanbooru": lambda path: deep(on_white(path)),
        "mldanbooru": lambda path: tensor(align(on_white(path), 24, False))[None],
        "stages": lambda path: stages(on_white(path))[None],
    }


def stages_of(imgutils):
    """dghs-imgutils' own stages, from its file."""
    text = (imgutils / "imgutils/preprocess/pillow.py").read_text()
    package = types.ModuleType("imgutils_alone")
    package.__path__ = []
    pad_file = imgutils / "imgutils/data/pad.py"
    (size_of,) = function_of(pad_file, "_parse_size")

    def pad_image_to_size(pic, size, background_color="white", interpolation=Image.BILINEAR):
        (own,) = function_of(
            pad_file, "pad_image_to_size", load_image=lambda image, **_: image, _parse_size=size_of,
            _parse_color_to_mode=lambda color, mode: color,
        )
        return own(pic, size, background_color, interpolation)

    text = "\n".join(line for line in text.split("\n") if not line.startswith("from ..") and not line.startswith("from ."))
    text = text.replace("from ..data.pad import _parse_size, _parse_color_to_rgba", "_parse_size = size_of; _parse_color_to_rgba = print")
    scope = {"pad_image_to_size": pad_image_to_size, "size_of": size_of, "__name__": "stages"}
    exec(compile(text, "pillow.py", "exec"), scope)
    return scope["create_pillow_transforms"](STAGES)


def kohya_preprocess(sd_scripts, side):
    import cv2

    utils = sd_scripts / "library/utils.py"

    class Silent:
        debug = info = warning = staticmethod(lambda *_: None)

    known = {"cv2": cv2, "logger": Silent, "math": __import__("math"), "Optional": None}
    names = ["pil_resize", "get_cv2_interpolation", "get_pil_interpolation"]
    helpers = function_of(utils, *names, **known)
    known.update(zip(names, helpers))
    (resize,) = function_of(utils, "resize_image", **known)
    (preprocess,) = function_of(sd_scripts / "finetune/tag_images_by_wd14_tagger.py", "preprocess_image", resize_image=resize, IMAGE_SIZE=side)
    return preprocess, resize


def sd_script(sd_scripts, side):
    """sd-scripts' script as a module, for a network of another size, without what it does not need."""
    _, resize = kohya_preprocess(sd_scripts, side)
    for name in ["huggingface_hub", "library", "library.train_util", "library.utils"]:
        sys.modules[name] = types.ModuleType(name)
    sys.modules["huggingface_hub"].hf_hub_download = None
    sys.modules["library"].train_util = sys.modules["library.train_util"]
    sys.modules["library.train_util"].glob_images_pathlib = lambda folder, recursive: sorted(folder.glob("*.png"))
    sys.modules["library.utils"].setup_logging = lambda: None
    sys.modules["library.utils"].resize_image = resize
    # As it is, the script stops at the first character that a WD tagger finds: a list of the other branch has its name.
    text = (sd_scripts / "finetune/tag_images_by_wd14_tagger.py").read_text(encoding="utf-8")
    for own in ["character_tags = []\n\n                min", "character_tags.append((", "if character_tags:", "character_tags.sort(", "= character_tags + "]:
        assert own in text, own
        text = text.replace(own, own.replace("character_tags", "found_characters"))
    file = pathlib.Path(tempfile.mkdtemp()) / "script.py"
    file.write_text(text, encoding="utf-8")
    spec = importlib.util.spec_from_file_location("script", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.IMAGE_SIZE = side
    return module


OPTIONS = [
    [],
    ["--thresh", "0.6"],
    ["--general_threshold", "0.5", "--character_threshold", "0.2"],
    ["--character_threshold", "1.1"],
    ["--remove_underscore"],
    ["--remove_underscore", "--undesired_tags", "long hair, solo,1girl"],
    ["--undesired_tags", "long_hair,solo"],
    ["--character_tags_first", "--thresh", "0.1"],
    ["--character_tag_expand", "--thresh", "0.1"],
    ["--use_rating_tags"],
    ["--use_rating_tags_as_last_tag", "--remove_underscore"],
    ["--use_quality_tags", "--use_rating_tags", "--thresh", "0.1"],
    ["--use_quality_tags_as_last_tag", "--thresh", "0.1"],
    ["--always_first_tags", "red_boots,solo", "--thresh", "0.05"],
    ["--caption_separator", "; ", "--thresh", "0.3"],
    ["--append_tags", "--thresh", "0.3"],
    ["--thresh", "0.3", "--artist_threshold", "0.99", "--copyright_threshold", "0.9", "--meta_threshold", "1.1"],
    ["--output_path", "out.json", "--thresh", "0.3"],
    ["--output_path", "out.jsonl", "--thresh", "0.3"],
    ["--frequency_tags", "--thresh", "0.3"],
]


def captions(module, models, shown):
    """What the script writes for each option with each kind of list."""
    cases = []
    for kind, location in models.items():
        for options in OPTIONS:
            with tempfile.TemporaryDirectory() as work:
                work = pathlib.Path(work)
                images = work / "images"
                images.mkdir()
                for picture in shown:
                    shutil.copy(picture, images)
                (images / "wide.txt").write_text("penny, solo, own tag\n")
                if kind == "cl_tagger":
                    folder = work / "models/some_tagger/v1"
                    repo = "some/tagger/v1"
                    name = "model_optimized.onnx"
                else:
                    folder = work / "models/some_tagger"
                    repo = "some/tagger"
                    name = "model.onnx"
                folder.mkdir(parents=True)
                for file in location.iterdir():
                    shutil.copy(file, folder / (name if file.suffix == ".onnx" else file.name))
                typed = [str(work / option) if option.startswith("out.json") else option for option in options]
                line = [str(images), "--model_dir", str(work / "models"), "--repo_id", repo, "--onnx", *typed]
                args = module.setup_parser().parse_args(line)
                for category in ["general", "character", "meta", "model", "copyright", "artist"]:
                    if getattr(args, category + "_threshold") is None:
                        setattr(args, category + "_threshold", args.thresh)
                import contextlib, io

                printed = io.StringIO()
                with contextlib.redirect_stdout(printed):
                    module.main(args)
                texts = {file.name: file.read_text(encoding="utf-8") for file in sorted(images.glob("*.txt"))}
                written = [file.read_text(encoding="utf-8").replace(str(images), "IMAGES") for file in work.glob("out.json*")]
                cases.append({"model": kind, "options": options, "texts": texts, "output": written, "printed": printed.getvalue()})
    return cases


def main(folder, sd_scripts, imgutils):
    folder = pathlib.Path(folder)
    sd_scripts = pathlib.Path(sd_scripts)
    imgutils = pathlib.Path(imgutils)
    shown = pictures(folder / "pictures")
    tensors = pack.Pack()
    (prepare,) = function_of(imgutils / "imgutils/tagging/wd14.py", "_prepare_image_for_tagging", load_image=lambda image, **_: image)
    seen = np.concatenate([prepare(on_white(picture), SIDE) for picture in shown]).astype(np.float32)
    towards = torch.from_numpy(seen.copy()).permute(0, 3, 1, 2) / 127.5 - 1.0
    for seed, (name, opset, new, free) in enumerate([
        ("vit", 17, False, False), ("swinv2", 17, False, True), ("convnext", 20, True, False), ("convnextv2", 18, False, True),
        ("eva02", 17, False, True), ("moat", 18, False, True),
    ]):
        place = folder / name
        place.mkdir(exist_ok=True)
        model = Wd(lively(narrow(name), seed, towards)).eval()
        save(model, torch.from_numpy(seen[:1].copy()), place / "model.onnx", opset, new, free)
        write_csv(place / "selected_tags.csv")
        scores(tensors, name, place / "model.onnx", seen, model)
    (folder / "vit_half").mkdir(exist_ok=True)
    halved(folder / "vit/model.onnx", folder / "vit_half/model.onnx")
    write_csv(folder / "vit_half/selected_tags.csv")
    scores(tensors, "vit_half", folder / "vit_half/model.onnx", seen, None)
    families(folder, tensors, preparations(imgutils, sd_scripts), shown)
    tensors.write(folder / "taggers.safetensors")
    cases = captions(sd_script(sd_scripts, 24), {"wd": folder / "wd", "cl_tagger": folder / "cl_tagger"}, shown)
    (folder / "sd_scripts.json").write_text(json.dumps(cases, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()), "bytes")


def scores(tensors, name, path, seen, model):
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    given = np.concatenate([session.run(None, {session.get_inputs()[0].name: row[None]})[0] for row in seen])
    tensors.put(f"scores.{name}", torch.from_numpy(given))
    if model is not None:
        with torch.no_grad():
            own = model(torch.from_numpy(seen))
        print(name, path.stat().st_size, "differs from torch by", (own - torch.from_numpy(given)).abs().max().item(), "spread", given.std(0).mean())


def families(folder, tensors, prepare, shown):
    """The smallest network for each kind of tagger, its list, and what its program makes of pictures."""
    for family, last, lists in [
        ("wd", True, lambda place: write_csv(place / "selected_tags.csv")),
        ("cl_tagger", False, lambda place: write_mapping(place / "tag_mapping.json")),
        ("joytag", False, lambda place: (place / "top_tags.txt").write_text("".join(name + "\n" for name, _ in TAGS))),
        ("deepdanbooru", True, lambda place: (place / "tags.txt").write_text("".join(("rating:" if kind == 9 else "") + name + "\n" for name, kind in TAGS))),
        ("mldanbooru", False, lambda place: write_csv(place / "mldanbooru_tags.csv")),
        ("stages", False, lambda place: (write_csv(place / "selected_tags.csv"), (place / "preprocess.json").write_text(json.dumps({"test": STAGES})))),
    ]:
        place = folder / family
        place.mkdir(exist_ok=True)
        lists(place)
        rows = np.concatenate([prepare[family](picture) for picture in shown]).astype(np.float32)
        tensors.put(f"prepared.{family}", torch.from_numpy(rows))
        model = lively(Small(len(TAGS), last), 7, torch.from_numpy(rows))
        if family in ["wd", "deepdanbooru"]:
            model = torch.nn.Sequential(model, torch.nn.Sigmoid())
        save(model.eval(), torch.from_numpy(rows[:1].copy()), place / "model.onnx", 17, False, True)
        scores(tensors, family, place / "model.onnx", rows, model)
    rows = np.concatenate([prepare["wd_area"](picture) for picture in shown]).astype(np.float32)
    tensors.put("prepared.wd_area", torch.from_numpy(rows))


def full_size(lorabake):
    """The architectures at full size: scores of the drawn picture of `lorabake tag --self_test` and of a picture, beside
    onnxruntime's. Prints the largest difference of each."""
    rows = [(f"tag_{index}", 9 if index < 4 else 0) for index in range(2000)]
    for name in [
        "vit_base_patch16_224.augreg_in21k", "swinv2_base_window12_192.ms_in22k", "convnext_base.fb_in22k", "convnextv2_base.fcmae",
        "eva02_large_patch14_448.mim_in22k_ft_in22k_in1k",
    ]:
        torch.manual_seed(1)
        plain = name.split(".")[0]
        extra = {"img_size": 448} if "conv" not in plain else {}
        if "swinv2" in plain:
            extra["window_size"] = 14
        model = timm.create_model(plain, pretrained=False, num_classes=len(rows), **extra).eval()
        head = model.get_classifier()
        torch.nn.init.normal_(head.weight, std=1.0 / head.in_features**0.5)
        with tempfile.TemporaryDirectory() as work:
            work = pathlib.Path(work)
            path = work / "model.onnx"
            save(Wd(model).eval(), torch.zeros(1, 448, 448, 3), path, 17, False, True)
            with open(work / "selected_tags.csv", "w") as file:
                file.write("tag_id,name,category,count\n" + "".join(f"{i},{tag},{kind},1\n" for i, (tag, kind) in enumerate(rows)))
            images = work / "images"
            images.mkdir()
            drawing = pathlib.Path(__file__).parent.parent / "examples/penny/10_penny/00.png"
            shutil.copy(drawing, images / "a.png")
            subprocess.run([lorabake, "tag", images, "--model", path, "--scores", work / "scores.jsonl", "--dry_run"], check=True, stdout=subprocess.DEVNULL)
            own = json.loads((work / "scores.jsonl").read_text())["tags"]
            image = on_white(drawing).resize((448, 448), Image.BICUBIC)
            session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
            (given,) = session.run(None, {session.get_inputs()[0].name: np.asarray(image, np.float32)[None, :, :, ::-1].copy()})
            known = {tag: given[0][index] for index, (tag, _) in enumerate(rows)}
            print(plain, path.stat().st_size >> 20, "MB", len(own), "scores, largest difference", max(abs(known[tag] - score) for tag, _, score, *_ in own), flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "--full":
        full_size(sys.argv[2])
    else:
        main(*sys.argv[1:])

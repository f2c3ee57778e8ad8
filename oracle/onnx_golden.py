"""Image encoders as ONNX files, tiny and with random weights, and what onnxruntime makes of a picture with them.

Usage: python oracle/onnx_golden.py crates/onnx/tests/golden
Needs torch, transformers, timm, onnx, onnxscript and onnxruntime. The architectures are those that people compare pictures
with: CLIP's image tower with its projection, DINO (timm's ViT), DINOv2 and a ResNet with a norm behind it as SSCD. What is
exported by torch's old exporter has opset 17, by its new one 18, and both have a free batch. Written: NAME.onnx each;
unknown.onnx with an operator that nobody has; and onnx.safetensors with one input for all and what onnxruntime gives for
each (NAME), and for a drawing of examples that was prepared by transformers' own classes (penny.NAME).
"""

import pathlib
import sys

import numpy as np
import onnx
import onnxruntime
import timm
import torch
import transformers
from PIL import Image
from torch.nn import functional as F

import pack

SIDE = 56
EXAMPLES = pathlib.Path(__file__).parent.parent / "examples"


class Projected(torch.nn.Module):
    """CLIP's image tower: one vector a picture."""

    def __init__(self):
        super().__init__()
        config = transformers.CLIPVisionConfig(
            hidden_size=24, intermediate_size=48, projection_dim=16, num_hidden_layers=2, num_attention_heads=3, image_size=SIDE, patch_size=14
        )
        self.tower = transformers.CLIPVisionModelWithProjection(config)

    def forward(self, pixel_values):
        return self.tower(pixel_values=pixel_values).image_embeds


class Tokens(torch.nn.Module):
    """DINOv2: a token for the picture, and one for each patch."""

    def __init__(self):
        super().__init__()
        config = transformers.Dinov2Config(
            hidden_size=24, num_hidden_layers=2, num_attention_heads=3, mlp_ratio=2, image_size=SIDE, patch_size=14
        )
        self.tower = transformers.Dinov2Model(config)

    def forward(self, pixel_values):
        return self.tower(pixel_values=pixel_values).last_hidden_state


class Dino(torch.nn.Module):
    """DINO: timm's ViT without its head."""

    def __init__(self):
        super().__init__()
        self.tower = timm.models.VisionTransformer(
            img_size=SIDE, patch_size=14, embed_dim=24, depth=2, num_heads=3, mlp_ratio=2, num_classes=0
        )

    def forward(self, input):
        return self.tower(input)


class Copies(torch.nn.Module):
    """Like SSCD: a ResNet, generalized-mean pooling, a projection, and a vector of length 1."""

    def __init__(self):
        super().__init__()
        self.tower = timm.models.ResNet(timm.models.resnet.BasicBlock, [1, 1, 1, 1], channels=(8, 8, 16, 16), stem_width=8, num_classes=0, global_pool="")
        self.head = torch.nn.Linear(16, 16)

    def forward(self, x):
        seen = F.avg_pool2d(self.tower(x).clamp(min=1e-6).pow(3), 2).pow(1 / 3).flatten(1)
        return F.normalize(self.head(seen))


def prepared(name):
    """The drawing as the encoder's own program prepares it: the middle, for DINOv2 from a slightly larger picture."""
    picture = Image.open(EXAMPLES / "penny/10_penny/00.png").convert("RGB").crop((0, 0, 128, 96))
    if name == "clip_vision":
        processor = transformers.CLIPImageProcessor(size={"shortest_edge": SIDE}, crop_size=SIDE)
    else:
        larger = 64 if name == "dinov2" else SIDE
        processor = transformers.BitImageProcessor(
            size={"shortest_edge": larger}, crop_size=SIDE, image_mean=[0.485, 0.456, 0.406], image_std=[0.229, 0.224, 0.225]
        )
    return np.asarray(processor(picture, return_tensors="np")["pixel_values"], dtype=np.float32)


def unknown(path):
    """A network with an operator that no runtime knows."""
    given = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1, 3, SIDE, SIDE])
    gives = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1, 3, SIDE, SIDE])
    node = onnx.helper.make_node("Frobnicate", ["x"], ["y"], name="first")
    graph = onnx.helper.make_graph([node], "unknown", [given], [gives])
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)]), path)


# (name, module, name of the input, name of the output, torch's new exporter)
MODELS = [
    ("clip_vision", Projected, "pixel_values", "image_embeds", False),
    ("dinov2", Tokens, "pixel_values", "last_hidden_state", True),
    ("dino_vit", Dino, "input", "output", False),
    ("sscd_resnet", Copies, "x", "embedding", True),
]


def main(folder):
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    picture = pack.normal("onnx.picture", (1, 3, SIDE, SIDE)).float()
    tensors = pack.Pack()
    tensors.put("picture", picture)
    for name, module, given, gives, new in MODELS:
        torch.manual_seed(len(name))
        model = module().eval()
        path = folder / f"{name}.onnx"
        free = {given: {0: "batch"}, gives: {0: "batch"}}
        if new:
            torch.onnx.export(
                model, (picture,), str(path), dynamo=True, opset_version=18, input_names=[given], output_names=[gives],
                dynamic_shapes=({0: torch.export.Dim("batch", min=1, max=64)},), external_data=False,
            )
        else:
            torch.onnx.export(
                model, (picture,), str(path), dynamo=False, opset_version=17, input_names=[given], output_names=[gives], dynamic_axes=free
            )
        strip(path)
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        (seen,) = session.run(None, {given: picture.numpy()})
        with torch.no_grad():
            assert torch.allclose(model(picture), torch.from_numpy(seen), atol=1e-4), name
        tensors.put(name, torch.from_numpy(seen))
        (seen,) = session.run(None, {given: prepared(name)})
        tensors.put(f"penny.{name}", torch.from_numpy(seen))
        print(name, path.stat().st_size, tuple(seen.shape), sorted({node.op_type for node in onnx.load(path).graph.node}))
    unknown(folder / "unknown.onnx")
    tensors.write(folder / "onnx.safetensors")


def strip(path):
    """Without the names of the exporting machine's files."""
    model = onnx.load(path)
    model.doc_string = ""
    for node in model.graph.node:
        node.doc_string = ""
        del node.metadata_props[:]
    for value in list(model.graph.value_info) + list(model.graph.input) + list(model.graph.output) + list(model.graph.initializer):
        value.doc_string = ""
        if hasattr(value, "metadata_props"):
            del value.metadata_props[:]
    del model.graph.metadata_props[:]
    del model.metadata_props[:]
    onnx.save(model, path)


if __name__ == "__main__":
    main(*sys.argv[1:])

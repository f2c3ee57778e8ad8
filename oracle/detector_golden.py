"""Detectors as ONNX files of the forms that YOLOs are exported to, hand-made and tiny, and what is found with them.

Usage: python oracle/detector_golden.py crates/vision/tests/golden/detectors
Needs torch, torchvision, onnx, onnxruntime, OpenCV and Pillow. The networks see 64 x 64 pixels; the rules for what comes out of
them (letterbox, non-maximum suppression, boxes and masks at their places) are written here from what ultralytics' documents and
the papers say, with torchvision's own suppression. Written: NAME.onnx each, `warm.onnx`, which finds what is red (for tests of
whole pictures), and detectors.safetensors with the boxes and masks of three pictures (NAME.PICTURE.boxes: sides, score, class).
"""

import pathlib
import sys

import cv2
import numpy as np
import onnx
import onnxruntime
import torch
import torchvision
from PIL import Image
from torch.nn import functional as F

import pack

SIDE = 64
MASKS = 4
# Masks that are written of each picture.
KEPT = 4


class Cells(torch.nn.Module):
    """Cells of 8 and 16 pixels, each with a box, class scores and perhaps shares of prototypes."""

    def __init__(self, classes, masks):
        super().__init__()
        self.classes, self.masks = classes, masks
        self.heads = torch.nn.ModuleList([torch.nn.Conv2d(3, 4 + classes + masks, stride, stride) for stride in (8, 16)])
        self.prototypes = torch.nn.Conv2d(3, max(masks, 1), 4, 4)

    def cells(self, x):
        boxes, rest = [], []
        for head, stride in zip(self.heads, (8, 16)):
            seen = head(x).flatten(2)
            side = SIDE // stride
            y, x_ = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
            centre = (torch.stack([x_, y]).flatten(1).float() + 0.5) * stride
            place = centre + torch.tanh(seen[:, :2]) * stride
            size = torch.exp(torch.tanh(seen[:, 2:4])) * stride * 1.5
            boxes.append(torch.cat([place, size], 1))
            rest.append(seen[:, 4:])
        rest = torch.cat(rest, 2)
        scores = torch.sigmoid(rest[:, : self.classes])
        return torch.cat(boxes, 2), scores, rest[:, self.classes :]


class Exported(Cells):
    """[1, 4 + classes (+ masks), cells], and the prototypes."""

    def forward(self, images):
        boxes, scores, shares = self.cells(images)
        all_ = torch.cat([boxes, scores, shares], 1)
        return (all_, self.prototypes(images)) if self.masks else all_


class Five(Cells):
    """YOLOv5: [1, cells, 5 + classes], the first class being the box's own score."""

    def forward(self, images):
        boxes, scores, _ = self.cells(images)
        return torch.cat([boxes, scores], 1).transpose(1, 2)


class Chosen(Cells):
    """[1, boxes, 6]: the best 30 cells, corner to corner, with score and class."""

    def forward(self, images):
        boxes, scores, _ = self.cells(images)
        best, which = scores.max(1)
        top, at = best.topk(30)
        taken = boxes[0][:, at[0]]
        corners = torch.cat([taken[:2] - taken[2:] / 2, taken[:2] + taken[2:] / 2])
        return torch.cat([corners, top, which[:, at[0]].float()]).T[None]


class Warm(torch.nn.Module):
    """Finds what is red: a box of 28 pixels around each cell of 8 that is redder than the four around it."""

    def forward(self, images):
        red = images[:, :1] - (images[:, 1:2] + images[:, 2:3]) / 2
        mean = F.avg_pool2d(red, 8)
        peak = (mean >= F.max_pool2d(mean, 5, 1, 2)).float()
        scores = torch.sigmoid(mean * 20 - 6) * peak
        y, x = torch.meshgrid(torch.arange(SIDE // 8), torch.arange(SIDE // 8), indexing="ij")
        centre = (torch.stack([x, y]).flatten(1).float() + 0.5) * 8
        size = torch.full_like(centre, 28.0)
        return torch.cat([centre[None], size[None], scores.flatten(2)], 1)


def save(model, path, outputs, names):
    torch.onnx.export(
        model, (torch.zeros(1, 3, SIDE, SIDE),), str(path), dynamo=False, opset_version=17, input_names=["images"], output_names=outputs
    )
    saved = onnx.load(path)
    for node in saved.graph.node:
        node.doc_string = ""
        del node.metadata_props[:]
    del saved.graph.value_info[:]
    onnx.helper.set_model_props(saved, {"names": repr(dict(enumerate(names))), "task": "segment" if len(outputs) > 1 else "detect", "imgsz": f"[{SIDE}, {SIDE}]"})
    onnx.save(saved, path)


def letterboxed(image):
    height, width = image.shape[:2]
    share = min(SIDE / height, SIDE / width)
    new = round(width * share), round(height * share)
    if new != (width, height):
        image = cv2.resize(image, new, interpolation=cv2.INTER_LINEAR)
    x, y = (SIDE - new[0]) / 2, (SIDE - new[1]) / 2
    left, right, top, bottom = round(x - 0.1), round(x + 0.1), round(y - 0.1), round(y + 0.1)
    return cv2.copyMakeBorder(image, top, bottom, left, right, cv2.BORDER_CONSTANT, value=(114, 114, 114)), share, left, top, new


def suppressed(rows, classes, confidence):
    """rows: cells × (4 + classes + masks), centre and size first."""
    scores, which = rows[:, 4 : 4 + classes].max(1)
    kept = scores > confidence
    rows, scores, which = rows[kept], scores[kept], which[kept]
    corners = torch.cat([rows[:, :2] - rows[:, 2:4] / 2, rows[:, :2] + rows[:, 2:4] / 2], 1)
    order = torchvision.ops.batched_nms(corners, scores, which, 0.7)
    return corners[order], scores[order], which[order], rows[order, 4 + classes :]


def mask_of(prototypes, shares, box, left, top, new, size):
    """The box's mixture of prototypes, cut to the box, enlarged, cut from its padding, at the picture's size."""
    side = prototypes.shape[-1]
    logits = torch.einsum("c,chw->hw", shares, prototypes)
    x1, y1, x2, y2 = box * side / SIDE
    across = torch.arange(side)[None]
    down = torch.arange(side)[:, None]
    logits = logits * ((across >= x1) & (across < x2) & (down >= y1) & (down < y2))
    large = F.interpolate(logits[None, None], (SIDE, SIDE), mode="bilinear", align_corners=False)[0, 0]
    inner = (large > 0)[top : top + new[1], left : left + new[0]].numpy().astype(np.uint8) * 255
    # The width first, as Pillow did up to version 12.
    narrowed = Image.fromarray(inner).resize((size[0], inner.shape[0]), Image.BICUBIC)
    return np.asarray(narrowed.resize(size, Image.BICUBIC))


def main(folder):
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    tensors = pack.Pack()
    forms = {"exported": (Exported, 2, 0, 3), "outlines": (Exported, 1, MASKS, 21), "five": (Five, 3, 0, 5), "chosen": (Chosen, 2, 0, 6)}
    pictures = sorted((folder.parent / "pictures").glob("*.png"))
    for name, (form, classes, masks, seed) in forms.items():
        torch.manual_seed(seed)
        model = form(classes, masks).eval()
        for head in model.heads:
            torch.nn.init.normal_(head.weight, std=0.25)
        torch.nn.init.normal_(model.prototypes.weight, std=0.4)
        torch.nn.init.normal_(model.prototypes.bias)
        names = ["face", "hand", "cat"][: classes - (name == "five")]
        save(model, folder / f"{name}.onnx", ["output0", "output1"] if masks else ["output0"], names)
        session = onnxruntime.InferenceSession(str(folder / f"{name}.onnx"), providers=["CPUExecutionProvider"])
        for picture in pictures:
            image = np.asarray(Image.open(picture).convert("RGB"))
            boxed, share, left, top, new = letterboxed(image)
            given = session.run(None, {"images": boxed.transpose(2, 0, 1)[None].astype(np.float32) / 255})
            rows = torch.from_numpy(given[0][0])
            if name == "chosen":
                rows = rows[rows[:, 4] > 0.5]
                corners, scores, which, shares = rows[:, :4], rows[:, 4], rows[:, 5], None
            else:
                rows = rows if name == "five" else rows.T
                if name == "five":
                    rows = torch.cat([rows[:, :4], rows[:, 5:] * rows[:, 4:5]], 1)
                confidence = 0.3 if name == "five" else 0.5
                corners, scores, which, shares = suppressed(rows, rows.shape[1] - 4 - masks, confidence)
            placed = corners.clone()
            # ultralytics takes the padding of boxes from sides that are not rounded.
            left, top = (round((SIDE - side * share) / 2 - 0.1) for side in (image.shape[1], image.shape[0]))
            placed[:, [0, 2]] = ((placed[:, [0, 2]] - left) / share).clamp(0, image.shape[1])
            placed[:, [1, 3]] = ((placed[:, [1, 3]] - top) / share).clamp(0, image.shape[0])
            key = f"{name}.{picture.stem}"
            assert len(placed) > 1, key
            tensors.put(f"{key}.boxes", torch.cat([placed, scores[:, None], which[:, None].float()], 1))
            _, _, left, top, _ = letterboxed(image)
            if masks and picture.stem != "drawing":
                size = image.shape[1], image.shape[0]
                all_ = [mask_of(torch.from_numpy(given[1][0]), row, box, left, top, new, size) for row, box in zip(shares[:KEPT], corners)]
                assert sum((mask == 255).sum() for mask in all_) > 50, key
                tensors.put(f"{key}.masks", torch.from_numpy(np.stack(all_).astype(np.float32)))
            print(key, len(placed))
    save(Warm().eval(), folder / "warm.onnx", ["output0"], ["warm"])
    tensors.write(folder / "detectors.safetensors")


if __name__ == "__main__":
    main(*sys.argv[1:])

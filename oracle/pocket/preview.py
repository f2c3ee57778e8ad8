"""Factors of `--preview` for the small model: least squares from its latents to the colours of the pictures, 8 pixels a side
averaged. Prints rows of (red, green, blue) for each channel, and the constant; crates/model/src/vae/preview.rs has them.

    python oracle/pocket/preview.py FOLDER        # of pictures of the small model's kind, at any size
"""

import pathlib
import sys

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import load_file

import networks

HERE = pathlib.Path(__file__).parent
PREFIX = "first_stage_model."

state = load_file(HERE / "../../models/pocket/pocket.safetensors")
vae = networks.Vae()
own = {name.removeprefix(PREFIX): value.float() for name, value in state.items() if name.startswith(PREFIX)}
wanted = vae.state_dict()
vae.load_state_dict({name: own[name].reshape(value.shape) for name, value in wanted.items()})

inputs, outputs = [], []
for path in sorted(pathlib.Path(sys.argv[1]).rglob("*.png")):
    picture = Image.open(path).convert("RGBA")
    white = Image.new("RGBA", picture.size, "white")
    pixels = np.array(Image.alpha_composite(white, picture).convert("RGB").resize((128, 128), Image.LANCZOS))
    pixels = torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 127.5 - 1
    with torch.no_grad():
        latents = vae.moments(pixels)[0] * networks.LATENT_SCALE
    inputs.append(latents[0].reshape(4, -1).T)
    outputs.append(F.avg_pool2d(pixels, 8)[0].reshape(3, -1).T)
x, y = torch.cat(inputs), torch.cat(outputs)
x = torch.cat([x, torch.ones(len(x), 1)], 1)
factors = torch.linalg.lstsq(x, y).solution
print(np.array2string(factors.numpy(), precision=3, separator=", "))
print("share of the variance explained:", 1 - ((x @ factors - y) ** 2).mean(0) / y.var(0))

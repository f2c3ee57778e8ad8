"""Writes the pocket model as a single-file SD1 checkpoint in fp16, after holding it against diffusers.

Usage: python oracle/pocket/pack.py MODEL.pt OUT.safetensors
"""

import pathlib
import sys

import torch
from safetensors.torch import save_file

import sample
import tokens

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import ldm  # noqa: E402


def check_layout(state, models):
    """The same outputs, to rounding, from diffusers' and transformers' models with these weights."""
    text, unet, vae = models
    sizes = ldm.sizes_of(state)
    torch.manual_seed(7)
    x, t, pixels = torch.randn(2, 4, 16, 16), torch.tensor([3, 900]), torch.rand(1, 3, 128, 128)
    ids = tokens.ids(["fox, orange, white background, noto style", ""])
    with torch.no_grad():
        context = text(ids)
        pairs = {
            "text": (context, ldm.load_text(state, sizes)(ids).last_hidden_state),
            "unet": (unet(x, t, context), ldm.load_unet(state, sizes)(x, t, context).sample),
            "encoder": (vae.moments(pixels)[0], ldm.load_vae(state, sizes).encode(pixels).latent_dist.mean),
            "decoder": (vae.decode(x), ldm.load_vae(state, sizes).decode(x).sample),
        }
    for name, (ours, theirs) in pairs.items():
        far = ((ours - theirs).norm() / theirs.norm()).item()
        print(f"{name}: {far:.1e} from diffusers")
        assert far < 1e-5, name


def main():
    model, out = sys.argv[1:]
    models = sample.load(model)
    text, unet, vae = models
    state = {ldm.TEXT + k: v for k, v in text.state_dict().items()}
    state |= {ldm.UNET + k: v for k, v in unet.state_dict().items()}
    state |= {ldm.VAE + k: v for k, v in vae.state_dict().items()}
    for name in [k for k in state if ".attn_1." in k and state[k].dim() == 2]:
        state[name] = state[name][:, :, None, None]
    state = {name: tensor.half().contiguous() for name, tensor in state.items()}
    for model in models:  # The timestep embedding's frequencies are no parameters, and stay f32.
        for parameter in model.parameters():
            parameter.data = parameter.data.half().float()
    check_layout({k: v.float() for k, v in state.items()}, models)
    save_file(state, out, {"format": "pt"})
    print(pathlib.Path(out).stat().st_size, "bytes")


if __name__ == "__main__":
    main()

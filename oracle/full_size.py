"""A checkpoint with SD1.5's real sizes and random weights, in the original single-file layout.

Usage: python oracle/full_size.py OUT.safetensors [--dtype fp16|fp32] [--layout sd15_tiny.safetensors]
For timing and memory, not for pictures. The classes' own initialisation keeps activations near 1 (norm weights are 1).
With --layout, the keys must be those of that file. Needs about 6 GB of memory.
"""

import pathlib

import torch
from diffusers.loaders.single_file_utils import convert_ldm_unet_checkpoint, convert_ldm_vae_checkpoint
from safetensors import safe_open
from safetensors.torch import save_file

import ldm
import pack

# Parameters of the real SD1.5: UNet, VAE, text encoder.
UNET_SIZE, VAE_SIZE, TEXT_SIZE = 859_520_964, 83_653_863, 123_060_480


def half_state(model, dtype):
    """Weights in `dtype`, and the number of them."""
    state = {name: tensor.to(dtype) for name, tensor in model.state_dict().items()}
    return state, sum(tensor.numel() for tensor in state.values())


def same(ours, converted):
    """Whether diffusers' conversion of our file gives back the very tensors that we started from."""
    return ours.keys() == converted.keys() and all(torch.equal(ours[name], converted[name]) for name in ours)


def build(sizes, dtype):
    """The three state dicts under LDM names, each checked by diffusers' own conversion."""
    unet = ldm.new_unet(sizes)
    unet_state, unet_size = half_state(unet, dtype)
    unet_ldm = ldm.to_ldm(unet=unet_state)
    assert same(unet_state, convert_ldm_unet_checkpoint(unet_ldm, dict(unet.config))), "UNet names"
    del unet

    vae = ldm.new_vae(sizes)
    vae_state, vae_size = half_state(vae, dtype)
    vae_ldm = ldm.to_ldm(vae=vae_state)
    assert same(vae_state, convert_ldm_vae_checkpoint(vae_ldm, dict(vae.config))), "VAE names"

    text = ldm.new_text(sizes)
    text_state, text_size = half_state(text, dtype)
    if sizes == ldm.Sizes():
        assert (unet_size, vae_size, text_size) == (UNET_SIZE, VAE_SIZE, TEXT_SIZE), (unet_size, vae_size, text_size)
    print(f"parameters: UNet {unet_size}, VAE {vae_size}, text encoder {text_size}")
    return {**unet_ldm, **vae_ldm, **ldm.to_ldm(text=text_state)}


def compare_layout(state, path):
    """Same keys and ranks as a file in the wanted layout."""
    with safe_open(path, "pt") as file:
        layout = {key: len(file.get_slice(key).get_shape()) for key in file.keys()}
    ours = {key: tensor.dim() for key, tensor in state.items()}
    assert ours == layout, sorted(set(ours.items()) ^ set(layout.items()))[:10]
    print(f"{len(ours)} keys, the same as in {pathlib.Path(path).name}")


def main():
    parser = pack.arguments(
        __doc__,
        dtype={"choices": ["fp16", "fp32"], "default": "fp16"},
        layout={"help": "a checkpoint whose keys must be ours"},
        seed={"type": int, "default": 15},
    )
    arguments = parser.parse_args()
    torch.manual_seed(arguments.seed)
    state = build(ldm.Sizes(), {"fp16": torch.float16, "fp32": torch.float32}[arguments.dtype])
    if arguments.layout:
        compare_layout(state, arguments.layout)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    save_file(state, str(arguments.out))
    print(f"wrote {arguments.out}: {len(state)} tensors, {arguments.out.stat().st_size} bytes")


if __name__ == "__main__":
    main()

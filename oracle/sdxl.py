"""SDXL's networks with random weights, and a folder of diffusers with them.

Usage: python oracle/sdxl.py OUT_FOLDER [--dtype fp16|fp32]
For timing and memory, not for pictures. Configurations are those of stabilityai/stable-diffusion-xl-base-1.0, written
down here, so that nothing is downloaded. Needs about 12 GB of memory and, in fp16, 7 GB of disk.
"""

import argparse
import json
import pathlib

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModelWithProjection

import ldm

# Parameters of the real UNet.
UNET_SIZE = 2_567_463_684
CONTEXT, POOLED = 2048, 1280


def new_unet():
    """The base model's UNet."""
    return UNet2DConditionModel(
        sample_size=128,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        block_out_channels=(320, 640, 1280),
        layers_per_block=2,
        cross_attention_dim=CONTEXT,
        transformer_layers_per_block=[1, 2, 10],
        attention_head_dim=[5, 10, 20],
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=256,
        projection_class_embeddings_input_dim=2816,
    ).eval()


def new_big_text():
    """The second text encoder, OpenCLIP's bigG."""
    config = CLIPTextConfig(
        hidden_size=1280,
        intermediate_size=5120,
        num_hidden_layers=32,
        num_attention_heads=20,
        hidden_act="gelu",
        projection_dim=1280,
        bos_token_id=49406,
        eos_token_id=49407,
        pad_token_id=1,
    )
    return CLIPTextModelWithProjection(config).eval()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--dtype", choices=["fp16", "fp32"], default="fp16")
    args = parser.parse_args()
    dtype = torch.float16 if args.dtype == "fp16" else torch.float32
    torch.manual_seed(0)
    vae = lambda: AutoencoderKL(**{**ldm.new_vae(ldm.Sizes()).config, "sample_size": 1024, "scaling_factor": 0.13025})
    parts = {
        "unet": new_unet,
        "vae": vae,
        "text_encoder": lambda: ldm.new_text(ldm.Sizes()),
        "text_encoder_2": new_big_text,
    }
    index = {"_class_name": "StableDiffusionXLPipeline", "_diffusers_version": "0.32.1"}
    for name, new in parts.items():
        model = new()
        assert name != "unet" or sum(p.numel() for p in model.parameters()) == UNET_SIZE
        model.to(dtype).save_pretrained(args.out / name, max_shard_size="20GB")
        library = "diffusers" if name in ("unet", "vae") else "transformers"
        index[name] = [library, type(model).__name__]
        del model
    (args.out / "model_index.json").write_text(json.dumps(index, indent=1) + "\n")


if __name__ == "__main__":
    main()

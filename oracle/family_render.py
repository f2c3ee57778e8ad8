"""Pictures of SD2.x and SDXL by diffusers' own pipelines with our LoRA loaded by diffusers and peft.

Usage: python oracle/family_render.py OUT_FOLDER --tiny FOLDER --lora LORA
FOLDER as for family_golden.py; LORA is a kohya-format file for its SDXL checkpoint. Writes render_sd2.safetensors
(v-prediction, no LoRA) and render_sdxl.safetensors (with it, strength 4): `start`, `latent` (the last one, scaled), `image`.
"""

import pathlib

import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, StableDiffusionXLPipeline
from diffusers.loaders.single_file_utils import convert_ldm_vae_checkpoint
from safetensors.torch import load_file

import clip_bpe
import family_golden
import ldm
import pack

PROMPT, NEGATIVE = "a copper penny, front view", "blurry"
STEPS, SCALE, STRENGTH = 6, 7.5, 4.0


def vae(state, scale):
    """The VAE by diffusers' converter."""
    model = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(32,) * 4,
        layers_per_block=1,
        scaling_factor=scale,
        force_upcast=False,
    ).eval()
    model.load_state_dict(convert_ldm_vae_checkpoint(dict(state), dict(model.config)), strict=True)
    return model.double().requires_grad_(False)


def scheduler(prediction):
    """DDIM with Stable Diffusion's noise schedule."""
    return DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
        prediction_type=prediction,
    )


def tokenizer(padding):
    """CLIP's, which fills up with `padding`."""
    found = clip_bpe.clip_tokenizer()
    found.pad_token = padding
    return found


def sd2(state):
    """Predicts v; 23 layers of the text encoder, so that the last one is what the pipeline takes."""
    return StableDiffusionPipeline(
        vae=vae(state, 0.18215),
        text_encoder=family_golden.open_clip(state, "cond_stage_model.model.", 23, False),
        tokenizer=tokenizer("!"),
        unet=family_golden.unet(state, **family_golden.SD2_UNET),
        scheduler=scheduler("v_prediction"),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def sdxl(state):
    """SDXL."""
    return StableDiffusionXLPipeline(
        vae=vae(state, 0.13025),
        text_encoder=family_golden.clip(state, "conditioner.embedders.0.transformer.", 3),
        text_encoder_2=family_golden.open_clip(state, "conditioner.embedders.1.model.", 4, True),
        tokenizer=tokenizer("<|endoftext|>"),
        tokenizer_2=tokenizer("!"),
        unet=family_golden.unet(state, **family_golden.SDXL_UNET),
        scheduler=scheduler("epsilon"),
        add_watermarker=False,
    )


def add_lora(pipe, path):
    """All modules of the file have to find their place."""
    pipe.load_lora_weights(str(path.parent), weight_name=path.name, adapter_name="ours")
    parts = (pipe.unet, pipe.text_encoder, pipe.text_encoder_2)
    counts = [sum(hasattr(m, "lora_A") for m in part.modules()) for part in parts]
    modules = {key.split(".")[0] for key in load_file(str(path))}
    if sum(counts) != len(modules):
        raise SystemExit(f"{path}: {len(modules)} modules in the file, but diffusers attached {counts}")
    pipe.set_adapters(["ours"], [STRENGTH])
    for part in parts:
        part.double()
    print(f"diffusers attached {counts} layers")


@torch.no_grad()
def render(pipe, **more):
    """The golden file of one picture of 64 by 64 pixels."""
    golden = pack.Pack()
    start = pack.normal("start", (1, 4, 8, 8), dtype=torch.float64)
    golden.put("start", start)
    pipe.set_progress_bar_config(disable=True)
    latent = pipe(
        PROMPT,
        negative_prompt=NEGATIVE,
        height=64,
        width=64,
        num_inference_steps=STEPS,
        guidance_scale=SCALE,
        latents=start.clone(),
        output_type="latent",
        **more,
    ).images
    golden.put("latent", latent)
    golden.put("image", pipe.vae.decode(latent / pipe.vae.config.scaling_factor).sample)
    return golden


def main():
    parser = pack.arguments(
        __doc__,
        tiny={"required": True, "type": pathlib.Path, "help": "the checkpoints' folder"},
        lora={"required": True, "type": pathlib.Path, "help": "a LoRA for the SDXL checkpoint"},
    )
    arguments = parser.parse_args()
    torch.set_default_dtype(torch.float64)
    about = {"oracle": "family_render.py", "dtype": "float64"}
    pipe = sd2(ldm.read(arguments.tiny / "tiny_sd2.safetensors"))
    render(pipe).write(arguments.out / "render_sd2.safetensors", about)
    pipe = sdxl(ldm.read(arguments.tiny / "tiny_sdxl.safetensors"))
    plain = render(pipe)
    add_lora(pipe, arguments.lora)
    golden = render(pipe)
    moved = (golden["latent"].double() - plain["latent"].double()).norm() / plain["latent"].double().norm()
    print(f"the LoRA moves the latent by {100 * moved:.1f} %")
    golden.write(arguments.out / "render_sdxl.safetensors", about)


if __name__ == "__main__":
    main()

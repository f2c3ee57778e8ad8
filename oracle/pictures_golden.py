"""Whole pictures by diffusers' pipelines: from noise, from a picture, inpainting with nine channels, ControlNet.

Usage: python oracle/pictures_golden.py crates/generate/tests/golden
Reads models/tiny and models/pocket. Writes txt2img, img2img, inpaint and control.safetensors: for each case `latent`
(the last one, scaled), for some `image` as decoded, and `noise` where the start is given. What the cases are:
README.md beside this file. Pictures, masks, ControlNets and the weights of the fifth to ninth channels are made by
formulas that the tests know, too.
"""

import pathlib

import numpy as np
import torch
from diffusers import (
    AutoencoderKL,
    ControlNetModel,
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    EulerAncestralDiscreteScheduler,
    EulerDiscreteScheduler,
    HeunDiscreteScheduler,
    LMSDiscreteScheduler,
    StableDiffusionControlNetPipeline,
    StableDiffusionImg2ImgPipeline,
    StableDiffusionInpaintPipeline,
    StableDiffusionPipeline,
    StableDiffusionXLControlNetPipeline,
    StableDiffusionXLImg2ImgPipeline,
    StableDiffusionXLInpaintPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from diffusers.loaders.single_file_utils import (
    convert_ldm_clip_checkpoint,
    convert_ldm_unet_checkpoint,
    convert_ldm_vae_checkpoint,
    convert_open_clip_checkpoint,
)
from PIL import Image
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

import clip_bpe
import ldm
import pack

MODELS = pathlib.Path(__file__).parent.parent / "models"
FILES = {name: MODELS / f"tiny/{name}_tiny.safetensors" for name in ("sd15", "sd2", "sdxl")}
FILES["pocket"] = MODELS / "pocket/pocket.safetensors"
PROMPT, NEGATIVE = "a copper penny, front view", "blurry"
# 999 is a multiple of 9: at ten steps diffusers' timesteps are whole, and both programs read the same noise levels.
STEPS, SCALE, SEED = 10, 7.5, 1234
WITH_IMAGE = ("sd15.euler", "sdxl.euler", "sd15", "sd15_nine", "sdxl_nine")
HINT_WIDTHS = (4, 6, 8, 8)
FIRST = ldm.UNET + "input_blocks.0.0.weight"


# Schedulers: each is the same rule as one of the web UI's samplers.


class Dpmpp2M(DPMSolverMultistepScheduler):
    """The network is told the timestep of the noise level as it is; diffusers' rounds it."""

    def set_timesteps(self, num_inference_steps=None, device=None, timesteps=None):
        super().set_timesteps(num_inference_steps, device, timesteps)
        known = np.log((((1 - self.alphas_cumprod) / self.alphas_cumprod) ** 0.5).numpy())
        found = [self._sigma_to_t(sigma, known) for sigma in self.sigmas[:-1].numpy()]
        self.timesteps = torch.from_numpy(np.array(found, np.float32))


EULER = (EulerDiscreteScheduler, {})
KARRAS = (EulerDiscreteScheduler, {"use_karras_sigmas": True})
DDIM = (
    DDIMScheduler,
    {"timestep_spacing": "leading", "clip_sample": False, "set_alpha_to_one": False},
)
SCHEDULERS = {
    "euler": EULER,
    "euler_karras": KARRAS,
    "euler_exponential": (EulerDiscreteScheduler, {"use_exponential_sigmas": True}),
    "euler_a": (EulerAncestralDiscreteScheduler, {}),
    "heun": (HeunDiscreteScheduler, {}),
    "lms": (LMSDiscreteScheduler, {}),
    "lms_karras": (LMSDiscreteScheduler, {"use_karras_sigmas": True}),
    "dpmpp_2m_karras": (Dpmpp2M, {"use_karras_sigmas": True, "solver_type": "midpoint"}),
    "ddim": DDIM,
}


def scheduler(name, model):
    """diffusers' scheduler with Stable Diffusion's noise levels."""
    kind, more = SCHEDULERS[name]
    settings = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
    settings |= {"timestep_spacing": "linspace", "steps_offset": 1}
    prediction = "v_prediction" if model == "sd2" else "epsilon"
    return kind(**{**settings, "prediction_type": prediction, **more})


# What the tests make by the same formulas.


def numbers(count, size, name):
    """Numbers of up to `size` that look random and depend on `name` alone."""
    state = sum(byte * (place + 1) for place, byte in enumerate(name.encode())) * 2654435761 % 2**32
    found = []
    for _ in range(count):
        state = (state * 1664525 + 1013904223) % 2**32
        found.append(state >> 8)
    return (np.array(found, np.float32) / np.float32(2**23) - np.float32(1)) * np.float32(size)


def picture(width, height):
    """A picture of stripes, (height, width, 3) bytes."""
    y, x, c = np.mgrid[0:height, 0:width, 0:3]
    return Image.fromarray(((x * (3 + c) + y * (5 + 2 * c) + x * y // (7 + c)) % 256).astype(np.uint8))


def mask(width, height):
    """White is painted anew: a rectangle whose sides lie on multiples of 8."""
    drawn = np.zeros((height, width), np.uint8)
    drawn[24:56, 16:48] = 255
    return Image.fromarray(drawn)


def nine_channels(state):
    """A checkpoint whose UNet sees mask and masked picture, too."""
    own = state[FIRST]
    more = numbers(own.shape[0] * 5 * 9, 0.3, "nine channels").reshape(-1, 5, 3, 3)
    return {**state, FIRST: torch.cat([own, torch.from_numpy(more)], 1)}


def control_net(unet):
    """The UNet's way down, and layers of its own by `numbers` of their original names."""
    net = ControlNetModel.from_unet(unet, conditioning_embedding_out_channels=HINT_WIDTHS)
    embedding = net.controlnet_cond_embedding
    layers = [embedding.conv_in, *embedding.blocks, embedding.conv_out]
    named = {f"input_hint_block.{2 * place}": layer for place, layer in enumerate(layers)}
    named |= {f"zero_convs.{place}.0": layer for place, layer in enumerate(net.controlnet_down_blocks)}
    named["middle_block_out.0"] = net.controlnet_mid_block
    for name, layer in named.items():
        inputs = layer.weight[0].numel()
        weight = numbers(layer.weight.numel(), inputs**-0.5, name + ".weight")
        layer.weight.data = torch.from_numpy(weight).reshape(layer.weight.shape)
        layer.bias.data = torch.from_numpy(numbers(layer.bias.numel(), 0.1, name + ".bias"))
    return net.eval().requires_grad_(False)


# Networks: sizes from the file.


def unet(state, model):
    """The UNet by diffusers' converter."""
    if model in ("sd15", "pocket"):
        sizes = ldm.sizes_of(state)
        config = dict(ldm.new_unet(sizes).config)
    else:
        config = {"layers_per_block": 2, "use_linear_projection": True, "sample_size": 16}
    if model == "sd2":
        config |= {"block_out_channels": (32,) * 4, "attention_head_dim": 4, "cross_attention_dim": 8}
    if model == "sdxl":
        config |= {
            "block_out_channels": (32, 64, 32),
            "attention_head_dim": (4, 8, 4),
            "cross_attention_dim": 16,
            "transformer_layers_per_block": (1, 2, 10),
            "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
            "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
            "addition_embed_type": "text_time",
            "addition_time_embed_dim": 256,
            "projection_class_embeddings_input_dim": 8 + 6 * 256,
        }
    config["in_channels"] = state[FIRST].shape[1]
    network = UNet2DConditionModel.from_config(config).eval()
    network.load_state_dict(convert_ldm_unet_checkpoint(dict(state), dict(network.config)), strict=True)
    return network.requires_grad_(False)


def vae(state, model):
    """The VAE by diffusers' converter."""
    scale = 0.13025 if model == "sdxl" else ldm.LATENT_SCALE
    widths = tuple(state[f"{ldm.VAE}encoder.down.{level}.block.0.conv1.weight"].shape[0] for level in range(4))
    network = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=widths,
        layers_per_block=2,
        scaling_factor=scale,
        force_upcast=False,
    ).eval()
    network.load_state_dict(convert_ldm_vae_checkpoint(dict(state), dict(network.config)), strict=True)
    return network.requires_grad_(False)


def text_config(layers, activation):
    """A CLIP of the tiny models' widths. Id 2 as EOS makes transformers pool at the largest id, which is EOS."""
    return CLIPTextConfig(
        vocab_size=49408,
        hidden_size=8,
        intermediate_size=32,
        num_hidden_layers=layers,
        num_attention_heads=2,
        max_position_embeddings=77,
        hidden_act=activation,
        eos_token_id=2,
        projection_dim=8,
    )


def open_clip(state, prefix, layers, kind):
    """OpenCLIP's model by diffusers' converter, which leaves out layers beyond `layers`."""
    model = kind(text_config(layers, "gelu")).eval()
    weights = convert_open_clip_checkpoint(model, dict(state), prefix=prefix)
    wanted = {name: weights[name] for name in model.state_dict() if not name.endswith("position_ids")}
    model.load_state_dict(wanted, strict=True)
    return model.requires_grad_(False)


def clip_of_sdxl(state):
    """CLIP-L's model of SDXL."""
    model = CLIPTextModel(text_config(12, "quick_gelu")).eval()
    weights = convert_ldm_clip_checkpoint(dict(state), remove_prefix="conditioner.embedders.0.transformer.")
    weights.pop("text_model.embeddings.position_ids", None)
    model.load_state_dict(weights, strict=True)
    return model.requires_grad_(False)


def tokenizer(padding):
    """CLIP's, which fills up with `padding`."""
    found = clip_bpe.clip_tokenizer()
    found.pad_token = padding
    return found


def parts(model, state):
    """All that a pipeline is made of, but for the scheduler."""
    found = {"unet": unet(state, model), "vae": vae(state, model)}
    if model == "sdxl":
        second = open_clip(state, "conditioner.embedders.1.model.", 32, CLIPTextModelWithProjection)
        found |= {"text_encoder": clip_of_sdxl(state), "text_encoder_2": second}
        found |= {"tokenizer": tokenizer("<|endoftext|>"), "tokenizer_2": tokenizer("!")}
        return found
    found |= {"safety_checker": None, "feature_extractor": None}
    if model == "sd2":
        # The last of 23 layers is the last but one of the file's 24.
        found["text_encoder"] = open_clip(state, "cond_stage_model.model.", 23, CLIPTextModel)
        found["tokenizer"] = tokenizer("!")
    else:
        found |= {"text_encoder": ldm.load_text(state, ldm.sizes_of(state)), "tokenizer": tokenizer("<|endoftext|>")}
    return found


class Model:
    """A checkpoint, from which pipelines are made."""

    def __init__(self, name, nine=False):
        self.name = name
        state = ldm.read(FILES[name])
        self.parts = parts(name, nine_channels(state) if nine else state)

    def pipeline(self, kind, xl_kind, sampler, **more):
        """A pipeline with the sampler."""
        own = {"add_watermarker": False} if self.name == "sdxl" else {"requires_safety_checker": False}
        pipe = (xl_kind if self.name == "sdxl" else kind)(
            **self.parts, scheduler=scheduler(sampler, self.name), **own, **more
        )
        pipe.set_progress_bar_config(disable=True)
        return pipe

    def encoded(self, values):
        """The mean of the latents of a picture, (1, 3, H, W) in [-1, 1], scaled."""
        network = self.parts["vae"]
        return network.encode(values).latent_dist.mean * network.config.scaling_factor

    def decoded(self, latent):
        """The picture of latents, not clamped."""
        network = self.parts["vae"]
        return network.decode(latent / network.config.scaling_factor).sample


def values(image):
    """A picture as (1, 3, H, W) in [-1, 1]."""
    return torch.from_numpy(np.asarray(image, np.float32).transpose(2, 0, 1)[None] / 255) * 2 - 1


def call(pipe, model, **more):
    """The last latents."""
    prompt = "fox, white background, noto style" if model.name == "pocket" else PROMPT
    return pipe(
        prompt,
        negative_prompt=NEGATIVE,
        num_inference_steps=STEPS,
        guidance_scale=SCALE,
        generator=torch.Generator().manual_seed(SEED),
        output_type="latent",
        **more,
    ).images


def put(golden, model, name, latent, with_image):
    """Keeps a case."""
    golden.put(f"{name}.latent", latent)
    if with_image:
        golden.put(f"{name}.image", model.decoded(latent))


def from_given_noise(golden, name, pipe, model, given):
    """The latents from a start that is kept: the first at which a last digit does not matter.

    The tiny UNets of SD1.5 and SD2 have one channel in a group, and at the deepest of four levels a picture of 128 by
    64 is 2 by 1: the two values are normalised by their difference, to plus and minus one. Where that is nearly 0 the
    network is a step: of starts that differ by 1e-6 come results that differ by 1e-3.
    """

    def paint(noise):
        if isinstance(pipe.scheduler, Dpmpp2M):
            # It begins with the strength of the first level, where diffusers takes that of unit noise.
            pipe.scheduler.set_timesteps(STEPS)
            sigma = pipe.scheduler.sigmas[0]
            noise = noise * sigma / (sigma**2 + 1) ** 0.5
        return call(pipe, model, latents=noise, **given)

    for attempt in range(20):
        noise = pack.normal(f"{name}.{attempt}", (1, 4, 8, 16))
        latent = paint(noise)
        moved = (paint(noise * (1 + 1e-6)) - latent).abs().max() / latent.abs().max()
        if moved < 1e-5:
            golden.put(f"{name}.noise", noise)
            return latent
        print(f"{name}: start {attempt} is not steady, {moved:.1e}")
    raise SystemExit(f"{name}: no start is steady")


def txt2img(models):
    """From noise. The start is given, or the seed's: both programs draw it from torch's generator."""
    golden = pack.Pack()
    for model, samplers in {
        "sd15": list(SCHEDULERS),
        "sd2": ["euler", "dpmpp_2m_karras", "ddim"],
        "sdxl": ["euler", "euler_karras", "dpmpp_2m_karras"],
        "pocket": ["euler", "euler_a", "dpmpp_2m_karras"],
    }.items():
        for sampler in samplers:
            pipe = models[model].pipeline(StableDiffusionPipeline, StableDiffusionXLPipeline, sampler)
            name, given = f"{model}.{sampler}", {"height": 64, "width": 128}
            if sampler == "euler_a":
                latent = call(pipe, models[model], **given)
            else:
                latent = from_given_noise(golden, name, pipe, models[model], given)
            put(golden, models[model], name, latent, name in WITH_IMAGE or name in ("sd2.euler", "pocket.euler"))
    return golden


def img2img(models):
    """From a picture, whose latents are the mean of their distribution; the noise is the seed's. The web UI's denoising
    strength 0.5 makes 6 of 10 steps, diffusers' DDIM as many as it says."""
    golden = pack.Pack()
    for model, samplers in {
        "sd15": ["euler", "euler_karras", "dpmpp_2m_karras", "euler_a", "ddim"],
        "sd2": ["euler", "ddim"],
        "sdxl": ["euler", "euler_karras"],
        "pocket": ["euler"],
    }.items():
        latents = models[model].encoded(values(picture(128, 64)))
        for sampler in samplers:
            pipe = models[model].pipeline(StableDiffusionImg2ImgPipeline, StableDiffusionXLImg2ImgPipeline, sampler)
            latent = call(pipe, models[model], image=latents.clone(), strength=0.6)
            put(golden, models[model], f"{model}.{sampler}", latent, f"{model}.{sampler}" in WITH_IMAGE)
    return golden


def inpaint(models):
    """With four channels diffusers brings the picture back after each step, with nine it doesn't; the web UI does."""
    golden = pack.Pack()
    image, drawn = picture(64, 128), mask(64, 128)
    hole = torch.from_numpy(np.asarray(drawn, np.float32)[None, None] / 255)
    small = hole[:, :, ::8, ::8]
    for name, (model, is_nine) in {
        "sd15": ("sd15", False),
        "sdxl": ("sdxl", False),
        "sd15_nine": ("sd15", True),
        "sd2_nine": ("sd2", True),
        "sdxl_nine": ("sdxl", True),
    }.items():
        own = Model(model, nine=True) if is_nine else models[model]
        latents = own.encoded(values(image))
        noise = torch.randn(latents.shape, generator=torch.Generator().manual_seed(SEED))

        def bring_back(pipe, step, _, state):
            """What the web UI does at each step."""
            sigma = pipe.scheduler.sigmas[step + 1 + STEPS - 6]
            kept = latents + noise * sigma
            return {"latents": state["latents"] * small + kept * (1 - small)}

        pipe = own.pipeline(StableDiffusionInpaintPipeline, StableDiffusionXLInpaintPipeline, "euler")
        latent = call(
            pipe,
            own,
            image=latents.clone(),
            mask_image=hole,
            masked_image_latents=own.encoded(values(image) * (1 - hole)),
            strength=0.6,
            height=128,
            width=64,
            callback_on_step_end=bring_back if is_nine else None,
        )
        put(golden, own, name, latent, name in WITH_IMAGE)
    return golden


def control(models):
    """With a ControlNet, at full weight and less, from noise."""
    golden = pack.Pack()
    for model, sampler, weight in [
        ("sd15", "euler", 1.0),
        ("sd15", "dpmpp_2m_karras", 0.6),
        ("sd2", "euler", 1.0),
        ("sdxl", "euler", 0.6),
        ("pocket", "euler", 1.0),
    ]:
        own = models[model]
        net = control_net(own.parts["unet"])
        pipe = own.pipeline(
            StableDiffusionControlNetPipeline, StableDiffusionXLControlNetPipeline, sampler, controlnet=net
        )
        given = {"image": picture(128, 64), "controlnet_conditioning_scale": weight, "height": 64, "width": 128}
        name = f"{model}.{sampler}"
        latent = from_given_noise(golden, name, pipe, own, given)
        put(golden, own, name, latent, name in WITH_IMAGE)
    return golden


@torch.no_grad()
def main():
    # The networks are so small that threads would wait for each other most of the time.
    torch.set_num_threads(1)
    modes = {mode.__name__: mode for mode in (txt2img, img2img, inpaint, control)}
    parser = pack.arguments(__doc__, only={"choices": modes, "help": "write one file alone"})
    arguments = parser.parse_args()
    models = {name: Model(name) for name in FILES}
    for name in [arguments.only] if arguments.only else modes:
        modes[name](models).write(arguments.out / f"{name}.safetensors", {"oracle": "pictures_golden.py"})


if __name__ == "__main__":
    main()

"""Golden outputs and gradients of text encoders and UNets of SD2.x and SDXL (diffusers, transformers), f64
rounded to f32.

Usage: python oracle/family_golden.py OUT_FOLDER --tiny FOLDER
FOLDER holds what `cargo run --release -p lorabake-testkit --example tiny_checkpoints FOLDER` writes. What the tensors
are: README.md beside this file.
"""

import pathlib

import torch
from diffusers import UNet2DConditionModel
from diffusers.loaders.single_file_utils import (
    convert_ldm_clip_checkpoint,
    convert_ldm_unet_checkpoint,
    convert_open_clip_checkpoint,
)
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

import ldm
import model_golden
import pack

TEXT = 8
F64 = torch.float64
SD2_BLOCK = "down_blocks.1.attentions.0"
SDXL_LAYERS = [
    "down_blocks.1.attentions.0.proj_in",
    "down_blocks.1.attentions.0.transformer_blocks.1",
    "mid_block.attentions.0.transformer_blocks.2.attn2",
    "add_embedding.linear_1",
    "up_blocks.0.resnets.2.conv_shortcut",
]
TEXT_LAYERS = ["text_model.encoder.layers.1.self_attn", "text_model.encoder.layers.1.mlp.fc1"]

SD2_UNET = {
    "block_out_channels": (32, 64, 32, 32),
    "attention_head_dim": (4, 8, 4, 4),  # in diffusers' SD2.x, the number of heads
    "cross_attention_dim": TEXT,
}
SDXL_UNET = {
    "block_out_channels": (32, 64, 32),
    "attention_head_dim": (4, 8, 4),
    "cross_attention_dim": 2 * TEXT,
    "transformer_layers_per_block": (1, 2, 3),
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 256,
    "projection_class_embeddings_input_dim": TEXT + 6 * 256,
}


def rows(padding):
    """(2, 77): BOS, ids, EOS, filled up with `padding`; the second is full."""
    found = [[49406] + ids[:75] + [49407] for ids in model_golden.PROMPT_IDS]
    return torch.tensor([row + [padding] * (77 - len(row)) for row in found], dtype=torch.int32)


def text_config(layers, activation):
    """A CLIP of our toys' widths. Id 2 as EOS makes transformers pool at the largest id, which is EOS."""
    return CLIPTextConfig(
        vocab_size=49408,
        hidden_size=TEXT,
        intermediate_size=4 * TEXT,
        num_hidden_layers=layers,
        num_attention_heads=2,
        max_position_embeddings=77,
        hidden_act=activation,
        eos_token_id=2,
        projection_dim=TEXT,
    )


def open_clip(state, prefix, layers, projects):
    """OpenCLIP's model by diffusers' converter, which leaves out layers beyond `layers`."""
    kind = CLIPTextModelWithProjection if projects else CLIPTextModel
    model = kind(text_config(layers, "gelu")).eval()
    weights = convert_open_clip_checkpoint(model, dict(state), prefix=prefix)
    wanted = {name: weights[name] for name in model.state_dict() if not name.endswith("position_ids")}
    model.load_state_dict(wanted, strict=True)
    return model.double().requires_grad_(False)


def clip(state, prefix, layers):
    """CLIP-L's model of SDXL."""
    model = CLIPTextModel(text_config(layers, "quick_gelu")).eval()
    weights = convert_ldm_clip_checkpoint(dict(state), remove_prefix=prefix)
    model.load_state_dict(weights, strict=True)
    return model.double().requires_grad_(False)


def text_case(name, model, padding, pick, record):
    """What `pick` takes from the model's outputs, and the gradients of a LoRA on two layers for it."""
    ids = rows(padding)
    record(f"{name}.ids", ids)

    def outputs():
        return pick(model, model(ids.long(), output_hidden_states=True))

    for key, value in outputs().items():
        record(f"{name}.{key}", value)
        record(f"{name}.grad_{key}", pack.normal(f"{name}.grad_{key}", value.shape, dtype=F64))

    def run():
        found = outputs()
        for key, value in found.items():
            record(f"{name}.lora.{key}", value)
        sum((value * pack.normal(f"{name}.grad_{key}", value.shape, dtype=F64)).sum() for key, value in found.items()).backward()

    layers = model_golden.adapted_layers(model, TEXT_LAYERS)
    model_golden.with_lora(f"{name}.lora", layers, F64, run, record)


def unet(state, **config):
    """The UNet by diffusers' converter."""
    model = UNet2DConditionModel(
        sample_size=16, layers_per_block=2, use_linear_projection=True, norm_num_groups=32, **config
    ).eval()
    weights = convert_ldm_unet_checkpoint(dict(state), dict(model.config))
    model.load_state_dict(weights, strict=True)
    return model.double().requires_grad_(False)


def unet_case(model, layers, added, record):
    """Prediction, gradient of the text states, and a LoRA."""
    sample = pack.normal("unet.sample", (2, 4, 16, 24), dtype=F64)
    timesteps = torch.tensor([37.0, 801.0])
    context = pack.normal("unet.context", (2, 77, model.config.cross_attention_dim), dtype=F64)
    grad_out = pack.normal("unet.grad_out", (2, 4, 16, 24), dtype=F64)
    for name, tensor in [("sample", sample), ("timesteps", timesteps), ("context", context), ("grad_out", grad_out)]:
        record("unet." + name, tensor)
    told = {}
    if added:
        told = {
            "text_embeds": pack.normal("unet.pooled", (2, TEXT), dtype=F64),
            "time_ids": torch.tensor([[1024.0, 768, 0, 32, 1024, 768], [300, 400, 7, 0, 896, 1152]], dtype=F64),
        }
        record("unet.pooled", told["text_embeds"])
        record("unet.sizes", told["time_ids"])
    context.requires_grad_()
    out = model(sample, timesteps, context, added_cond_kwargs=told).sample
    record("unet.out", out)
    (out * grad_out).sum().backward()
    record("unet.dcontext", context.grad)

    def run():
        adapted = model(sample, timesteps, context.detach(), added_cond_kwargs=told).sample
        record("lora.out", adapted)
        (adapted * grad_out).sum().backward()

    model_golden.with_lora("lora", model_golden.adapted_layers(model, layers), F64, run, record)


def sd2(state):
    """23 of 24 layers; after the last of them, or of those before it, comes the final norm."""
    golden = pack.Pack()
    model = open_clip(state, "cond_stage_model.model.", 23, False)
    norm = model.text_model.final_layer_norm
    text_case("text", model, 0, lambda _, out: {"last": out.last_hidden_state}, golden.put)
    states = model(rows(0).long(), output_hidden_states=True).hidden_states
    golden.put("text.skip2", norm(states[-2]))
    unet_case(unet(state, **SD2_UNET), [SD2_BLOCK], False, golden.put)
    return golden


def sdxl(state):
    """Penultimate states without the norm, and the second model's projected state at EOS."""
    golden = pack.Pack()
    first = clip(state, "conditioner.embedders.0.transformer.", 3)
    text_case("text", first, 49407, lambda _, out: {"penultimate": out.hidden_states[-2]}, golden.put)
    second = open_clip(state, "conditioner.embedders.1.model.", 4, True)
    pick = lambda _, out: {"penultimate": out.hidden_states[-2], "pooled": out.text_embeds}  # noqa: E731
    text_case("text2", second, 0, pick, golden.put)
    # sd-scripts takes the file's matrix as it is for the weight of this layer, diffusers its transpose.
    second.text_projection.weight.data = second.text_projection.weight.data.T.contiguous()
    golden.put("text2.trainer.pooled", second(rows(0).long()).text_embeds)
    unet_case(unet(state, **SDXL_UNET), SDXL_LAYERS, True, golden.put)
    return golden


def main():
    parser = pack.arguments(__doc__, tiny={"required": True, "type": pathlib.Path, "help": "the checkpoints' folder"})
    arguments = parser.parse_args()
    torch.set_default_dtype(F64)  # transformers builds its causal mask in the default type
    for name, case in [("sd2", sd2), ("sdxl", sdxl)]:
        golden = case(ldm.read(arguments.tiny / f"tiny_{name}.safetensors"))
        golden.write(arguments.out / f"{name}_tiny.safetensors", {"oracle": "family_golden.py", "dtype": "float64"})


if __name__ == "__main__":
    main()

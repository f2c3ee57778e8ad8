"""SD1.x components of diffusers/transformers from a single-file checkpoint, and back.

The way in uses diffusers' own conversion functions; the way out (`to_ldm_name`) is ours and is checked against them
by `full_size.py`. Nothing here downloads: the configurations are built from the shapes in the file.
"""

import dataclasses
import re

from diffusers import AutoencoderKL, UNet2DConditionModel
from diffusers.loaders.single_file_utils import (
    convert_ldm_clip_checkpoint,
    convert_ldm_unet_checkpoint,
    convert_ldm_vae_checkpoint,
)
from safetensors.torch import load_file
from transformers import CLIPTextConfig, CLIPTextModel

UNET, VAE, TEXT = "model.diffusion_model.", "first_stage_model.", "cond_stage_model.transformer."
LATENT_SCALE = 0.18215


@dataclasses.dataclass(frozen=True)
class Sizes:
    """The widths of an SD1.x model; the topology is fixed. Defaults: the real SD1.5."""

    unet: tuple = (320, 640, 1280, 1280)
    context: int = 768
    unet_heads: int = 8
    vae: tuple = (128, 256, 512, 512)
    text: int = 768
    text_inner: int = 3072
    text_heads: int = 12
    text_layers: int = 12
    vocab: int = 49408


def sizes_of(state, text_heads=None):
    """Sizes from a checkpoint's shapes. Head counts are not in the shapes: 8 in the UNet; in the text encoder
    one per 64 channels, as in CLIP, or `text_heads` (the tiny test models have 2)."""
    text = state[TEXT + "text_model.embeddings.token_embedding.weight"]
    layers = {m[1] for k in state if (m := re.search(r"text_model\.encoder\.layers\.(\d+)\.", k))}
    width = text.shape[1]
    return Sizes(
        unet=tuple(state[f"{UNET}input_blocks.{i}.0.in_layers.2.weight"].shape[0] for i in (1, 4, 7, 10)),
        context=state[f"{UNET}input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight"].shape[1],
        vae=tuple(state[f"{VAE}encoder.down.{i}.block.0.conv1.weight"].shape[0] for i in range(4)),
        text=width,
        text_inner=state[TEXT + "text_model.encoder.layers.0.mlp.fc1.weight"].shape[0],
        text_heads=text_heads or (width // 64 if width % 64 == 0 else 2),
        text_layers=len(layers),
        vocab=text.shape[0],
    )


def new_unet(sizes):
    """UNet2DConditionModel with SD1's configuration. `attention_head_dim` is, in SD1, the number of heads."""
    return UNet2DConditionModel(
        sample_size=64,
        in_channels=4,
        out_channels=4,
        down_block_types=("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",),
        up_block_types=("UpBlock2D",) + ("CrossAttnUpBlock2D",) * 3,
        block_out_channels=sizes.unet,
        layers_per_block=2,
        cross_attention_dim=sizes.context,
        attention_head_dim=sizes.unet_heads,
        norm_num_groups=32,
    ).eval()


def new_vae(sizes):
    """AutoencoderKL with SD1's configuration."""
    return AutoencoderKL(
        in_channels=3,
        out_channels=3,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=sizes.vae,
        layers_per_block=2,
        latent_channels=4,
        norm_num_groups=32,
        sample_size=512,
        scaling_factor=LATENT_SCALE,
    ).eval()


def new_text(sizes):
    """CLIPTextModel with CLIP ViT-L/14's configuration. The ids of BOS, EOS and padding are those of the vocabulary;
    only the pooled output, which SD1 does not use, depends on them."""
    config = CLIPTextConfig(
        vocab_size=sizes.vocab,
        hidden_size=sizes.text,
        intermediate_size=sizes.text_inner,
        num_hidden_layers=sizes.text_layers,
        num_attention_heads=sizes.text_heads,
        max_position_embeddings=77,
        hidden_act="quick_gelu",
        layer_norm_eps=1e-5,
        bos_token_id=49406,
        eos_token_id=49407,
        pad_token_id=49407,
        projection_dim=sizes.text,
    )
    return CLIPTextModel(config).eval()


def read(path):
    """All tensors of a checkpoint as f32."""
    return {name: tensor.float() for name, tensor in load_file(str(path)).items()}


def load_unet(state, sizes):
    """The UNet with the checkpoint's weights; every key must match."""
    model = new_unet(sizes)
    model.load_state_dict(convert_ldm_unet_checkpoint(dict(state), dict(model.config)), strict=True)
    return model.requires_grad_(False)


def load_vae(state, sizes):
    """The VAE with the checkpoint's weights; every key must match."""
    model = new_vae(sizes)
    model.load_state_dict(convert_ldm_vae_checkpoint(dict(state), dict(model.config)), strict=True)
    return model.requires_grad_(False)


def load_text(state, sizes):
    """The text encoder with the checkpoint's weights; every key must match (position_ids is no weight)."""
    weights = convert_ldm_clip_checkpoint(dict(state))
    weights.pop("text_model.embeddings.position_ids", None)
    model = new_text(sizes)
    model.load_state_dict(weights, strict=True)
    return model.requires_grad_(False)


_RESNET = [
    ("norm1.", "in_layers.0."),
    ("conv1.", "in_layers.2."),
    ("time_emb_proj.", "emb_layers.1."),
    ("norm2.", "out_layers.0."),
    ("conv2.", "out_layers.3."),
    ("conv_shortcut.", "skip_connection."),
]
_UNET_ENDS = [
    ("conv_in.", "input_blocks.0.0."),
    ("time_embedding.linear_1.", "time_embed.0."),
    ("time_embedding.linear_2.", "time_embed.2."),
    ("conv_norm_out.", "out.0."),
    ("conv_out.", "out.2."),
    ("mid_block.resnets.0.", "middle_block.0."),
    ("mid_block.attentions.0.", "middle_block.1."),
    ("mid_block.resnets.1.", "middle_block.2."),
]
_VAE_ATTENTION = [("group_norm", "norm"), ("to_q", "q"), ("to_k", "k"), ("to_v", "v"), ("to_out.0", "proj_out")]


def _unet_name(name):
    if "resnets." in name:
        head, tail = re.fullmatch(r"(.*resnets\.\d\.)(.*)", name).groups()
        for old, new in _RESNET:
            if tail.startswith(old):
                tail = new + tail[len(old):]
                break
        name = head + tail
    for old, new in _UNET_ENDS:
        if name.startswith(old):
            return new + name[len(old):]
    side, block, kind, layer, rest = re.fullmatch(
        r"(down|up)_blocks\.(\d)\.(resnets|attentions|downsamplers|upsamplers)\.(\d)\.(.*)", name
    ).groups()
    place = 3 * int(block) + int(layer)
    return {
        ("down", "resnets"): f"input_blocks.{place + 1}.0.{rest}",
        ("down", "attentions"): f"input_blocks.{place + 1}.1.{rest}",
        ("down", "downsamplers"): f"input_blocks.{place + 3}.0.op.{rest.removeprefix('conv.')}",
        ("up", "resnets"): f"output_blocks.{place}.0.{rest}",
        ("up", "attentions"): f"output_blocks.{place}.1.{rest}",
        # The first up block has no attention, so its upsampler stands in second place, elsewhere in third.
        ("up", "upsamplers"): f"output_blocks.{place + 2}.{1 if block == '0' else 2}.{rest}",
    }[side, kind]


def _vae_name(name):
    name = re.sub(r"encoder\.down_blocks\.(\d)\.resnets\.", r"encoder.down.\1.block.", name)
    name = re.sub(r"encoder\.down_blocks\.(\d)\.downsamplers\.0", r"encoder.down.\1.downsample", name)
    name = re.sub(r"decoder\.up_blocks\.(\d)\.resnets\.", lambda m: f"decoder.up.{3 - int(m[1])}.block.", name)
    name = re.sub(r"decoder\.up_blocks\.(\d)\.upsamplers\.0", lambda m: f"decoder.up.{3 - int(m[1])}.upsample", name)
    name = re.sub(r"mid_block\.resnets\.(\d)", lambda m: f"mid.block_{int(m[1]) + 1}", name)
    if "mid_block.attentions.0." in name:
        head, tail = name.split("mid_block.attentions.0.")
        for old, new in _VAE_ATTENTION:
            tail = re.sub(rf"^{re.escape(old)}\.", new + ".", tail)
        name = f"{head}mid.attn_1.{tail}"
    return name.replace("conv_shortcut", "nin_shortcut").replace("conv_norm_out", "norm_out")


def to_ldm(unet=None, vae=None, text=None):
    """State dicts of the diffusers/transformers models under the names and shapes of the single-file layout."""
    state = {}
    for name, tensor in (unet or {}).items():
        state[UNET + _unet_name(name)] = tensor
    for name, tensor in (vae or {}).items():
        name = _vae_name(name)
        if "attn_1" in name and tensor.dim() == 2:
            tensor = tensor[:, :, None, None]
        state[VAE + name] = tensor
    for name, tensor in (text or {}).items():
        state[TEXT + name] = tensor
    return {name: tensor.contiguous() for name, tensor in state.items()}

"""The UNets of SD1.5 and SDXL in plain PyTorch, for timing where diffusers is not installed.

Modules have diffusers' names, so that its weights fit, and compute what its own do: `python oracle/plain_unet.py`
compares both, output and gradient, with narrow networks. Attention is PyTorch's own (SDPA), as in sd-scripts with
--sdpa.
"""

import dataclasses
import math
import typing

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint

# Inputs of SDXL's embedding of sizes beside the pooled text: six numbers of 256 each.
SIZE_WIDTH, POOLED = 6 * 256, 1280


@dataclasses.dataclass(frozen=True)
class Config:
    """A UNet's sizes, level by level."""

    channels: tuple = (320, 640, 1280, 1280)
    # Transformer blocks in each attention; 0 where a level has none.
    depth: tuple = (1, 1, 1, 0)
    middle_depth: int = 1
    heads: tuple = (8, 8, 8, 8)
    context: int = 768
    # SDXL: a linear layer around the transformer, and sizes and pooled text beside the time.
    is_xl: bool = False


SD15 = Config()
SDXL = Config((320, 640, 1280), (0, 2, 10), 10, (5, 10, 20), 2048, True)


class Output(typing.NamedTuple):
    """As diffusers returns it."""

    sample: torch.Tensor


def waves(numbers, width):
    """Cosines, then sines of numbers at `width` / 2 frequencies."""
    half = width // 2
    rates = torch.exp(-math.log(10000) * torch.arange(half, device=numbers.device, dtype=torch.float32) / half)
    angles = numbers.float()[..., None] * rates
    return torch.cat([angles.cos(), angles.sin()], -1)


class Embedding(nn.Module):
    def __init__(self, width, inner):
        super().__init__()
        self.linear_1, self.linear_2 = nn.Linear(width, inner), nn.Linear(inner, inner)

    def forward(self, x):
        return self.linear_2(F.silu(self.linear_1(x)))


class Resnet(nn.Module):
    def __init__(self, inside, outside, time):
        super().__init__()
        self.norm1, self.conv1 = nn.GroupNorm(32, inside), nn.Conv2d(inside, outside, 3, padding=1)
        self.time_emb_proj = nn.Linear(time, outside)
        self.norm2, self.conv2 = nn.GroupNorm(32, outside), nn.Conv2d(outside, outside, 3, padding=1)
        self.conv_shortcut = nn.Conv2d(inside, outside, 1) if inside != outside else nn.Identity()

    def forward(self, x, time):
        y = self.conv1(F.silu(self.norm1(x))) + self.time_emb_proj(F.silu(time))[:, :, None, None]
        return self.conv_shortcut(x) + self.conv2(F.silu(self.norm2(y)))


class Attention(nn.Module):
    def __init__(self, width, context, heads):
        super().__init__()
        self.heads = heads
        self.to_q = nn.Linear(width, width, bias=False)
        self.to_k, self.to_v = nn.Linear(context, width, bias=False), nn.Linear(context, width, bias=False)
        self.to_out = nn.ModuleList([nn.Linear(width, width)])

    def forward(self, x, context):
        q, k, v = (
            y.unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for y in (self.to_q(x), self.to_k(context), self.to_v(context))
        )
        return self.to_out[0](F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


class Geglu(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.proj = nn.Linear(width, 8 * width)

    def forward(self, x):
        value, gate = self.proj(x).chunk(2, -1)
        return value * F.gelu(gate)


class FeedForward(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.net = nn.ModuleList([Geglu(width), nn.Identity(), nn.Linear(4 * width, width)])

    def forward(self, x):
        return self.net[2](self.net[0](x))


class Block(nn.Module):
    def __init__(self, width, context, heads):
        super().__init__()
        self.norm1, self.attn1 = nn.LayerNorm(width), Attention(width, width, heads)
        self.norm2, self.attn2 = nn.LayerNorm(width), Attention(width, context, heads)
        self.norm3, self.ff = nn.LayerNorm(width), FeedForward(width)

    def forward(self, x, context):
        y = self.norm1(x)
        x = x + self.attn1(y, y)
        x = x + self.attn2(self.norm2(x), context)
        return x + self.ff(self.norm3(x))


class Transformer(nn.Module):
    def __init__(self, width, depth, heads, config):
        super().__init__()
        self.is_linear = config.is_xl
        new = (lambda: nn.Linear(width, width)) if config.is_xl else (lambda: nn.Conv2d(width, width, 1))
        self.norm, self.proj_in, self.proj_out = nn.GroupNorm(32, width, 1e-6), new(), new()
        self.transformer_blocks = nn.ModuleList(Block(width, config.context, heads) for _ in range(depth))

    def forward(self, x, context):
        size = x.shape[2:]
        y = self.norm(x)
        y = y if self.is_linear else self.proj_in(y)
        y = y.flatten(2).transpose(1, 2)
        y = self.proj_in(y) if self.is_linear else y
        for block in self.transformer_blocks:
            y = block(y, context)
        y = self.proj_out(y) if self.is_linear else y
        y = y.transpose(1, 2).unflatten(2, size)
        y = y if self.is_linear else self.proj_out(y)
        return x + y


class Sampler(nn.Module):
    def __init__(self, width, stride):
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, stride, 1)

    def forward(self, x):
        return self.conv(F.interpolate(x, scale_factor=2.0) if self.conv.stride == (1, 1) else x)


class Level(nn.Module):
    """Resnets, each with an attention behind it where the level has any, and a layer that halves or doubles."""

    def __init__(self, widths, width, level, config, sampler, depth=None):
        super().__init__()
        time = 4 * config.channels[0]
        depth = config.depth[level] if depth is None else depth
        self.resnets = nn.ModuleList(Resnet(inside, width, time) for inside in widths)
        count = len(widths) if sampler != "middle" else 1
        new = lambda: Transformer(width, depth, config.heads[level], config)
        self.attentions = nn.ModuleList(new() for _ in range(count if depth else 0))
        if sampler == "down":
            self.downsamplers = nn.ModuleList([Sampler(width, 2)])
        if sampler == "up":
            self.upsamplers = nn.ModuleList([Sampler(width, 1)])


class UNet(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.config, self.recomputes = config, False
        channels, last = config.channels, len(config.channels) - 1
        time = 4 * channels[0]
        self.conv_in = nn.Conv2d(4, channels[0], 3, padding=1)
        self.time_embedding = Embedding(channels[0], time)
        if config.is_xl:
            self.add_embedding = Embedding(POOLED + SIZE_WIDTH, time)
        skips, width = [channels[0]], channels[0]
        self.down_blocks = nn.ModuleList()
        for level, outside in enumerate(channels):
            sampler = "down" if level < last else ""
            self.down_blocks.append(Level([width, outside], outside, level, config, sampler))
            width = outside
            skips += [outside] * (3 if level < last else 2)
        self.mid_block = Level([width, width], width, last, config, "middle", config.middle_depth)
        self.up_blocks = nn.ModuleList()
        for level in reversed(range(len(channels))):
            outside = channels[level]
            widths = []
            for _ in range(3):
                widths.append(width + skips.pop())
                width = outside
            self.up_blocks.append(Level(widths, outside, level, config, "up" if level else ""))
        self.conv_norm_out, self.conv_out = nn.GroupNorm(32, width), nn.Conv2d(width, 4, 3, padding=1)

    def enable_gradient_checkpointing(self):
        """Keeps only what is between resnets and transformers."""
        self.recomputes = True

    def run(self, module, *inputs):
        return checkpoint(module, *inputs, use_reentrant=False) if self.recomputes else module(*inputs)

    def forward(self, x, timesteps, context, added_cond_kwargs=None):
        time = self.time_embedding(waves(timesteps, self.config.channels[0]).to(x.dtype))
        if self.config.is_xl:
            sizes = waves(added_cond_kwargs["time_ids"], 256).flatten(1)
            time = time + self.add_embedding(torch.cat([added_cond_kwargs["text_embeds"], sizes.to(x.dtype)], -1))
        x = self.conv_in(x)
        skips = [x]
        for level in self.down_blocks:
            for at, resnet in enumerate(level.resnets):
                x = self.run(resnet, x, time)
                x = self.run(level.attentions[at], x, context) if len(level.attentions) else x
                skips.append(x)
            if hasattr(level, "downsamplers"):
                x = level.downsamplers[0](x)
                skips.append(x)
        x = self.run(self.mid_block.resnets[0], x, time)
        x = self.run(self.mid_block.attentions[0], x, context)
        x = self.run(self.mid_block.resnets[1], x, time)
        for level in self.up_blocks:
            for at, resnet in enumerate(level.resnets):
                x = self.run(resnet, torch.cat([x, skips.pop()], 1), time)
                x = self.run(level.attentions[at], x, context) if len(level.attentions) else x
            if hasattr(level, "upsamplers"):
                x = level.upsamplers[0](x)
        return Output(self.conv_out(F.silu(self.conv_norm_out(x))))


def compare(config, name, blocks_down, blocks_up):
    """How far a narrow network is from diffusers' with the same weights."""
    from diffusers import UNet2DConditionModel

    more = {}
    if config.is_xl:
        more = {"addition_embed_type": "text_time", "addition_time_embed_dim": 256}
        more |= {"projection_class_embeddings_input_dim": POOLED + SIZE_WIDTH, "use_linear_projection": True}
    theirs = UNet2DConditionModel(
        down_block_types=blocks_down,
        up_block_types=blocks_up,
        block_out_channels=config.channels,
        cross_attention_dim=config.context,
        transformer_layers_per_block=[max(depth, 1) for depth in config.depth],
        attention_head_dim=list(config.heads),
        **more,
    ).double()
    ours = UNet(config).double()
    ours.load_state_dict(theirs.state_dict(), strict=True)
    x = torch.randn(2, 4, 16, 24, dtype=torch.float64, requires_grad=True)
    context, timesteps = torch.randn(2, 7, config.context, dtype=torch.float64), torch.tensor([37, 801])
    added = {"text_embeds": torch.randn(2, POOLED, dtype=torch.float64), "time_ids": torch.randint(0, 1024, (2, 6))}
    results = []
    for network in (ours, theirs):
        y = network(x, timesteps, context, added_cond_kwargs=added).sample
        results.append((y, torch.autograd.grad(y.square().sum(), x)[0]))
    apart = [((a - b).norm() / b.norm()).item() for a, b in zip(*results)]
    print(f"{name}: output {apart[0]:.1e}, gradient {apart[1]:.1e} from diffusers'")
    # The cosines are in f32 in both.
    assert max(apart) < 1e-5, name


if __name__ == "__main__":
    torch.manual_seed(0)
    cross = "CrossAttnDownBlock2D"
    narrow = Config((32, 64, 96, 96), heads=(2, 2, 2, 2), context=24)
    compare(narrow, "SD1.5", (cross, cross, cross, "DownBlock2D"), ("UpBlock2D", *["CrossAttnUpBlock2D"] * 3))
    narrow = Config((32, 64, 96), (0, 2, 3), 3, (1, 2, 3), 24, True)
    compare(narrow, "SDXL", ("DownBlock2D", cross, cross), ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"))

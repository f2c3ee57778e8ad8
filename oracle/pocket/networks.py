"""SD1's CLIP text encoder, VAE and UNet in narrow widths, written so that `state_dict()` is the single-file layout.

The names and the order of operations are those of the original checkpoint; `check_layout` in pack.py holds them against
diffusers and transformers. Plain matrix products stand for attention: on a CPU, heads of 4 to 12 channels run three
times as fast that way as through PyTorch's fused attention.
"""

import torch
from torch import nn
from torch.nn import functional as F

HEADS = 8
# SD's 32 groups leave one channel a group at width 32, which takes its mean away: at the ends of the networks, whose
# last norm stands right before the output, that loses flat colours. Hence 64 there.
UNET_WIDTHS = (64, 64, 64, 64)
VAE_WIDTHS = (64, 32, 32, 64)
CONTEXT = 40
TEXT_LAYERS = 12
VOCABULARY = 49408
LATENT_SCALE = 0.18215


def norm(width, eps=1e-5):
    return nn.GroupNorm(32, width, eps=eps)


def attend(q, k, v, heads):
    """(B, N, C), (B, M, C), (B, M, C) -> (B, N, C)."""
    batch, places, width = q.shape
    size = width // heads

    def split(x):
        return x.reshape(batch, -1, heads, size).transpose(1, 2).reshape(batch * heads, -1, size)

    weights = torch.softmax(torch.bmm(split(q) * size**-0.5, split(k).transpose(1, 2)), -1)
    mixed = torch.bmm(weights, split(v))
    return mixed.reshape(batch, heads, places, size).transpose(1, 2).reshape(batch, places, width)


# ---- text encoder -------------------------------------------------------------------------------------------------


class TextAttention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.k_proj, self.v_proj, self.q_proj, self.out_proj = (nn.Linear(width, width) for _ in range(4))

    def forward(self, x):
        batch, places, width = x.shape

        def split(y):
            return y.reshape(batch, places, self.heads, -1).transpose(1, 2)

        q, k, v = split(self.q_proj(x)), split(self.k_proj(x)), split(self.v_proj(x))
        later = torch.full((places, places), float("-inf")).triu(1)
        weights = torch.softmax(q @ k.transpose(-1, -2) * (width // self.heads) ** -0.5 + later, -1)
        return self.out_proj((weights @ v).transpose(1, 2).reshape(batch, places, width))


class TextLayer(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.self_attn = TextAttention(width, heads)
        self.layer_norm1, self.layer_norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.mlp = nn.ModuleDict({"fc1": nn.Linear(width, 4 * width), "fc2": nn.Linear(4 * width, width)})

    def forward(self, x):
        x = x + self.self_attn(self.layer_norm1(x))
        h = self.mlp["fc1"](self.layer_norm2(x))
        return x + self.mlp["fc2"](h * torch.sigmoid(1.702 * h))


class Text(nn.Module):
    """Ids (B, 77) -> hidden states (B, 77, CONTEXT)."""

    def __init__(self):
        super().__init__()
        model = nn.Module()
        model.embeddings = nn.Module()
        model.embeddings.token_embedding = nn.Embedding(VOCABULARY, CONTEXT)
        model.embeddings.position_embedding = nn.Embedding(77, CONTEXT)
        model.encoder = nn.Module()
        model.encoder.layers = nn.ModuleList(TextLayer(CONTEXT, 2) for _ in range(TEXT_LAYERS))
        model.final_layer_norm = nn.LayerNorm(CONTEXT)
        self.text_model = model
        nn.init.normal_(model.embeddings.token_embedding.weight, std=0.2)
        nn.init.normal_(model.embeddings.position_embedding.weight, std=0.05)
        for layer in model.encoder.layers:  # Quiet at first, so that twelve untrained layers don't drown the words.
            for last in (layer.self_attn.out_proj, layer.mlp["fc2"]):
                nn.init.normal_(last.weight, std=0.02 / TEXT_LAYERS**0.5)
                nn.init.zeros_(last.bias)

    def forward(self, ids):
        m = self.text_model
        x = m.embeddings.token_embedding(ids) + m.embeddings.position_embedding.weight
        for layer in m.encoder.layers:
            x = layer(x)
        return m.final_layer_norm(x)


# ---- VAE ----------------------------------------------------------------------------------------------------------


class VaeBlock(nn.Module):
    def __init__(self, width, out):
        super().__init__()
        self.norm1, self.conv1 = norm(width, 1e-6), nn.Conv2d(width, out, 3, padding=1)
        self.norm2, self.conv2 = norm(out, 1e-6), nn.Conv2d(out, out, 3, padding=1)
        if width != out:
            self.nin_shortcut = nn.Conv2d(width, out, 1)

    def forward(self, x):
        h = self.conv1(F.silu(self.norm1(x)))
        h = self.conv2(F.silu(self.norm2(h)))
        return (self.nin_shortcut(x) if hasattr(self, "nin_shortcut") else x) + h


class VaeAttention(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.norm = norm(width, 1e-6)
        self.q, self.k, self.v, self.proj_out = (nn.Conv2d(width, width, 1) for _ in range(4))

    def forward(self, x):
        h = self.norm(x)
        q, k, v = (f(h).flatten(2).transpose(1, 2) for f in (self.q, self.k, self.v))
        return x + self.proj_out(attend(q, k, v, 1).transpose(1, 2).reshape(x.shape))


def vae_middle(width):
    middle = nn.Module()
    middle.block_1, middle.attn_1, middle.block_2 = VaeBlock(width, width), VaeAttention(width), VaeBlock(width, width)
    return middle


class Encoder(nn.Module):
    def __init__(self, widths):
        super().__init__()
        self.conv_in = nn.Conv2d(3, widths[0], 3, padding=1)
        self.down = nn.ModuleList()
        width = widths[0]
        for i, out in enumerate(widths):
            level = nn.Module()
            level.block = nn.ModuleList((VaeBlock(width, out), VaeBlock(out, out)))
            if i < 3:
                level.downsample = nn.ModuleDict({"conv": nn.Conv2d(out, out, 3, stride=2)})
            self.down.append(level)
            width = out
        self.mid = vae_middle(width)
        self.norm_out, self.conv_out = norm(width, 1e-6), nn.Conv2d(width, 8, 3, padding=1)

    def forward(self, x):
        x = self.conv_in(x)
        for level in self.down:
            for block in level.block:
                x = block(x)
            if hasattr(level, "downsample"):
                x = level.downsample["conv"](F.pad(x, (0, 1, 0, 1)))
        x = self.mid.block_2(self.mid.attn_1(self.mid.block_1(x)))
        return self.conv_out(F.silu(self.norm_out(x)))


class Decoder(nn.Module):
    def __init__(self, widths):
        super().__init__()
        width = widths[-1]
        self.conv_in = nn.Conv2d(4, width, 3, padding=1)
        self.mid = vae_middle(width)
        levels = []
        for i in reversed(range(4)):
            out = widths[i]
            level = nn.Module()
            level.block = nn.ModuleList((VaeBlock(width, out), VaeBlock(out, out), VaeBlock(out, out)))
            if i > 0:
                level.upsample = nn.ModuleDict({"conv": nn.Conv2d(out, out, 3, padding=1)})
            levels.insert(0, level)
            width = out
        self.up = nn.ModuleList(levels)
        self.norm_out, self.conv_out = norm(width, 1e-6), nn.Conv2d(width, 3, 3, padding=1)

    def forward(self, z):
        x = self.conv_in(z)
        x = self.mid.block_2(self.mid.attn_1(self.mid.block_1(x)))
        for level in reversed(self.up):
            for block in level.block:
                x = block(x)
            if hasattr(level, "upsample"):
                x = level.upsample["conv"](F.interpolate(x, scale_factor=2.0, mode="nearest"))
        return self.conv_out(F.silu(self.norm_out(x)))


class Vae(nn.Module):
    """Pixels (B, 3, H, W) in [-1, 1] <-> latents (B, 4, H/8, W/8), unscaled."""

    def __init__(self):
        super().__init__()
        self.encoder, self.decoder = Encoder(VAE_WIDTHS), Decoder(VAE_WIDTHS)
        self.quant_conv, self.post_quant_conv = nn.Conv2d(8, 8, 1), nn.Conv2d(4, 4, 1)

    def moments(self, x):
        mean, logvar = self.quant_conv(self.encoder(x)).chunk(2, 1)
        return mean, logvar.clamp(-30, 20)

    def decode(self, z):
        return self.decoder(self.post_quant_conv(z))

    def forward(self, x):
        mean, logvar = self.moments(x)
        z = mean + (0.5 * logvar).exp() * torch.randn_like(mean)
        return self.decode(z), mean, logvar


# ---- UNet ---------------------------------------------------------------------------------------------------------


class ResBlock(nn.Module):
    def __init__(self, width, out, time):
        super().__init__()
        self.in_layers = nn.Sequential(norm(width), nn.SiLU(), nn.Conv2d(width, out, 3, padding=1))
        self.emb_layers = nn.Sequential(nn.SiLU(), nn.Linear(time, out))
        self.out_layers = nn.Sequential(norm(out), nn.SiLU(), nn.Identity(), nn.Conv2d(out, out, 3, padding=1))
        self.skip_connection = nn.Identity() if width == out else nn.Conv2d(width, out, 1)
        nn.init.zeros_(self.out_layers[3].weight)

    def forward(self, x, time, _context):
        h = self.in_layers(x) + self.emb_layers(time)[:, :, None, None]
        return self.skip_connection(x) + self.out_layers(h)


class Attention(nn.Module):
    def __init__(self, width, context):
        super().__init__()
        self.to_q = nn.Linear(width, width, bias=False)
        self.to_k, self.to_v = nn.Linear(context, width, bias=False), nn.Linear(context, width, bias=False)
        self.to_out = nn.Sequential(nn.Linear(width, width), nn.Identity())

    def forward(self, x, context):
        return self.to_out(attend(self.to_q(x), self.to_k(context), self.to_v(context), HEADS))


class Geglu(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.proj = nn.Linear(width, 8 * width)

    def forward(self, x):
        value, gate = self.proj(x).chunk(2, -1)
        return value * F.gelu(gate)


class Transformer(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.attn1, self.attn2 = Attention(width, width), Attention(width, CONTEXT)
        self.ff = nn.ModuleDict({"net": nn.Sequential(Geglu(width), nn.Identity(), nn.Linear(4 * width, width))})
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(width) for _ in range(3))

    def forward(self, x, context):
        h = self.norm1(x)
        x = x + self.attn1(h, h)
        x = x + self.attn2(self.norm2(x), context)
        return x + self.ff["net"](self.norm3(x))


class SpatialTransformer(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.norm = norm(width, 1e-6)
        self.proj_in, self.proj_out = nn.Conv2d(width, width, 1), nn.Conv2d(width, width, 1)
        self.transformer_blocks = nn.ModuleList((Transformer(width),))
        nn.init.zeros_(self.proj_out.weight)

    def forward(self, x, _time, context):
        h = self.proj_in(self.norm(x)).flatten(2).transpose(1, 2)
        h = self.transformer_blocks[0](h, context)
        return x + self.proj_out(h.transpose(1, 2).reshape(x.shape))


class First(nn.Conv2d):
    def forward(self, x, _time, _context):
        return super().forward(x)


class Down(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.op = nn.Conv2d(width, width, 3, stride=2, padding=1)

    def forward(self, x, _time, _context):
        return self.op(x)


class Up(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x, _time, _context):
        return self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))


class Unet(nn.Module):
    """Noisy latents (B, 4, h, w), timesteps (B), context (B, 77, CONTEXT) -> predicted noise."""

    def __init__(self):
        super().__init__()
        base, time = UNET_WIDTHS[0], 4 * UNET_WIDTHS[0]
        self.time_embed = nn.Sequential(nn.Linear(base, time), nn.SiLU(), nn.Linear(time, time))
        self.input_blocks = nn.ModuleList((nn.ModuleList((First(4, base, 3, padding=1),)),))
        kept, width = [base], base
        for i, out in enumerate(UNET_WIDTHS):
            for _ in range(2):
                parts = [ResBlock(width, out, time)] + ([SpatialTransformer(out)] if i < 3 else [])
                self.input_blocks.append(nn.ModuleList(parts))
                kept.append(width := out)
            if i < 3:
                self.input_blocks.append(nn.ModuleList((Down(width),)))
                kept.append(width)
        self.middle_block = nn.ModuleList(
            (ResBlock(width, width, time), SpatialTransformer(width), ResBlock(width, width, time))
        )
        self.output_blocks = nn.ModuleList()
        for i in reversed(range(4)):
            for j in range(3):
                out = UNET_WIDTHS[i]
                parts = [ResBlock(width + kept.pop(), out, time)] + ([SpatialTransformer(out)] if i < 3 else [])
                width = out
                self.output_blocks.append(nn.ModuleList(parts + ([Up(width)] if i and j == 2 else [])))
        self.out = nn.Sequential(norm(base), nn.SiLU(), nn.Conv2d(base, 4, 3, padding=1))
        self.register_buffer("rates", torch.exp(torch.arange(base // 2) * (-9.210340371976184 / (base // 2))), False)

    def forward(self, x, timesteps, context):
        angles = timesteps[:, None].float() * self.rates
        time = self.time_embed(torch.cat([angles.cos(), angles.sin()], -1))
        skips = []
        for block in self.input_blocks:
            for part in block:
                x = part(x, time, context)
            skips.append(x)
        for part in self.middle_block:
            x = part(x, time, context)
        for block in self.output_blocks:
            x = torch.cat([x, skips.pop()], 1)
            for part in block:
                x = part(x, time, context)
        return self.out(x)

"""Pictures from the pocket model in PyTorch: DDIM, classifier-free guidance."""

import torch

import networks
import tokens
import train_unet

STEPS, SCALE = 30, 5.0


def load(path):
    """(text, unet, vae) from train_unet.py's file."""
    saved = torch.load(path)
    text, unet, vae = networks.Text(), networks.Unet(), networks.Vae()
    torch.nn.ModuleDict({"text": text, "unet": unet}).load_state_dict(saved["both"])
    vae.load_state_dict(saved["vae"])
    return text.eval(), unet.eval(), vae.eval()


@torch.no_grad()
def pictures(models, prompts, seed=0, negative=""):
    """[str] -> (N, 3, 128, 128) in [0, 1]. Picture i starts from noise of seed + i."""
    text, unet, vae = models
    table = train_unet.alphas_cumprod()
    steps = torch.arange(STEPS).flip(0) * (1000 // STEPS) + 1
    drawn = []
    for first in range(0, len(prompts), 16):
        part = prompts[first : first + 16]
        noise = [torch.randn(4, 16, 16, generator=torch.Generator().manual_seed(seed + first + i)) for i in range(len(part))]
        x = torch.stack(noise)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            context = torch.cat([text(tokens.ids([negative] * len(part))), text(tokens.ids(part))])
            for t in steps:
                both = unet(torch.cat([x, x]), t.expand(2 * len(part)), context).float()
                without, with_text = both.chunk(2)
                guess = without + SCALE * (with_text - without)
                a, before = table[t], table[t - 1000 // STEPS] if t > 1000 // STEPS else table[0]
                clean = (x - (1 - a).sqrt() * guess) / a.sqrt()
                x = before.sqrt() * clean + (1 - before).sqrt() * guess
            drawn.append(vae.decode(x / networks.LATENT_SCALE).float())
    return ((torch.cat(drawn) + 1) / 2).clamp(0, 1)

"""What `lorabake convert` writes, opened by diffusers and PEFT: folders of models, and LoRAs in diffusers' form.

Usage: python oracle/toolbox.py LORABAKE
For each tiny model of the repository: its folder opens with the weights of diffusers' own conversion, and a random
LoRA (one with convolutions and alphas that differ, one with DoRA's magnitudes) that diffusers loads in the form we
write changes the UNet's prediction as the same LoRA does that we merge into the model. Ends with an error if not;
writes nothing that stays.
"""

import pathlib
import subprocess
import sys
import tempfile

import torch
from diffusers import DiffusionPipeline, UNet2DConditionModel
from diffusers.loaders.single_file_utils import convert_ldm_unet_checkpoint, convert_ldm_vae_checkpoint
from safetensors.torch import load_file, save_file

TINY = pathlib.Path(__file__).resolve().parent.parent / "models" / "tiny"
# Paths of layers in diffusers' UNet, as kohya calls them for SD1 and SD2; SDXL's have those of the original.
LAYERS = {
    "mid_block_attentions_0_transformer_blocks_0_attn1_to_q": "mid_block.attentions.0.transformer_blocks.0.attn1.to_q",
    "mid_block_attentions_0_transformer_blocks_0_ff_net_2": "mid_block.attentions.0.transformer_blocks.0.ff.net.2",
    "mid_block_resnets_0_conv1": "mid_block.resnets.0.conv1",
    "mid_block_resnets_1_time_emb_proj": "mid_block.resnets.1.time_emb_proj",
}
TOLERANCE = 3e-4


def run(lorabake, *words):
    subprocess.run([lorabake, *map(str, words)], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def lora(unet, path, dora):
    """A LoRA in kohya's names, of another rank and alpha in each layer."""
    torch.manual_seed(0)
    tensors = {}
    for index, (name, layer) in enumerate(LAYERS.items()):
        weight = unet.get_submodule(layer).weight
        rank, (rows, columns, *kernel) = 2 + index, weight.shape
        key = f"lora_unet_{name}"
        tensors[f"{key}.lora_down.weight"] = 0.4 * torch.randn(rank, columns, *kernel)
        tensors[f"{key}.lora_up.weight"] = 0.4 * torch.randn(rows, rank, *(1 for _ in kernel))
        tensors[f"{key}.alpha"] = torch.tensor(1.0 + index)
        if dora:
            norms = weight.detach().float().reshape(rows, -1).norm(dim=1)
            magnitudes = norms * (1 + 0.2 * torch.rand(rows))
            tensors[f"{key}.dora_scale"] = magnitudes.reshape(rows, *(1 for _ in weight.shape[1:]))
    save_file(tensors, path, {"ss_network_module": "lycoris.kohya"})


def prediction(unet):
    torch.manual_seed(1)
    config = unet.config
    latents, context = torch.randn(1, config.in_channels, 16, 16), torch.randn(1, 77, config.cross_attention_dim)
    added = None
    if config.addition_embed_type == "text_time":
        width = config.projection_class_embeddings_input_dim - 6 * config.addition_time_embed_dim
        added = {"text_embeds": torch.randn(1, width), "time_ids": torch.tensor([[64.0, 64, 0, 0, 64, 64]])}
    with torch.no_grad():
        return unet(latents, torch.tensor([500]), context, added_cond_kwargs=added).sample


def check_weights(pipe, single):
    """The folder's networks are those of the file by diffusers' own conversion."""
    state = load_file(single)
    unet = convert_ldm_unet_checkpoint(dict(state), dict(pipe.unet.config))
    vae = convert_ldm_vae_checkpoint(dict(state), dict(pipe.vae.config))
    for name, theirs, ours in [("UNet", unet, pipe.unet.state_dict()), ("VAE", vae, pipe.vae.state_dict())]:
        assert theirs.keys() == ours.keys(), f"{name}: {sorted(theirs.keys() ^ ours.keys())[:5]}"
        for key, value in ours.items():
            assert torch.equal(theirs[key].float().reshape(value.shape), value), f"{name}: {key}"


def main():
    lorabake = pathlib.Path(sys.argv[1]).resolve()
    for family in ["sd15", "sd2", "sdxl"]:
        with tempfile.TemporaryDirectory() as folder:
            folder, single = pathlib.Path(folder), TINY / f"{family}_tiny.safetensors"
            run(lorabake, "convert", single, "--to", "diffusers", "--output", folder / "model")
            pipe = DiffusionPipeline.from_pretrained(folder / "model", torch_dtype=torch.float32)
            check_weights(pipe, single)
            base = prediction(pipe.unet)
            for dora in [False, True]:
                own, theirs, merged = (folder / f"{name}-{dora}.safetensors" for name in ["own", "theirs", "merged"])
                lora(pipe.unet, own, dora)
                known = {"sd15": "sd1"}.get(family, family)
                run(lorabake, "convert", own, "--family", known, "--to", "diffusers", "--output", theirs)
                run(lorabake, "merge", own, "--into", single, "--save_precision", "float", "--output", merged)
                run(lorabake, "convert", merged, "--to", "diffusers", "--output", folder / f"merged-{dora}")
                want = prediction(UNet2DConditionModel.from_pretrained(folder / f"merged-{dora}" / "unet")) - base
                pipe.load_lora_weights(theirs)
                got = prediction(pipe.unet) - base
                pipe.unload_lora_weights()
                apart = ((got - want).norm() / want.norm()).item()
                print(f"{family}, {'DoRA' if dora else 'LoRA'}: {apart:.1e} of the change apart")
                assert want.norm() > 1e-3 * base.norm() and apart < TOLERANCE


if __name__ == "__main__":
    main()

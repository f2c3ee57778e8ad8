"""Small LoRAs as diffusers and PEFT save them, and the same under kohya's names by diffusers' own conversion.

Usage: python oracle/peft_files.py        writes crates/weights/tests/golden/peft
diffusers.safetensors: `save_lora_weights`; kohya.safetensors: `convert_state_dict_to_kohya` of the same tensors;
adapter/: PEFT's `save_pretrained` of the UNet's with DoRA and an alpha of its own. Made with diffusers 0.32.1, peft 0.21.2.
"""

import json
import pathlib
import shutil

import torch
from diffusers import StableDiffusionPipeline
from diffusers.utils import convert_state_dict_to_diffusers
from diffusers.utils.state_dict_utils import convert_state_dict_to_kohya
from peft import LoraConfig, get_peft_model, get_peft_model_state_dict
from safetensors.torch import save_file

import diffusers_folder
import pack

OUT = diffusers_folder.ROOT / "crates/weights/tests/golden/peft"
LAYERS = r".*mid_block\.(attentions\.0\.(proj_in|transformer_blocks\.0\.attn2\.(to_k|to_out\.0))|resnets\.1\.conv2)"


def filled(state):
    return {name: pack.normal(name, tensor.shape) for name, tensor in state.items()}


def main():
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    parts = diffusers_folder.models()
    parts["unet"].add_adapter(LoraConfig(r=2, lora_alpha=2, target_modules=LAYERS))
    parts["text_encoder"].add_adapter(LoraConfig(r=3, lora_alpha=3, target_modules=["q_proj", "out_proj", "fc2"]))
    states = {part: filled(get_peft_model_state_dict(parts[part])) for part in ("unet", "text_encoder")}
    StableDiffusionPipeline.save_lora_weights(
        OUT,
        unet_lora_layers=convert_state_dict_to_diffusers(states["unet"]),
        text_encoder_lora_layers=convert_state_dict_to_diffusers(states["text_encoder"]),
        weight_name="diffusers.safetensors",
    )
    whole = {f"{part}.{name}": tensor for part, state in states.items() for name, tensor in state.items()}
    kohya = {name: tensor.float() for name, tensor in convert_state_dict_to_kohya(whole).items()}
    save_file(kohya, OUT / "kohya.safetensors")
    config = LoraConfig(r=2, lora_alpha=5, target_modules=LAYERS, use_dora=True, alpha_pattern={"conv2": 7})
    model = get_peft_model(diffusers_folder.models()["unet"], config)
    with torch.no_grad():
        for name, tensor in model.named_parameters():
            tensor.copy_(pack.normal(name, tensor.shape))
    model.save_pretrained(OUT / "adapter")
    (OUT / "adapter/README.md").unlink()
    path = OUT / "adapter/adapter_config.json"
    settings = json.loads(path.read_text())
    path.write_text(json.dumps({key: value for key, value in settings.items() if value not in (None, {}, [])}, indent=1) + "\n")
    for path in OUT.rglob("*"):
        if path.is_file():
            path.chmod(0o644)


if __name__ == "__main__":
    main()

"""Golden file of `inspect`: one small LoRA file of many kinds, and how large a change of the weights each module is.

    python oracle/change_golden.py      writes crates/weights/tests/golden/change

`adapters.safetensors` has modules of LyCORIS 4.1.3 filled with random numbers, under kohya's names. `norms.json` has for
each the Frobenius norm of the whole weight that LyCORIS makes of it, in f64; of DoRA that of the product before it is
decomposed. Modules with whole differences are made here.
"""

import json
import pathlib

import torch
from lycoris.modules.loha import LohaModule
from lycoris.modules.lokr import LokrModule
from lycoris.modules.locon import LoConModule
from safetensors.torch import save_file

OUT = pathlib.Path(__file__).resolve().parent.parent / "crates/weights/tests/golden/change"
LINEAR = lambda: torch.nn.Linear(12, 8)
CONV1 = lambda: torch.nn.Conv2d(6, 8, 1)
CONV3 = lambda: torch.nn.Conv2d(6, 8, 3, 1, 1)
CASES = {
    "lora_te_text_model_encoder_layers_0_mlp_fc1": (LoConModule, LINEAR, {}),
    "lora_te_text_model_encoder_layers_1_mlp_fc1": (LoConModule, LINEAR, {"weight_decompose": True}),
    "lora_unet_down_blocks_0_attentions_0_proj_in": (LoConModule, CONV1, {}),
    "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q": (LoConModule, LINEAR, {"lora_dim": 5, "alpha": 7}),
    "lora_unet_down_blocks_0_resnets_0_conv1": (LoConModule, CONV3, {}),
    "lora_unet_down_blocks_0_resnets_0_conv2": (LoConModule, CONV3, {"use_tucker": True}),
    "lora_unet_down_blocks_1_attentions_0_proj_in": (LohaModule, LINEAR, {}),
    "lora_unet_down_blocks_1_resnets_0_conv1": (LohaModule, CONV3, {}),
    "lora_unet_down_blocks_1_resnets_0_conv2": (LohaModule, CONV3, {"use_tucker": True}),
    "lora_unet_mid_block_attentions_0_proj_in": (LokrModule, LINEAR, {"lora_dim": 1}),
    "lora_unet_mid_block_attentions_0_proj_out": (LokrModule, LINEAR, {"lora_dim": 1, "factor": 4, "decompose_both": True}),
    "lora_unet_mid_block_resnets_0_conv1": (LokrModule, CONV3, {"lora_dim": 1}),
    "lora_unet_mid_block_resnets_0_conv2": (LokrModule, CONV3, {"lora_dim": 1, "use_tucker": True}),
    "lora_unet_mid_block_resnets_1_conv1": (LokrModule, CONV3, {"full_matrix": True}),
}


def main():
    tensors, norms = {}, {}
    for seed, (name, (kind, layer, settings)) in enumerate(CASES.items()):
        torch.manual_seed(seed)
        module = kind("m", layer(), **{"lora_dim": 2, "alpha": 1.0, "bypass_mode": False, **settings})
        with torch.no_grad():
            for value in module.parameters():
                value.copy_(torch.randn_like(value) * 0.5)
        # As saved, with the scale that it may hold as a tensor.
        for key, value in module.state_dict().items():
            tensors[f"{name}.{key}"] = value.detach().contiguous()
        module = module.double()
        if isinstance(module, LoConModule):
            change = module.make_weight().reshape(module.shape) * module.scale
        else:
            change = module.get_weight(module.shape)
        norms[name] = change.norm().item()
    for name, key in [("lora_unet_up_blocks_3_resnets_2_conv1", "diff"), ("lora_unet_up_blocks_3_resnets_2_norm1", "w_norm")]:
        tensors[f"{name}.{key}"] = torch.randn(8, 6, 3, 3) if key == "diff" else torch.randn(8)
        norms[name] = tensors[f"{name}.{key}"].double().norm().item()
    OUT.mkdir(exist_ok=True)
    save_file(tensors, OUT / "adapters.safetensors")
    (OUT / "norms.json").write_text(json.dumps(norms, indent=1) + "\n")
    for key, value in tensors.items():
        print(key, tuple(value.shape))


if __name__ == "__main__":
    main()

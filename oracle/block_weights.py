"""Writes what sd-scripts makes of the lists and curves of down_lr_weight, mid_lr_weight and up_lr_weight.

usage: python block_weights.py SD_SCRIPTS > crates/recipe/tests/recipe/block_weights.txt
SD_SCRIPTS is a checkout of kohya-ss/sd-scripts (48d368fa). Of its networks/lora.py only the functions in question are
run, so that nothing but Python's standard library is needed.
"""

import ast
import logging
import pathlib
import sys
import types
from typing import Dict, List, Optional, Union

# A list that is too long or too short crashes it unless both sides are given.
CASES = [
    "down_lr_weight=sine",
    "down_lr_weight=cosine+.25 mid_lr_weight=0.5 up_lr_weight=reverse_linear block_lr_zero_threshold=0.1",
    "down_lr_weight=linear+1e-1 up_lr_weight=zeros+0.3",
    "up_lr_weight=zeros",
    "mid_lr_weight=0.25",
    "mid_lr_weight=1,2,3",
    "down_lr_weight=1,,0.5,-1 up_lr_weight=0,0,0,0,1,1,1,1,2,2,2,2,3,3",
    "down_lr_weight=0.1,0.2,0.3,0.1,0.2,0.3,0.1,0.2,0.3,0.1,0.2,0.3 block_lr_zero_threshold=0.2",
]


def main(checkout):
    tree = ast.parse((pathlib.Path(checkout) / "networks/lora.py").read_text(encoding="utf-8"))
    wanted = ("parse_block_lr_kwargs", "get_block_lr_weight")
    tree.body = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name in wanted]
    lengths = {"NUM_OF_BLOCKS": 12, "NUM_OF_MID_BLOCKS": 1, "SDXL_NUM_OF_BLOCKS": 9, "SDXL_NUM_OF_MID_BLOCKS": 3}
    names = {"Dict": Dict, "List": List, "Optional": Optional, "Union": Union}
    names |= {"logger": logging.getLogger("lora"), "LoRANetwork": types.SimpleNamespace(**lengths)}
    exec(compile(tree, "lora.py", "exec"), names)
    logging.disable(logging.CRITICAL)
    for case in CASES:
        arguments = dict(pair.split("=") for pair in case.split())
        print(case)
        print("   ", *names["parse_block_lr_kwargs"](False, arguments))


main(*sys.argv[1:])

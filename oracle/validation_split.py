"""Which images sd-scripts holds out for validation.

Usage: python oracle/validation_split.py SD_SCRIPTS/library/train_util.py > crates/data/tests/golden/validation_split.txt
A line is the number of images, the share, the seed, then the places of the images that are held out, in their order.
Only the function itself is run; the file's imports are not needed.
"""

import ast
import logging
import math
import random
import sys
from typing import List, Optional, Tuple

names = {"List": List, "Optional": Optional, "Tuple": Tuple, "logging": logging, "math": math, "random": random}
tree = ast.parse(open(sys.argv[1], encoding="utf-8").read())
tree.body = [node for node in tree.body if getattr(node, "name", "") == "split_train_val"]
exec(compile(tree, sys.argv[1], "exec"), names)

for count in (1, 2, 5, 6, 10, 15, 30, 33, 100):
    for share in (0.1, 0.25, 0.3, 0.5, 0.7, 1.0):
        for seed in (0, 42, 4294967295):
            places = [str(place) for place in range(count)]
            held, _ = names["split_train_val"](places, [None] * count, False, share, seed)
            print(count, share, seed, *held)

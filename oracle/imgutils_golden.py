"""What dghs-imgutils makes of tags as text, beside which tests of `vision` hold ours.

Usage: python oracle/imgutils_golden.py IMGUTILS/imgutils/tagging/format.py > crates/vision/tests/golden/imgutils.json
The file is that of PyPI `dghs-imgutils` 0.19.0 (MIT); it is read by itself, so that nothing else of it is needed.
Scores differ, since equal ones are sorted by name there and by the tagger's list here; a tag `_` is not
among them, of which a space remains there and nothing here.
"""

import importlib.util
import json
import sys

TAGS = [
    "1girl", "solo", "long_hair", "very_long_hair", "red_boots", "saber_(fate)", "artoria_pendragon_(all)", "^_^",
    "o_o", ">_<", "||_||", "(o)_(o)", "<|>_<|>", "._.", "0_0", "u_u", "@_@", "x_x", "6_9", "=_=", "+_+", "+_-", "|_|",
    ">_o", "3_3", "a_b",
    "o_", "hatsune_miku_(append)", "don't_say_\"lazy\"", "back\\slash", "tail:3", "été_rouge", "7:00", "!?", "k-on!",
    "white_background", "yes", "!_!", "^^^",
]

spec = importlib.util.spec_from_file_location("format", sys.argv[1])
program = importlib.util.module_from_spec(spec)
spec.loader.exec_module(program)
scores = {tag: 0.99 - 0.0125 * (index * 17 % len(TAGS)) for index, tag in enumerate(TAGS)}
cases = []
for spaces in (False, True):
    for escape in (False, True):
        text = program.tags_to_text(scores, use_spaces=spaces, use_escape=escape)
        cases.append({"spaces": spaces, "escape": escape, "text": text})
print(json.dumps({"scores": scores, "cases": cases}, ensure_ascii=False, indent=1))

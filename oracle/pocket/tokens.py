"""Captions to ids as CLIP does it, remembering each tag: a booru caption is its tags' ids joined by commas."""

import functools
import pathlib
import sys

import torch

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import clip_bpe  # noqa: E402

START, END, COMMA, PLACES = 49406, 49407, 267, 77
TOKENIZER = clip_bpe.clip_tokenizer()


@functools.lru_cache(None)
def of_tag(tag):
    return TOKENIZER(tag, add_special_tokens=False)["input_ids"]


@functools.lru_cache(None)
def words():
    """Whole words of the vocabulary, in the order of their ids."""
    found = sorted((i, word) for word, i in TOKENIZER.get_vocab().items() if word.endswith("</w>"))
    plain = [word.removesuffix("</w>") for _, word in found]
    return [word for word in plain if word.isascii() and word.isalpha() and len(word) > 2]


def nonsense(rng):
    """One or two words drawn from the whole vocabulary."""
    return " ".join(rng.choice(words()) for _ in range(rng.randint(1, 2)))


def ids(captions):
    """[str] -> (B, 77) int64, padded with the end token."""
    rows = []
    for caption in captions:
        row = []
        for i, tag in enumerate(caption.split(", ") if caption else []):
            row += ([COMMA] if i else []) + of_tag(tag)
        row = [START, *row[: PLACES - 2], END]
        rows.append(row + [END] * (PLACES - len(row)))
    return torch.tensor(rows)

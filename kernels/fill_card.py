"""Takes a card's memory but for a few GB, and holds it until it is ended: how a program does on a smaller card.

Usage: python kernels/fill_card.py GB [--seconds 120]
Says `holding` once it has it. What the program's own context takes counts as taken.
"""

import argparse
import time

import torch


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("gb", type=float, help="GB that stay free")
    parser.add_argument("--seconds", type=float, default=120)
    args = parser.parse_args()
    torch.cuda.init()
    held = []
    piece = 256 << 20
    while torch.cuda.mem_get_info()[0] > args.gb * 1e9 + piece:
        held.append(torch.empty(piece, dtype=torch.uint8, device="cuda"))
    free, total = torch.cuda.mem_get_info()
    print(f"holding: {free / 1e9:.2f} GB of {total / 1e9:.2f} are free", flush=True)
    time.sleep(args.seconds)


if __name__ == "__main__":
    main()

"""Runs kernels in Triton's interpreter on numpy arrays, without torch and without a GPU.

In f16: `tl.dot` of bf16 is wrong in the interpreter of Triton 3.9.0, and the source is the same for both.
"""

import importlib
import os

os.environ["TRITON_INTERPRET"] = "1"

import numpy as np
import triton.runtime.interpreter

# It would copy torch's tensors to the processor and back; ours are there.
triton.runtime.interpreter.GridExecutor._init_args_hst = lambda self, args, kwargs: (list(args), kwargs)
triton.runtime.interpreter.GridExecutor._restore_args_dev = lambda self, *args: None

def wrong(case):
    """What is wrong with a case, in words; empty if nothing is."""
    name = f"{case.variant.name}, {case.sizes}"
    found = [f"{name}: {key} is changed where it must not be" for key, value in case.arguments.items()
             if hasattr(value, "changed_outside") and value.changed_outside()]
    for key, right in case.expected.items():
        apart = np.abs(case.arguments[key].numbers() - right)
        typical = np.sqrt(np.mean(right**2))
        # 16-bit numbers are rounded by 2^-11 of themselves, beside what sums of rounded numbers are off by.
        apart = np.where(np.isfinite(apart), apart, np.inf) / (typical + np.abs(right) / 8)
        if apart.max() > case.bound:
            at = tuple(int(index) for index in np.unravel_index(apart.argmax(), right.shape))
            got = case.arguments[key].numbers()[at]
            bad = int((apart > case.bound).sum())
            said = f"is {got:.5g}, right is {right[at]:.5g}; {bad} of {right.size} are wrong"
            found.append(f"{name}: {key}{list(at)} {said}")
    return found


def run(case):
    """Interprets one launch; returns what is wrong."""
    module = importlib.import_module(case.variant.file)
    with np.errstate(all="ignore"):
        getattr(module, case.variant.function)[case.grid](**case.arguments, **case.variant.constants)
    return wrong(case)


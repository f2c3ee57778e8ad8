"""Arrays for checking kernels: 16-bit numbers of either kind, in surroundings that show every access outside.

An array lies between two guards of NaN (8-bit weights: -128), and so does what an output holds before it is written. A
number read outside makes the result NaN; a number written outside changes a guard; one not written stays NaN.
"""

import numpy as np

# What stands around and in an array: NaN. That of outputs differs from that of inputs, for a NaN that was read may be
# written with all its bits.
POISON = {("f16", False): 0x7E5A, ("f16", True): 0xFE33, ("bf16", False): 0x7FDA, ("bf16", True): 0xFFE3}
POISON_F32 = {False: 0x7FC05A5A, True: 0xFFC03333}


def to_bits(values, half):
    """Rounded to the nearest 16-bit number, as its bits."""
    if half == "f16":
        return np.asarray(values, np.float16).view(np.uint16)
    bits = np.asarray(values, np.float32).view(np.uint32).astype(np.uint64)
    return ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype(np.uint16)


def from_bits(bits, half):
    """16-bit numbers as f64."""
    if half == "f16":
        return bits.view(np.float16).astype(np.float64)
    return (bits.astype(np.uint32) << 16).view(np.float32).astype(np.float64)


class Buffer:
    """What a kernel gets for a pointer. `kind`: half, f32 or i8; values None: an output of that shape."""

    def __init__(self, kind, values=None, shape=None, half="f16"):
        self.kind, self.half, self.is_output = kind, half, values is None
        self.shape = tuple(shape if values is None else np.shape(values))
        size = int(np.prod(self.shape))
        # Wide enough for the rows of a tile, and a multiple of 64, so that pointers stay aligned on a card.
        self.guard = (256 * self.shape[-1] if len(self.shape) > 1 else 0) + 4096
        stored = {"half": np.uint16, "f32": np.float32, "i8": np.int8}[kind]
        self.raw = np.full(size + 2 * self.guard, -128 if kind == "i8" else 0, stored)
        if kind == "half":
            self.raw[:] = POISON[half, self.is_output]
        elif kind == "f32":
            self.raw.view(np.uint32)[:] = POISON_F32[self.is_output]
        self.data = self.raw[self.guard : self.guard + size]
        if values is not None:
            self.data[:] = (to_bits(values, half) if kind == "half" else np.asarray(values, stored)).reshape(-1)
        self.before = self.raw.tobytes()

    def set(self, values):
        """Other values for an input."""
        self.data[:] = (to_bits(values, self.half) if self.kind == "half" else values).reshape(-1)
        self.before = self.raw.tobytes()

    def numbers(self):
        """What it holds, in f64: what the kernel reads, after rounding."""
        found = from_bits(self.data, self.half) if self.kind == "half" else self.data.astype(np.float64)
        return found.reshape(self.shape)

    def changed_outside(self):
        """Whether a guard, or an input, is other than it was."""
        if not self.is_output:
            return self.raw.tobytes() != self.before
        before = np.frombuffer(self.before, self.raw.dtype)
        end = self.guard + self.data.size
        same_front = self.raw[: self.guard].tobytes() == before[: self.guard].tobytes()
        return not (same_front and self.raw[end:].tobytes() == before[end:].tobytes())

    # What Triton's interpreter asks of an argument.
    @property
    def dtype(self):
        return {"half": "float16" if self.half == "f16" else "bfloat16", "f32": "float32", "i8": "int8"}[self.kind]

    def data_ptr(self):
        return self.data.ctypes.data

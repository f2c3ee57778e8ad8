//! In what a device computes: 16-bit floats where weights are held in less than 32 bits and the device has them.

use burn::backend::DispatchDevice;
use burn::tensor::{DType, Device, FloatDType, Tensor};

/// Whether this is the processor, with kernels of our own.
pub fn is_host(device: &Device) -> bool {
    match device.as_dispatch() {
        DispatchDevice::Flex(_) => true,
        DispatchDevice::Autodiff(device) => matches!(device.clone().inner(), DispatchDevice::Flex(_)),
        #[allow(unreachable_patterns)]
        _ => false,
    }
}

/// The 16-bit floats in which the device computes: bf16, whose range is that of f32, rather than f16.
pub fn half_of(device: &Device) -> Option<FloatDType> {
    [FloatDType::BF16, FloatDType::F16].into_iter().find(|half| device.supports_dtype(*half))
}

/// Whether the device multiplies small matrices in one instruction (tensor cores and the like).
pub fn multiplies_matrices(device: &Device) -> bool {
    #[cfg(feature = "cube")]
    if let DispatchDevice::Cube(cube) = device.as_dispatch() {
        let client = cube.client();
        let matmul = &client.properties().features.matmul;
        return !matmul.cmma.is_empty() || !matmul.mma.is_empty();
    }
    let _ = device;
    false
}

/// A weight as convolutions multiply it: as it is held where they sum in f32, else widened for this once.
///
/// Burn has two kinds of kernels. Those for matrix instructions sum in f32; builds that try kernels out have them. The
/// plain one sums in the numbers' own type: by a simulation on normal numbers, sums of 2880 products, as the outermost
/// 3×3 convolutions of SD1.5 have them, are off by 6 % in bf16 (f16: 0.8 %), of 11520 by 12 % (1.5 %).
pub(crate) fn for_convolution(weight: Tensor<2>) -> Tensor<2> {
    let tried_out = cfg!(any(feature = "vulkan", feature = "metal", feature = "cuda", feature = "rocm"));
    if tried_out && multiplies_matrices(&weight.device()) { weight } else { weight.cast(FloatDType::F32) }
}

/// A function of `x` computed in the precision of its other operand; the result is f32 again.
pub(crate) fn in_precision_of<const D: usize, const E: usize>(
    dtype: DType,
    x: Tensor<D>,
    of: impl FnOnce(Tensor<D>) -> Tensor<E>,
) -> Tensor<E> {
    if dtype == DType::F32 { of(x) } else { of(x.cast(dtype)).cast(FloatDType::F32) }
}

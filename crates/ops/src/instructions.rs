//! Which vector instructions the kernels use on this processor.

/// Name of the vector instructions that the kernels use, for people.
#[cfg(target_arch = "x86_64")]
pub fn instructions() -> &'static str {
    if crate::bf16::available() {
        "AVX-512 with BF16: --mixed_precision=bf16 is fastest"
    } else if is_x86_feature_detected!("avx512f") {
        "AVX-512"
    } else if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
        "AVX2"
    } else {
        "SSE2: slow"
    }
}

/// Name of the vector instructions that the kernels use, for people.
#[cfg(target_arch = "aarch64")]
pub fn instructions() -> &'static str {
    "NEON"
}

/// Name of the vector instructions that the kernels use, for people.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
pub fn instructions() -> &'static str {
    "portable: slow"
}

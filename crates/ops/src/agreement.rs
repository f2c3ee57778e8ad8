//! What the tests of two paths share: numbers that both take exactly, and the distance of results.

use half::bf16;
pub(crate) use lorabake_testkit::relative_error;

/// Numbers that bf16 holds, from a hash, evenly between −1.7 and 1.7.
pub(crate) fn numbers(count: usize, salt: u64) -> Vec<f32> {
    let hash =
        |i: u64| (i + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(salt.wrapping_mul(0xd1b5_4a32_d192_ed03));
    let mix = |x: u64| (x ^ (x >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 40;
    (0..count as u64).map(|i| bf16::from_f32((mix(hash(i)) as f32 / 16_777_216.0 - 0.5) * 3.4).to_f32()).collect()
}

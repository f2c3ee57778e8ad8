//! 8-bit floats with 4 bits of exponent and 3 of mantissa, without infinities: torch's `float8_e4m3fn`.

use half::bf16;

/// Bits of f32's mantissa that are dropped.
const DROPPED: u32 = 20;
/// The byte of the largest number, 448.
const LARGEST: u8 = 0x7e;
const NAN: u8 = 0x7f;
/// From here on up exponents are spelled out; below, numbers are multiples of 2⁻⁹.
const SMALLEST_NORMAL: f32 = 1.0 / 64.0;

/// The nearest number, of two equally near the even one. Beyond 448 it is 448, where torch makes it NaN.
pub(crate) fn rounded(value: f32) -> u8 {
    let (size, sign) = (value.abs(), if value.is_sign_negative() { 0x80 } else { 0 });
    let byte = if size.is_nan() {
        NAN
    } else if size < SMALLEST_NORMAL {
        (size * 512.0).round_ties_even() as u8
    } else {
        let bits = size.min(1e3).to_bits();
        let half = (1 << (DROPPED - 1)) - 1 + (bits >> DROPPED & 1);
        // The exponent's bias is 7, and f32's is 127.
        (((bits + half) >> DROPPED) - (120 << 3)).min(u32::from(LARGEST)) as u8
    };
    byte | sign
}

/// The same number in bf16.
pub(crate) fn widened(byte: u8) -> bf16 {
    WIDE[usize::from(byte)]
}

const WIDE: [bf16; 256] = {
    let mut table = [bf16::NAN; 256];
    let mut byte = 0;
    while byte < 256 {
        let (sign, size) = ((byte as u16 & 0x80) << 8, byte as u16 & 0x7f);
        if size < NAN as u16 {
            let bits = if size >= 8 {
                (size << 4) + (120 << 7)
            } else if size == 0 {
                0
            } else {
                // size · 2⁻⁹ with the leading one taken off.
                let top = 15 - size.leading_zeros() as u16;
                ((127 - 9 + top) << 7) | ((size << (7 - top)) & 0x7f)
            };
            table[byte] = bf16::from_bits(sign | bits);
        }
        byte += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    /// By the definition: sign, exponent and mantissa.
    fn value(byte: u8) -> f32 {
        let (exponent, mantissa) = (i32::from(byte >> 3 & 15), f32::from(byte & 7));
        let size = if exponent == 0 { mantissa / 512.0 } else { (8.0 + mantissa) * 2f32.powi(exponent - 10) };
        if byte & 0x80 == 0 { size } else { -size }
    }

    #[test]
    fn every_number_is_kept() {
        for byte in (0..=255).filter(|byte| byte & 0x7f != NAN) {
            assert_eq!(widened(byte).to_f32(), value(byte), "{byte:#x}");
            assert_eq!(rounded(value(byte)), byte, "{byte:#x}");
        }
        assert!(widened(NAN).is_nan() && widened(rounded(f32::NAN)).is_nan());
    }

    #[test]
    fn what_lies_between_goes_to_the_nearest() {
        for byte in 0..LARGEST {
            let (low, high) = (value(byte), value(byte + 1));
            let middle = (low + high) / 2.0;
            let even = byte + (byte & 1);
            let cases =
                [(middle, even), (middle.next_down(), byte), (middle.next_up(), byte + 1), (-middle, even | 0x80)];
            for (number, expected) in cases {
                assert_eq!(rounded(number), expected, "{number} between {low} and {high}");
            }
        }
        assert_eq!([449.0, 1e9, f32::INFINITY, -1e9].map(rounded), [LARGEST, LARGEST, LARGEST, LARGEST | 0x80]);
    }
}

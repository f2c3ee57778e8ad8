//! Floats of 8 bits.

/// An 8-bit float of 4 bits exponent and 3 bits mantissa, without infinities (torch's `float8_e4m3fn`).
pub(super) fn f8_e4m3(byte: u8) -> f32 {
    let exponent = i32::from(byte >> 3 & 15);
    let mantissa = f32::from(byte & 7) / 8.0;
    let size = match (exponent, byte & 7) {
        (15, 7) => f32::NAN,
        (0, _) => mantissa * 2f32.powi(-6),
        _ => (1.0 + mantissa) * 2f32.powi(exponent - 7),
    };
    if byte & 0x80 == 0 { size } else { -size }
}

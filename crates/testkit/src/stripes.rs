//! A picture that is made by a formula, as `oracle/pictures_golden.py` makes it.

/// Red, green and blue of every pixel of a picture of stripes, row by row.
pub fn stripes(width: u32, height: u32) -> Vec<u8> {
    let mut data = Vec::new();
    for y in 0..height {
        for x in 0..width {
            for channel in 0..3 {
                data.push(((x * (3 + channel) + y * (5 + 2 * channel) + x * y / (7 + channel)) % 256) as u8);
            }
        }
    }
    data
}

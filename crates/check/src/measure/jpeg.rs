//! How strongly a JPEG file was compressed, by its quantisation table.
//!
//! The table for luma is compared with that of the Independent JPEG Group at every quality (ITU T.81, table K.1,
//! scaled as libjpeg does); the nearest is told. Programs with tables of their own are a few points off.

/// Table K.1 in the order of the file (zigzag).
const LUMA: [u16; 64] = [
    16, 11, 12, 14, 12, 10, 16, 14, 13, 14, 18, 17, 16, 19, 24, 40, 26, 24, 22, 22, 24, 49, 35, 37, 29, 40, 58, 51, 61,
    60, 57, 51, 56, 55, 64, 72, 92, 78, 64, 68, 87, 69, 55, 56, 80, 109, 81, 87, 95, 98, 103, 104, 103, 62, 77, 113,
    121, 112, 100, 120, 92, 101, 103, 99,
];

/// The quality, 1 to 100, of a JPEG file; `None` for other files and without a table.
pub fn quality(bytes: &[u8]) -> Option<u8> {
    let table = luma_table(bytes)?;
    (1..=100_u8).rev().min_by_key(|quality| distance(&table, *quality))
}

fn distance(table: &[u16; 64], quality: u8) -> u64 {
    let quality = u32::from(quality);
    let scale = if quality < 50 { 5000 / quality } else { 200 - 2 * quality };
    let mut sum = 0;
    for (own, standard) in table.iter().zip(LUMA) {
        let scaled = ((u32::from(standard) * scale + 50) / 100).clamp(1, 255);
        sum += u64::from(u32::from(*own).abs_diff(scaled));
    }
    sum
}

/// Table 0 of the file's first segment of tables.
fn luma_table(bytes: &[u8]) -> Option<[u16; 64]> {
    const TABLES: u8 = 0xdb;
    const SCAN: u8 = 0xda;
    if !bytes.starts_with(&[0xff, 0xd8]) {
        return None;
    }
    let mut at = 2;
    loop {
        let [0xff, marker, high, low] = *bytes.get(at..at + 4)? else { return None };
        let length = usize::from(u16::from_be_bytes([high, low]));
        if marker == SCAN || length < 2 {
            return None;
        }
        let segment = bytes.get(at + 4..at + 2 + length)?;
        if marker == TABLES
            && let Some(table) = table_zero(segment)
        {
            return Some(table);
        }
        at += 2 + length;
    }
}

fn table_zero(mut segment: &[u8]) -> Option<[u16; 64]> {
    while let [head, rest @ ..] = segment {
        let is_wide = head >> 4 == 1;
        let length = if is_wide { 128 } else { 64 };
        let values = rest.get(..length)?;
        if head & 15 == 0 {
            let mut table = [0; 64];
            for (index, value) in table.iter_mut().enumerate() {
                *value = match is_wide {
                    true => u16::from_be_bytes([values[2 * index], values[2 * index + 1]]),
                    false => u16::from(values[index]),
                };
            }
            return Some(table);
        }
        segment = &rest[length..];
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file that has nothing but a table.
    fn file(quality: u32) -> Vec<u8> {
        let scale = if quality < 50 { 5000 / quality } else { 200 - 2 * quality };
        let mut bytes = vec![0xff, 0xd8, 0xff, 0xe0, 0, 4, 1, 1, 0xff, 0xdb, 0, 67, 0];
        bytes.extend(LUMA.map(|value| ((u32::from(value) * scale + 50) / 100).clamp(1, 255) as u8));
        bytes
    }

    #[test]
    fn the_quality_is_that_of_the_table() {
        for wanted in [5, 30, 60, 75, 90, 95, 100] {
            assert_eq!(quality(&file(wanted)), Some(wanted as u8));
        }
    }

    #[test]
    fn what_is_cut_off_or_something_else_has_none() {
        let whole = file(50);
        for end in 0..whole.len() {
            assert_eq!(quality(&whole[..end]), None, "{end}");
        }
        assert_eq!(quality(b"\x89PNG\r\n\x1a\n"), None);
    }
}

//! OpenCV's `INTER_AREA`.
//!
//! Written here, and not taken from a library, because pixel equality is the point: the weights, the order of sums, the
//! number format and the rounding are those of OpenCV (`modules/imgproc/src/resize.cpp`).

use super::resize::growing_area;
use crate::image::Image;
use crate::size::Size;

/// An image whose pixels are the means over their areas of the source; where a side grows, what OpenCV does instead.
pub fn area<const C: usize>(source: &Image<C>, size: Size) -> Image<C> {
    if source.size() == size {
        return source.clone();
    }
    if size.0 > source.width || size.1 > source.height {
        return growing_area(source, size);
    }
    let x_scale = area_scale(source.width, size.0);
    let y_scale = area_scale(source.height, size.1);
    if is_whole(x_scale) && is_whole(y_scale) {
        let block = Block { width: x_scale.round() as usize, height: y_scale.round() as usize };
        return block_means(source, &block, size);
    }
    let columns = overlaps(source.width, size.0, x_scale);
    let rows = overlaps(source.height, size.1, y_scale);
    fractional(source, &columns, &rows, size)
}

/// Source pixels per target pixel, by OpenCV's two divisions.
fn area_scale(from: u32, to: u32) -> f64 {
    1.0 / (f64::from(to) / f64::from(from))
}

fn is_whole(scale: f64) -> bool {
    (scale - scale.round()).abs() < f64::EPSILON
}

/// The source pixels of one target pixel, where they are a whole number along each side.
struct Block {
    width: usize,
    height: usize,
}

/// Area mean over whole blocks: integer sums, one rounding.
fn block_means<const C: usize>(source: &Image<C>, block: &Block, size: Size) -> Image<C> {
    let stride = source.width as usize * C;
    let share = 1.0 / (block.width * block.height) as f32;
    let mut data = Vec::with_capacity(size.0 as usize * size.1 as usize * C);
    for y in 0..size.1 as usize {
        let rows = &source.data[y * block.height * stride..][..block.height * stride];
        for x in 0..size.0 as usize {
            for channel in 0..C {
                let mut sum = 0;
                for row in rows.chunks_exact(stride) {
                    for column in x * block.width..(x + 1) * block.width {
                        sum += u32::from(row[column * C + channel]);
                    }
                }
                // OpenCV has a path of its own for 2 × 2, where one half rounds up instead of to even.
                let is_two_by_two = block.width == 2 && block.height == 2;
                data.push(if is_two_by_two { ((sum + 2) >> 2) as u8 } else { to_u8(sum as f32 * share) });
            }
        }
    }
    Image { width: size.0, height: size.1, data }
}

/// A source position that contributes to a target position.
struct Overlap {
    target: usize,
    source: usize,
    weight: f32,
}

/// Which source pixels a target pixel covers along one side, and how much of each; ordered by target.
fn overlaps(from: u32, to: u32, scale: f64) -> Vec<Overlap> {
    const NEGLIGIBLE: f64 = 1e-3;
    let from = f64::from(from);
    let mut overlaps = Vec::new();
    for target in 0..to as usize {
        let begin = target as f64 * scale;
        let end = begin + scale;
        let covered = scale.min(from - begin);
        let last = end.floor().min(from - 1.0);
        let first = begin.ceil().min(last);
        if first - begin > NEGLIGIBLE {
            let weight = ((first - begin) / covered) as f32;
            overlaps.push(Overlap { target, source: (first - 1.0) as usize, weight });
        }
        for source in first as usize..last as usize {
            overlaps.push(Overlap { target, source, weight: (1.0 / covered) as f32 });
        }
        if end - last > NEGLIGIBLE {
            let weight = ((end - last).min(1.0).min(covered) / covered) as f32;
            overlaps.push(Overlap { target, source: last as usize, weight });
        }
    }
    overlaps
}

/// Area mean with fractional borders: rows are shrunk first, then summed down, all in f32.
fn fractional<const C: usize>(source: &Image<C>, columns: &[Overlap], rows: &[Overlap], size: Size) -> Image<C> {
    let stride = source.width as usize * C;
    let length = size.0 as usize * C;
    let mut data = Vec::with_capacity(length * size.1 as usize);
    let mut line = vec![0f32; length];
    let mut sums = vec![0f32; length];
    for (i, row) in rows.iter().enumerate() {
        line.fill(0.0);
        let pixels = &source.data[row.source * stride..][..stride];
        for column in columns {
            let target = &mut line[column.target * C..][..C];
            let pixel = &pixels[column.source * C..][..C];
            for (sum, value) in target.iter_mut().zip(pixel) {
                *sum += f32::from(*value) * column.weight;
            }
        }
        let begins = i == 0 || rows[i - 1].target != row.target;
        for (sum, value) in sums.iter_mut().zip(&line) {
            *sum = if begins { row.weight * value } else { *sum + row.weight * value };
        }
        if rows.get(i + 1).is_none_or(|next| next.target != row.target) {
            data.extend(sums.iter().map(|sum| to_u8(*sum)));
        }
    }
    Image { width: size.0, height: size.1, data }
}

/// One half goes to the even neighbour, as the processor rounds.
fn to_u8(value: f32) -> u8 {
    value.round_ties_even() as u8
}

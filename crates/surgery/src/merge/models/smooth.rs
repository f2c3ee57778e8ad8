//! Smoothing of differences as supermerger does it, with scipy's `median_filter(size=3)` and `gaussian_filter(sigma=1)` over
//! all axes, edges mirrored.

/// Weights of a Gaussian of σ 1 as far as four σ.
const RADIUS: usize = 4;

/// A tensor, smoothed.
pub fn smoothed(values: Vec<f32>, shape: &[usize]) -> Vec<f32> {
    if shape.is_empty() || values.is_empty() {
        return values;
    }
    gaussian(median(&values, shape), shape)
}

/// A place beyond the edge is that of its mirror image, the edge's own number twice.
fn mirrored(place: isize, length: usize) -> usize {
    let length = length as isize;
    let turned = place.rem_euclid(2 * length);
    (if turned < length { turned } else { 2 * length - 1 - turned }) as usize
}

/// The median of every number and its neighbours along all axes.
fn median(values: &[f32], shape: &[usize]) -> Vec<f32> {
    let mut strides = vec![1; shape.len()];
    for axis in (0..shape.len().saturating_sub(1)).rev() {
        strides[axis] = strides[axis + 1] * shape[axis + 1];
    }
    let mut medians = Vec::with_capacity(values.len());
    let mut window = Vec::new();
    for index in 0..values.len() {
        let mut places = vec![0];
        for (axis, length) in shape.iter().enumerate() {
            let place = (index / strides[axis] % length) as isize;
            let near = [-1, 0, 1].map(|step| mirrored(place + step, *length) * strides[axis]);
            places = places.iter().flat_map(|at| near.map(|step| at + step)).collect();
        }
        window.clear();
        window.extend(places.iter().map(|place| values[*place]));
        let middle = window.len() / 2;
        medians.push(*window.select_nth_unstable_by(middle, f32::total_cmp).1);
    }
    medians
}

/// A Gaussian along each axis.
fn gaussian(mut values: Vec<f32>, shape: &[usize]) -> Vec<f32> {
    let weights: Vec<f64> = (0..=RADIUS).map(|step| (-0.5 * (step * step) as f64).exp()).collect();
    let sum: f64 = weights[0] + 2.0 * weights[1..].iter().sum::<f64>();
    for axis in 0..shape.len() {
        let length = shape[axis];
        let inner: usize = shape[axis + 1..].iter().product();
        let before = values.clone();
        for (index, value) in values.iter_mut().enumerate() {
            let place = index / inner % length;
            let start = index - place * inner;
            let mut total = 0.0;
            for step in -(RADIUS as isize)..=RADIUS as isize {
                let near = mirrored(place as isize + step, length);
                total += weights[step.unsigned_abs()] / sum * f64::from(before[start + near * inner]);
            }
            *value = total as f32;
        }
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By scipy 1.13: `gaussian_filter(median_filter(x, 3), 1)`.
    #[test]
    fn numbers_are_scipys() {
        let values = vec![1.0, 5.0, 2.0, 8.0, 3.0];
        assert_eq!(median(&values, &[5]), [1.0, 2.0, 5.0, 3.0, 3.0]);
        let constant = smoothed(vec![2.5; 24], &[2, 3, 4]);
        assert!(constant.iter().all(|value| (value - 2.5).abs() < 1e-6), "{constant:?}");
        assert_eq!([-1, 0, 4, 5, 9, 10].map(|place| mirrored(place, 5)), [0, 0, 4, 4, 0, 0]);
    }
}

//! Numbers at equal distances, bit for bit as `torch.linspace` gives them: each from the nearer end.

/// `count` numbers from `first` to `last`.
pub(crate) fn linspace(first: f32, last: f32, count: usize) -> Vec<f32> {
    if count < 2 {
        return vec![first; count];
    }
    let step = (last - first) / (count - 1) as f32;
    let mut numbers = Vec::with_capacity(count);
    for index in 0..count {
        numbers.push(if index < count / 2 {
            step.mul_add(index as f32, first)
        } else {
            (-step).mul_add((count - 1 - index) as f32, last)
        });
    }
    numbers
}

/// The same in f64.
pub(crate) fn linspace_f64(first: f64, last: f64, count: usize) -> Vec<f64> {
    if count < 2 {
        return vec![first; count];
    }
    let step = (last - first) / (count - 1) as f64;
    let mut numbers = Vec::with_capacity(count);
    for index in 0..count {
        numbers.push(if index < count / 2 {
            step.mul_add(index as f64, first)
        } else {
            (-step).mul_add((count - 1 - index) as f64, last)
        });
    }
    numbers
}

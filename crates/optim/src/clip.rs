//! Gradient clipping by the norm of all gradients together, as torch.nn.utils.clip_grad_norm_ does it.
//! Not here: clipping by value, and the norm limits of kohya's `scale_weight_norms`.

/// L2 norm of all gradients together, accumulated in f64. Absent gradients count as zero.
pub fn total_norm<'a>(grads: impl IntoIterator<Item = &'a [f32]>) -> f64 {
    let squares: f64 = grads.into_iter().flatten().map(|&g| f64::from(g) * f64::from(g)).sum();
    squares.sqrt()
}

/// Scales all gradients by `max_norm / (norm + 1e-6)` if that is below 1. Returns the norm from before.
///
/// `max_norm` 0 means no clipping, as sd-scripts reads `--max_grad_norm 0`. A norm that is not finite is returned, and
/// then nothing is scaled: a step with such gradients is for the caller to refuse.
pub fn clip_grad_norm(grads: &mut [Option<Vec<f32>>], max_norm: f64) -> f64 {
    let norm = total_norm(grads.iter().flatten().map(Vec::as_slice));
    let scale = max_norm / (norm + 1e-6);
    if max_norm > 0.0 && norm.is_finite() && scale < 1.0 {
        let scale = scale as f32;
        grads.iter_mut().flatten().flatten().for_each(|g| *g *= scale);
    }
    norm
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_norm_that_is_not_finite_scales_nothing() {
        let mut grads = [Some(vec![f32::INFINITY, 1.0])];
        assert_eq!(clip_grad_norm(&mut grads, 1.0), f64::INFINITY);
        assert_eq!(grads[0].as_deref(), Some([f32::INFINITY, 1.0].as_slice()));
    }

    #[test]
    fn zero_means_no_clipping_and_squares_do_not_overflow() {
        let mut grads = [None, Some(vec![3e30, 4e30])];
        let norm = clip_grad_norm(&mut grads, 0.0);
        assert!((norm / 5e30 - 1.0).abs() < 1e-6, "{norm}");
        assert_eq!(grads[1].as_deref(), Some([3e30, 4e30].as_slice()));
    }
}

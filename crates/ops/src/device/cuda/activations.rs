//! GEGLU, GELU and QuickGELU, both ways: plans for `kernels/activations.py`, and the operations.

use super::array::{Array, Buffer};
use super::card::Card;
use super::launch::{Call, Launch};
use super::launcher::Launcher;
use super::padding::{NotServed, whole_width};

/// A function of single numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Curve {
    /// x · Φ(x), the exact GELU.
    Gelu,
    /// x · sigmoid(1.702 x)
    QuickGelu,
}

impl Curve {
    fn kernel(self, rest: &str) -> String {
        let name = match self {
            Curve::Gelu => "gelu",
            Curve::QuickGelu => "quick_gelu",
        };
        format!("{name}{rest}")
    }
}

/// Plans GEGLU: x [.., 2·n] → y [.., n].
///
/// # Errors
/// If n is no multiple of 16.
pub fn geglu<H: Clone>(card: &Card, x: &Buffer<H>, y: &Buffer<H>) -> Result<Launch<H>, NotServed> {
    let n = y.width();
    whole_width(n)?;
    assert!(x.width() == 2 * n && x.rows() == y.rows(), "extents of GEGLU");
    let kernel = card.only("geglu");
    let grid = [x.rows(), n.div_ceil(kernel.side("B")), 1];
    Call::over(kernel, grid).pointer("x", x).pointer("y", y).int("n", n).planned()
}

/// Plans the gradient of [`geglu`]: x [.., 2·n], dy [.., n] → dx [.., 2·n].
///
/// # Errors
/// If n is no multiple of 16.
pub fn geglu_dx<H: Clone>(card: &Card, x: &Buffer<H>, dy: &Buffer<H>, dx: &Buffer<H>) -> Result<Launch<H>, NotServed> {
    let n = dy.width();
    whole_width(n)?;
    assert!(x.width() == 2 * n && x.rows() == dy.rows() && x.array == dx.array, "extents of GEGLU");
    let kernel = card.only("geglu_dx");
    let grid = [x.rows(), n.div_ceil(kernel.side("B")), 1];
    Call::over(kernel, grid).pointer("x", x).pointer("dy", dy).pointer("dx", dx).int("n", n).planned()
}

/// Plans a function of each number of x.
///
/// # Errors
/// If there are more than the kernel counts.
pub fn curve<H: Clone>(card: &Card, curve: Curve, x: &Buffer<H>, y: &Buffer<H>) -> Result<Launch<H>, NotServed> {
    assert!(x.array == y.array, "extents of an activation");
    let count = x.array.numbers();
    let kernel = card.only(&curve.kernel(""));
    let grid = [count.div_ceil(kernel.side("B")), 1, 1];
    Call::over(kernel, grid).pointer("x", x).pointer("y", y).int("count", count).planned()
}

/// Plans the gradient of [`curve`].
///
/// # Errors
/// If there are more numbers than the kernel counts.
pub fn curve_dx<H: Clone>(
    card: &Card,
    curve: Curve,
    x: &Buffer<H>,
    dy: &Buffer<H>,
    dx: &Buffer<H>,
) -> Result<Launch<H>, NotServed> {
    assert!(x.array == dy.array && x.array == dx.array, "extents of an activation");
    let count = x.array.numbers();
    let kernel = card.only(&curve.kernel("_dx"));
    let grid = [count.div_ceil(kernel.side("B")), 1, 1];
    Call::over(kernel, grid).pointer("x", x).pointer("dy", dy).pointer("dx", dx).int("count", count).planned()
}

/// GEGLU of x [.., 2·n] → [.., n].
///
/// # Errors
/// If n is no multiple of 16.
pub fn gated<L: Launcher>(on: &mut L, x: &Buffer<L::Handle>) -> Result<Buffer<L::Handle>, NotServed> {
    let y = on.empty(Array::half(&x.with_width(x.width() / 2)));
    let launch = geglu(&on.card(), x, &y)?;
    on.launch(launch);
    Ok(y)
}

/// The gradient of [`gated`] to its input x [.., 2·n]; dy [.., n].
///
/// # Errors
/// If n is no multiple of 16.
pub fn gated_backward<L: Launcher>(
    on: &mut L,
    x: &Buffer<L::Handle>,
    dy: &Buffer<L::Handle>,
) -> Result<Buffer<L::Handle>, NotServed> {
    let dx = on.empty(x.array.clone());
    let launch = geglu_dx(&on.card(), x, dy, &dx)?;
    on.launch(launch);
    Ok(dx)
}

/// A function of each number of x.
///
/// # Errors
/// If there are more than the kernel counts.
pub fn curved<L: Launcher>(on: &mut L, which: Curve, x: &Buffer<L::Handle>) -> Result<Buffer<L::Handle>, NotServed> {
    let y = on.empty(x.array.clone());
    let launch = curve(&on.card(), which, x, &y)?;
    on.launch(launch);
    Ok(y)
}

/// The gradient of [`curved`] to its input.
///
/// # Errors
/// If there are more numbers than the kernel counts.
pub fn curved_backward<L: Launcher>(
    on: &mut L,
    which: Curve,
    x: &Buffer<L::Handle>,
    dy: &Buffer<L::Handle>,
) -> Result<Buffer<L::Handle>, NotServed> {
    let dx = on.empty(x.array.clone());
    let launch = curve_dx(&on.card(), which, x, dy, &dx)?;
    on.launch(launch);
    Ok(dx)
}

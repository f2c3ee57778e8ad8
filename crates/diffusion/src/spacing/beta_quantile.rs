//! The quantile of a beta distribution, by halving; the regularized incomplete beta function by its continued fraction.

/// The two parameters of a beta distribution, both above 0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BetaShape {
    /// α, which draws levels away from the smallest.
    pub alpha: f64,
    /// β, which draws levels away from the largest.
    pub beta: f64,
}

/// The value below which a share `probability` of the distribution lies.
pub(super) fn beta_quantile(probability: f64, shape: BetaShape) -> f64 {
    if probability <= 0.0 {
        return 0.0;
    }
    if probability >= 1.0 {
        return 1.0;
    }
    let mut low = 0.0;
    let mut high = 1.0;
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        if cumulative(middle, shape) < probability {
            low = middle;
        } else {
            high = middle;
        }
    }
    0.5 * (low + high)
}

/// The share of the distribution below `x`.
fn cumulative(x: f64, shape: BetaShape) -> f64 {
    let BetaShape { alpha, beta } = shape;
    let log_front = alpha * x.ln() + beta * (-x).ln_1p() + ln_gamma(alpha + beta) - ln_gamma(alpha) - ln_gamma(beta);
    let front = log_front.exp();
    if x < (alpha + 1.0) / (alpha + beta + 2.0) {
        front * fraction(x, alpha, beta) / alpha
    } else {
        1.0 - front * fraction(1.0 - x, beta, alpha) / beta
    }
}

/// The continued fraction of the incomplete beta function, by Lentz's method.
fn fraction(x: f64, a: f64, b: f64) -> f64 {
    let tiny = 1e-300;
    let not_zero = |value: f64| if value.abs() < tiny { tiny } else { value };
    let mut c = 1.0;
    let mut d = 1.0 / not_zero(1.0 - (a + b) * x / (a + 1.0));
    let mut sum = d;
    for index in 1..500 {
        let m = f64::from(index);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        d = 1.0 / not_zero(1.0 + even * d);
        c = not_zero(1.0 + even / c);
        sum *= d * c;
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        d = 1.0 / not_zero(1.0 + odd * d);
        c = not_zero(1.0 + odd / c);
        sum *= d * c;
        if (d * c - 1.0).abs() < 1e-15 {
            break;
        }
    }
    sum
}

/// ln Γ(x) for x > 0, by Stirling's series after shifting x above 15.
fn ln_gamma(x: f64) -> f64 {
    let mut shift = 0.0;
    let mut x = x;
    while x < 15.0 {
        shift += x.ln();
        x += 1.0;
    }
    let inverse = 1.0 / x;
    let square = inverse * inverse;
    let series = inverse * (1.0 / 12.0 - square * (1.0 / 360.0 - square * (1.0 / 1260.0 - square / 1680.0)));
    (x - 0.5) * x.ln() - x + 0.5 * std::f64::consts::TAU.ln() + series - shift
}

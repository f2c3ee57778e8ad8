//! Singular values of a change, exactly, by routes that never do more work than the result has: a product of two thin
//! matrices through their QR forms, a whole matrix through the eigenvalues of its smaller Gram matrix. All in f64.

use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatRef, Par, Side};

use crate::kind::Factors;
use crate::matrix::Matrix;

/// Columns that are in f64 at a time.
const PIECE: usize = 2048;

/// A matrix as u · diag(s) · v, the largest singular values first.
#[derive(Debug, Clone, PartialEq)]
pub struct Spectrum {
    /// (rows, count), orthonormal columns.
    pub u: Matrix,
    /// The singular values.
    pub s: Vec<f64>,
    /// (count, columns), orthonormal rows where the singular value is not 0.
    pub v: Matrix,
}

impl Spectrum {
    /// That of scale · up·down.
    ///
    /// # Errors
    /// When it does not converge.
    pub fn of_product(factors: &Factors) -> Result<Self, String> {
        let up = wide(&factors.up).qr();
        let down = wide(&factors.down.transposed()).qr();
        let core = up.thin_R() * down.thin_R().transpose() * faer::Scale(factors.scale);
        let svd = core.thin_svd().map_err(|_| NOT_CONVERGED.to_string())?;
        let u = up.compute_thin_Q() * svd.U();
        let v = svd.V().transpose() * down.compute_thin_Q().transpose();
        let s = svd.S().column_vector().iter().copied().collect();
        Ok(Self { u: narrow(u.as_ref()), s, v: narrow(v.as_ref()) })
    }

    /// That of a matrix; `count` of its singular vectors are computed, of the values all.
    ///
    /// # Errors
    /// When it does not converge.
    pub fn of_matrix(matrix: &Matrix, count: usize) -> Result<Self, String> {
        if matrix.rows > matrix.columns {
            let Self { u, s, v } = Self::of_matrix(&matrix.transposed(), count)?;
            return Ok(Self { u: v.transposed(), s, v: u.transposed() });
        }
        let rows = matrix.rows;
        let mut gram = Mat::<f64>::zeros(rows, rows);
        for piece in pieces(matrix.columns) {
            let part = columns(matrix, piece);
            matmul(gram.as_mut(), Accum::Add, part.as_ref(), part.as_ref().transpose(), 1.0, Par::Seq);
        }
        let eigen = gram.self_adjoint_eigen(Side::Lower).map_err(|_| NOT_CONVERGED.to_string())?;
        let values: Vec<f64> = eigen.S().column_vector().iter().copied().collect();
        // They come in rising order.
        let s: Vec<f64> = values.iter().rev().map(|value| value.max(0.0).sqrt()).collect();
        let count = count.min(rows);
        let u = Mat::from_fn(rows, count, |row, column| eigen.U()[(row, rows - 1 - column)]);
        let mut v = Matrix::zeros(count, matrix.columns);
        for piece in pieces(matrix.columns) {
            let part = columns(matrix, piece.clone());
            let mut product = Mat::<f64>::zeros(count, piece.len());
            matmul(product.as_mut(), Accum::Replace, u.as_ref().transpose(), part.as_ref(), 1.0, Par::Seq);
            for row in 0..count {
                let inverse = if s[row] > 0.0 { 1.0 / s[row] } else { 0.0 };
                for column in 0..piece.len() {
                    v.values[row * matrix.columns + piece.start + column] = (product[(row, column)] * inverse) as f32;
                }
            }
        }
        Ok(Self { u: narrow(u.as_ref()), s, v })
    }

    /// The best approximation of rank `rank`; ranks beyond what the matrix has are zeros. The singular values are in up, as
    /// other tools have them, but for a power of two near their root, which keeps both factors in the range of f16 and changes
    /// no rounding.
    pub fn factors(&self, rank: usize) -> Factors {
        let mut up = Matrix::zeros(self.u.rows, rank);
        let mut down = Matrix::zeros(rank, self.v.columns);
        for place in 0..rank.min(self.u.columns) {
            let value = self.s[place];
            if value <= 0.0 {
                continue;
            }
            let power = value.sqrt().log2().round().exp2();
            let (in_up, in_down) = ((value / power) as f32, power as f32);
            for row in 0..up.rows {
                up.values[row * rank + place] = self.u.values[row * self.u.columns + place] * in_up;
            }
            let to = &mut down.values[place * self.v.columns..(place + 1) * self.v.columns];
            to.iter_mut().zip(self.v.row(place)).for_each(|(to, value)| *to = value * in_down);
        }
        Factors { up, down, scale: 1.0 }
    }

    /// sd-scripts' factors of a rank: entries of up (with the singular values) and of down beyond a quantile of all of them,
    /// signs and all, are cut. Rows of down whose singular value is 0 are any of unit length there, and count.
    pub fn clamped(&self, rank: usize, quantile: f64) -> Factors {
        let known = rank.min(self.u.columns);
        let mut up = Matrix::zeros(self.u.rows, rank);
        for row in 0..up.rows {
            for place in 0..known {
                up.values[row * rank + place] = self.u.values[row * self.u.columns + place] * self.s[place] as f32;
            }
        }
        let columns = self.v.columns;
        let mut down = Matrix::new(rank, columns, any_unit_rows(rank, columns));
        for place in 0..known {
            if self.s[place] > 1e-6 * self.s[0] {
                down.values[place * columns..(place + 1) * columns].copy_from_slice(self.v.row(place));
            }
        }
        let mut all: Vec<f32> = up.values.iter().chain(&down.values).copied().collect();
        all.sort_unstable_by(f32::total_cmp);
        let place = (all.len() - 1) as f64 * quantile;
        let below = all[place.floor() as usize];
        let above = all[place.ceil() as usize];
        let limit = below + (above - below) * place.fract() as f32;
        for value in up.values.iter_mut().chain(&mut down.values) {
            // As torch's `clamp`: where the limits cross, which small quantiles make them, all become the upper one.
            *value = value.max(-limit).min(limit);
        }
        Factors { up, down, scale: 1.0 }
    }

    /// The sum of squares of the singular values behind the first `rank`: the square of the error of that rank.
    pub fn lost(&self, rank: usize) -> f64 {
        self.s.iter().skip(rank).map(|value| value * value).sum()
    }

    /// The sum of squares of all.
    pub fn energy(&self) -> f64 {
        self.lost(0)
    }
}

/// Rows of unit length without a direction.
fn any_unit_rows(rows: usize, columns: usize) -> Vec<f32> {
    let mut values = Vec::with_capacity(rows * columns);
    for row in 0..rows {
        // Sums of a few uniform numbers are nearly normal.
        let mut state = row as u64 + 1;
        let mut draw = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1 << 24) as f32 - 0.5
        };
        let own: Vec<f32> = (0..columns).map(|_| (0..6).map(|_| draw()).sum()).collect();
        let length = crate::matrix::norm(&own).max(1e-30) as f32;
        values.extend(own.iter().map(|value| value / length));
    }
    values
}

const NOT_CONVERGED: &str = "its singular values cannot be found";

/// Ranges of columns that are looked at together.
fn pieces(columns: usize) -> impl Iterator<Item = std::ops::Range<usize>> {
    (0..columns).step_by(PIECE).map(move |start| start..(start + PIECE).min(columns))
}

/// Some columns of a matrix in f64.
fn columns(matrix: &Matrix, range: std::ops::Range<usize>) -> Mat<f64> {
    Mat::from_fn(matrix.rows, range.len(), |row, column| {
        f64::from(matrix.values[row * matrix.columns + range.start + column])
    })
}

fn wide(matrix: &Matrix) -> Mat<f64> {
    columns(matrix, 0..matrix.columns)
}

fn narrow(matrix: MatRef<'_, f64>) -> Matrix {
    let mut values = Vec::with_capacity(matrix.nrows() * matrix.ncols());
    for row in 0..matrix.nrows() {
        values.extend((0..matrix.ncols()).map(|column| matrix[(row, column)] as f32));
    }
    Matrix::new(matrix.nrows(), matrix.ncols(), values)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(rows: usize, columns: usize, mut state: u64) -> Matrix {
        let mut values = Vec::new();
        for _ in 0..rows * columns {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            values.push((state >> 40) as f32 / (1 << 24) as f32 - 0.5);
        }
        Matrix::new(rows, columns, values)
    }

    #[test]
    fn both_routes_agree_and_give_the_matrix_back() {
        for (rows, columns, rank) in [(20, 50, 6), (50, 20, 6), (8, 9, 12)] {
            let factors = Factors { up: noise(rows, rank, 1), down: noise(rank, columns, 2), scale: -0.7 };
            let whole = factors.whole();
            let side = rows.min(columns);
            let by_qr = Spectrum::of_product(&factors).unwrap();
            let by_gram = Spectrum::of_matrix(&whole, side).unwrap();
            for (one, other) in by_qr.s.iter().zip(&by_gram.s) {
                assert!((one - other).abs() < 1e-6 * by_qr.s[0], "{one} {other}");
            }
            for spectrum in [&by_qr, &by_gram] {
                let mut rest = spectrum.factors(rank).whole();
                rest.add(-1.0, &whole);
                assert!(rest.norm() < 2e-6 * whole.norm(), "{}", rest.norm());
            }
        }
    }

    /// Eckart and Young: the error of the best rank is the root of what is left out.
    #[test]
    fn the_error_of_a_rank_is_what_is_left_out() {
        let whole = noise(30, 40, 3);
        let spectrum = Spectrum::of_matrix(&whole, 30).unwrap();
        for rank in [0, 1, 7, 30] {
            let mut rest = spectrum.factors(rank).whole();
            rest.add(-1.0, &whole);
            assert!((rest.norm() - spectrum.lost(rank).sqrt()).abs() < 1e-5 * whole.norm());
        }
        assert!((spectrum.energy().sqrt() - whole.norm()).abs() < 1e-5);
    }
}

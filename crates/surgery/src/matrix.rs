//! Matrices of f32, row-major, and what is computed with them. A tensor of more axes counts as a matrix whose columns are
//! all axes behind the first.

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use lorabake_weights::lora::ModuleTensor;

/// A matrix.
#[derive(Debug, Clone, PartialEq)]
pub struct Matrix {
    /// Number of rows.
    pub rows: usize,
    /// Number of columns.
    pub columns: usize,
    /// The values, row by row.
    pub values: Vec<f32>,
}

impl Matrix {
    /// A matrix of these values.
    ///
    /// # Panics
    /// If there are more or fewer values than rows times columns.
    pub fn new(rows: usize, columns: usize, values: Vec<f32>) -> Self {
        assert_eq!(values.len(), rows * columns);
        Self { rows, columns, values }
    }

    /// A matrix of zeros.
    pub fn zeros(rows: usize, columns: usize) -> Self {
        Self { rows, columns, values: vec![0.0; rows * columns] }
    }

    /// A tensor as a matrix; one without axes has one row and column.
    pub fn of(tensor: &ModuleTensor) -> Self {
        let rows = tensor.shape.first().copied().unwrap_or(1);
        let columns = tensor.values.len().checked_div(rows).unwrap_or(0);
        Self { rows, columns, values: tensor.values.clone() }
    }

    /// One row.
    pub fn row(&self, row: usize) -> &[f32] {
        &self.values[row * self.columns..(row + 1) * self.columns]
    }

    /// The product with another matrix, on this thread alone.
    ///
    /// # Panics
    /// If the other has not as many rows as this one has columns.
    pub fn times(&self, other: &Self) -> Self {
        assert_eq!(self.columns, other.rows);
        let mut product = Self::zeros(self.rows, other.columns);
        if self.columns > 0 {
            matmul(product.as_mut(), Accum::Replace, self.as_ref(), other.as_ref(), 1.0, Par::Seq);
        }
        product
    }

    /// Adds `factor` times the product of two matrices to these values, row-major, on this thread alone.
    ///
    /// # Panics
    /// If the sizes do not fit together.
    pub fn add_product(values: &mut [f32], factor: f64, left: &Self, right: &Self) {
        assert_eq!((left.columns, left.rows * right.columns), (right.rows, values.len()));
        if left.columns > 0 {
            let values = MatMut::from_row_major_slice_mut(values, left.rows, right.columns);
            matmul(values, Accum::Add, left.as_ref(), right.as_ref(), factor as f32, Par::Seq);
        }
    }

    /// Rows and columns changed.
    pub fn transposed(&self) -> Self {
        let mut values = Vec::with_capacity(self.values.len());
        for column in 0..self.columns {
            for row in 0..self.rows {
                values.push(self.values[row * self.columns + column]);
            }
        }
        Self { rows: self.columns, columns: self.rows, values }
    }

    /// All values times a factor.
    pub fn scaled(mut self, factor: f64) -> Self {
        let factor = factor as f32;
        self.values.iter_mut().for_each(|value| *value *= factor);
        self
    }

    /// Adds `factor` times another matrix of this size.
    ///
    /// # Panics
    /// If it is of another size.
    pub fn add(&mut self, factor: f64, other: &Self) {
        assert_eq!((self.rows, self.columns), (other.rows, other.columns));
        let factor = factor as f32;
        for (value, more) in self.values.iter_mut().zip(&other.values) {
            *value += factor * more;
        }
    }

    /// The Frobenius norm.
    pub fn norm(&self) -> f64 {
        norm(&self.values)
    }

    /// The first rows.
    pub fn first_rows(&self, rows: usize) -> Self {
        Self::new(rows, self.columns, self.values[..rows * self.columns].to_vec())
    }

    /// The first columns.
    pub fn first_columns(&self, columns: usize) -> Self {
        let mut values = Vec::with_capacity(self.rows * columns);
        for row in 0..self.rows {
            values.extend_from_slice(&self.row(row)[..columns]);
        }
        Self::new(self.rows, columns, values)
    }

    /// For the functions of `faer`.
    pub(crate) fn as_ref(&self) -> MatRef<'_, f32> {
        MatRef::from_row_major_slice(&self.values, self.rows, self.columns)
    }

    fn as_mut(&mut self) -> MatMut<'_, f32> {
        MatMut::from_row_major_slice_mut(&mut self.values, self.rows, self.columns)
    }
}

/// The root of the sum of squares.
pub fn norm(values: &[f32]) -> f64 {
    values.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt()
}

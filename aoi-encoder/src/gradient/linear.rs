//! A linear layer.

use std::ops::Range;

use super::Scalar;
use super::product::{Matrix, Start};
use super::scalar::vectorised;
use crate::{Precision, Table};

/// `y = x W^T + b`, its tensors found in a flat array.
#[derive(Debug, Clone)]
pub(crate) struct Linear {
    weight: Range<usize>,
    /// Empty where there is none.
    bias: Range<usize>,
    inputs: usize,
    outputs: usize,
    precision: Precision,
}

impl Linear {
    /// The layer whose tensors are `name.weight` \[out, in ..\] and, where the table has it, `name.bias`.
    ///
    /// # Panics
    /// When the table has no such weight: a bug of the caller inside this crate.
    pub(crate) fn new(table: &Table, name: &str) -> Self {
        let weight = table.get(&format!("{name}.weight")).expect("the table was made for this network");
        let bias = table.get(&format!("{name}.bias")).map_or(0..0, crate::Tensor::range);
        let outputs = weight.shape[0];
        Self {
            weight: weight.range(),
            bias,
            inputs: weight.len() / outputs,
            outputs,
            precision: Precision::F32,
        }
    }

    /// Makes its products of such numbers.
    pub(crate) fn set_precision(&mut self, precision: Precision) {
        self.precision = precision;
    }

    /// Number of inputs.
    pub(crate) fn inputs(&self) -> usize {
        self.inputs
    }

    /// Number of outputs.
    pub(crate) fn outputs(&self) -> usize {
        self.outputs
    }

    /// # Shapes
    /// `x` \[n, in\] -> `y` \[n, out\].
    pub(crate) fn forward<T: Scalar>(&self, p: &[T], x: &[T], y: &mut [T]) {
        let bias = &p[self.bias.clone()];
        let start = if bias.is_empty() { Start::Zero } else { Start::Bias(bias) };
        let w = Matrix::new(&p[self.weight.clone()], self.inputs);
        T::product(self.precision, (y, self.outputs), start, Matrix::new(x, self.inputs).times(w.t()));
    }

    /// From `y_no = sum_i x_ni W_oi + b_o` follow, with `dy` for the gradient of `y`:
    /// `dx_ni = sum_o dy_no W_oi`, `dW_oi += sum_n dy_no x_ni`, `db_o += sum_n dy_no`.
    ///
    /// # Shapes
    /// `x` \[n, in\], `dy` \[n, out\] -> `dx` \[n, in\] where it is wanted, replaced.
    pub(crate) fn backward<T: Scalar>(&self, p: &[T], g: &mut [T], x: &[T], dy: &[T], dx: Option<&mut [T]>) {
        let dy_rows = Matrix::new(dy, self.outputs);
        let dw = &mut g[self.weight.clone()];
        T::product(
            self.precision,
            (dw, self.inputs),
            Start::Target,
            dy_rows.t().times(Matrix::new(x, self.inputs)),
        );
        if !self.bias.is_empty() {
            let db = &mut g[self.bias.clone()];
            vectorised(
                #[inline(always)]
                || {
                    for row in dy.chunks_exact(db.len()) {
                        db.iter_mut().zip(row).for_each(|(db, &dy)| *db += dy);
                    }
                },
            );
        }
        if let Some(dx) = dx {
            let w = Matrix::new(&p[self.weight.clone()], self.inputs);
            T::product(self.precision, (dx, self.inputs), Start::Zero, dy_rows.times(w));
        }
    }
}

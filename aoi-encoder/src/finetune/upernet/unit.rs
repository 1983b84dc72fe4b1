//! What the head is built of: a convolution, a batch norm, a rectifier.

use super::batch_norm::{BatchNorm, Moments};
use super::convolution::{Convolution, ConvolutionScratch};
use crate::gradient::{Scalar, fit};
use crate::{Grid, Precision, Result, Role, Table};

/// `max(0, norm(convolution(x)))`.
#[derive(Debug, Clone)]
pub(super) struct Unit {
    convolution: Convolution,
    norm: BatchNorm,
}

/// What the backward of one unit needs besides its input.
#[derive(Debug, Default)]
pub(super) struct UnitTape<T> {
    /// Behind the convolution, \[n, c\].
    raw: Vec<T>,
    /// The output, \[n, c\].
    pub(super) y: Vec<T>,
    /// The statistics used.
    pub(super) moments: Moments,
}

impl Unit {
    /// Adds the tensors of a unit called `name`: `name.conv.weight` \[out, side, side, in\], `name.norm.weight` and `name.norm.bias` \[out\].
    ///
    /// # Errors
    /// [`crate::Error::Config`] when the parameters cannot be counted.
    pub(super) fn push(
        table: &mut Table,
        name: &str,
        side: usize,
        (inputs, outputs): (usize, usize),
    ) -> Result<()> {
        let shape = [outputs, side, side, inputs];
        table.push(None, Role::Matrix, &format!("{name}.conv.weight"), &shape)?;
        table.push(None, Role::Norm, &format!("{name}.norm.weight"), &[outputs])?;
        table.push(None, Role::Bias, &format!("{name}.norm.bias"), &[outputs])
    }

    /// The unit that [`Unit::push`] added.
    pub(super) fn new(table: &Table, name: &str) -> Self {
        Self {
            convolution: Convolution::new(table, &format!("{name}.conv")),
            norm: BatchNorm::new(table, &format!("{name}.norm")),
        }
    }

    /// Makes its products of such numbers.
    pub(super) fn set_precision(&mut self, precision: Precision) {
        self.convolution.set_precision(precision);
    }

    /// # Shapes
    /// `x` \[b * t, in\] on `grid` -> `tape.y` \[b * t, out\].
    pub(super) fn forward<T: Scalar>(
        &self,
        p: &[T],
        (x, grid): (&[T], Grid),
        given: Option<&Moments>,
        tape: &mut UnitTape<T>,
        scratch: &mut ConvolutionScratch<T>,
    ) {
        let columns = self.convolution.outputs();
        let n = x.len() / self.convolution.inputs() * columns;
        let (raw, y) = (fit(&mut tape.raw, n), fit(&mut tape.y, n));
        self.convolution.forward(p, (x, grid), raw, scratch);
        tape.moments = self.norm.forward(p, raw, given, y);
    }

    /// Back through norm and convolution.
    ///
    /// # Shapes
    /// `x` \[b * t, in\]; `dy` \[b * t, out\] is used up; `dx` \[b * t, in\], where it is wanted, is added to.
    pub(super) fn backward<T: Scalar>(
        &self,
        (p, g): (&[T], &mut [T]),
        (x, grid): (&[T], Grid),
        (tape, dy): (&UnitTape<T>, &mut [T]),
        dx: Option<&mut [T]>,
        scratch: &mut ConvolutionScratch<T>,
    ) {
        self.norm.backward((p, &mut *g), (&tape.raw, &tape.y, &tape.moments), dy);
        self.convolution.backward((p, g), (x, grid), dy, dx, scratch);
    }
}

//! The numbers that networks are trained in.

use std::fmt::Debug;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Div, Mul, MulAssign, Neg, Sub};

use crate::gradient::product::Product;
use crate::kernel::{self, Instructions};
use crate::reference;

/// f32, in which training runs, or f64, in which gradients are checked; nothing else implements it.
///
/// `exp` and `erf` of f32 are the forward path's, within 3e-7; those of f64 are accurate to about 1e-15.
pub trait Scalar:
    Product
    + Copy
    + Default
    + Debug
    + PartialOrd
    + Send
    + Sync
    + 'static
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
    + AddAssign
    + MulAssign
    + Sum
{
    /// Rounds to this type.
    fn of(value: f64) -> Self;
    /// Exactly the same number.
    fn to_f64(self) -> f64;
    /// The square root.
    #[must_use]
    fn sqrt(self) -> Self;
    /// The exponential.
    #[must_use]
    fn exp(self) -> Self;
    /// The error function.
    #[must_use]
    fn erf(self) -> Self;
}

#[expect(clippy::inline_always, reason = "inlined into row loops compiled for the processor's vectors")]
impl Scalar for f32 {
    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "rounding is the point")]
    fn of(value: f64) -> Self {
        value as Self
    }

    #[inline(always)]
    fn to_f64(self) -> f64 {
        self.into()
    }

    #[inline(always)]
    fn sqrt(self) -> Self {
        self.sqrt()
    }

    #[inline(always)]
    fn exp(self) -> Self {
        kernel::exp::<false, 8>(self)
    }

    #[inline(always)]
    fn erf(self) -> Self {
        kernel::erf::<false>(self)
    }
}

impl Scalar for f64 {
    fn of(value: f64) -> Self {
        value
    }

    fn to_f64(self) -> f64 {
        self
    }

    fn sqrt(self) -> Self {
        self.sqrt()
    }

    fn exp(self) -> Self {
        self.exp()
    }

    fn erf(self) -> Self {
        reference::erf(self)
    }
}

/// Runs row loops compiled for the best vectors of the processor. They use no fused multiply-add, so the vectors do not change a bit.
#[inline(always)]
#[expect(
    clippy::inline_always,
    reason = "`work` must land in the function that has the instructions enabled"
)]
pub(crate) fn vectorised<R>(work: impl FnOnce() -> R) -> R {
    kernel::with(Instructions::best(), work)
}

/// Lanes that a sum over a row is kept in.
const LANES: usize = 16;

/// The sum of `f(x, y)` over two rows, in sixteen lanes and then across them.
#[inline(always)]
#[expect(clippy::inline_always, reason = "as `vectorised`")]
pub(crate) fn lane_sum<T: Scalar>(x: &[T], y: &[T], f: impl Fn(T, T) -> T) -> T {
    let mut lanes = [T::default(); LANES];
    let ((xs, x), (ys, y)) = (x.as_chunks::<LANES>(), y.as_chunks::<LANES>());
    for (x, y) in xs.iter().zip(ys) {
        for (lane, (&x, &y)) in lanes.iter_mut().zip(x.iter().zip(y)) {
            *lane += f(x, y);
        }
    }
    for (lane, (&x, &y)) in lanes.iter_mut().zip(x.iter().zip(y)) {
        *lane += f(x, y);
    }
    lanes.into_iter().sum()
}

/// Makes `buffer` exactly `len` long, keeping its memory, and hands it out; what it held is left in place.
pub(crate) fn fit<T: Scalar>(buffer: &mut Vec<T>, len: usize) -> &mut [T] {
    buffer.resize(len, T::default());
    buffer
}

//! Matrix products and row functions in f32, for the best instruction set the processor has.
//!
//! Every entry of a product is one sum over k in ascending order, whatever the tile it falls into. So a row's result does not depend on
//! how many other rows there are, nor on the split over threads. `AVX-512` and `AVX2` round alike (fused multiply-add);
//! the portable path rounds products too.

mod avx512;
mod buffer;
mod panel;
mod rows;

#[cfg(test)]
mod tests;

pub(crate) use buffer::{Buffer, stride};
pub(crate) use panel::{Epilogue, Layout, Packed, Tile, multiply_panel};
#[cfg(feature = "training")]
pub(crate) use rows::{erf, exp, with};
pub(crate) use rows::{layer_norm, softmax_columns, swiglu};

/// The instructions to use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Instructions {
    /// What every processor has.
    Portable,
    /// 256-bit vectors with fused multiply-add (x86-64).
    Avx2,
    /// 512-bit vectors (x86-64).
    Avx512,
}

impl Instructions {
    /// All of them, slowest first.
    pub const ALL: [Self; 3] = [Self::Portable, Self::Avx2, Self::Avx512];

    /// The best that this processor has.
    pub fn best() -> Self {
        Self::ALL.into_iter().rev().find(|i| i.is_available()).unwrap_or(Self::Portable)
    }

    /// Whether this processor has them.
    pub fn is_available(self) -> bool {
        match self {
            Self::Portable => true,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => is_x86_feature_detected!("avx512f") && Self::Avx2.is_available(),
            #[cfg(not(target_arch = "x86_64"))]
            _ => false,
        }
    }
}

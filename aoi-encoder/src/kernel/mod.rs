//! Matrix products and row functions in f32, for the best instruction set the processor has.
//!
//! Every entry of a product is one sum over k in ascending order, whatever the tile it falls into. So a row's result does not depend on
//! how many other rows there are, nor on the split over threads. `AVX-512` and `AVX2` round alike (fused multiply-add);
//! the portable path rounds products too. On the matrix unit f32 is cut into three bf16 numbers; see `tiles`.

mod avx512;
mod buffer;
mod compiled;
mod panel;
mod rows;
mod softmax;
mod tiles;

#[cfg(test)]
mod tests;

pub(crate) use buffer::{Buffer, fetch, stride};
#[cfg(feature = "training")]
pub(crate) use compiled::with;
pub(crate) use panel::{Epilogue, Layout, Packed, Tile, multiply_panel};
pub(crate) use rows::{add_block, layer_norm, swiglu};
pub(crate) use softmax::{softmax_columns, softmax_rows};
#[cfg(feature = "training")]
pub(crate) use tiles::Start;
pub(crate) use tiles::{
    BLOCK, Halves, SIDE, SLICES, Session, Sums, TileColumns, TileRows, cut_block, each_block,
};
#[cfg(feature = "training")]
pub(crate) use tiles::{Lines, ProductScratch};
#[cfg(feature = "training")]
pub(crate) use {rows::erf, softmax::exp};

/// The instructions to use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Instructions {
    /// What every processor has.
    Portable,
    /// 256-bit vectors with fused multiply-add (x86-64).
    Avx2,
    /// 512-bit vectors (x86-64).
    Avx512,
    /// 512-bit vectors, and products of pairs of bf16 on them (x86-64).
    Avx512Bf16,
    /// The same, and the matrix unit for products of bf16 (x86-64, Linux).
    Amx,
}

impl Instructions {
    /// All of them, slowest first.
    pub const ALL: [Self; 5] = [Self::Portable, Self::Avx2, Self::Avx512, Self::Avx512Bf16, Self::Amx];

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
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Bf16 => {
                let vectors = is_x86_feature_detected!("avx512bw") && is_x86_feature_detected!("avx512bf16");
                vectors && Self::Avx512.is_available()
            }
            #[cfg(target_arch = "x86_64")]
            Self::Amx => tiles::amx_is_available() && Self::Avx512Bf16.is_available(),
            #[cfg(not(target_arch = "x86_64"))]
            _ => false,
        }
    }
}

/// The numbers that products are made of; their sums are f32 in any case.
///
/// Eight bits are left out on purpose: of 2,048 patches of real pictures through a trained ViT-S/14 bf16 keeps the nearest other patch of 98 %, products of eight bits
/// (ONNX Runtime's dynamic ones) of 78 % (`tools/peers/trained_weights.py`), and neighbours are what the patches are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(
    feature = "training",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "lowercase")
)]
#[non_exhaustive]
pub enum Precision {
    /// f32, as the weights. On [`Instructions::Amx`] every number is the sum of three bf16 and a product the sum of the six largest of
    /// nine; the three left out are at most 2^-23 of it, as much as two roundings of f32.
    #[default]
    F32,
    /// Weights, activations, queries, keys, values and attention weights rounded to bf16 (8 significant bits); norms, softmax, GELU and the
    /// residual stream stay f32.
    Bf16,
}

/// How an encoder computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Arithmetic {
    pub(crate) instructions: Instructions,
    pub(crate) precision: Precision,
}

impl Arithmetic {
    /// Into how many bf16 numbers an f32 is cut for products of tiles; none where products are made of f32.
    pub(crate) fn slices(self) -> Option<usize> {
        match (self.precision, self.instructions) {
            (Precision::Bf16, _) => Some(1),
            (Precision::F32, Instructions::Amx) => Some(SLICES),
            (Precision::F32, _) => None,
        }
    }
}

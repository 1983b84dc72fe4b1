//! The choice of numbers that an encoder computes with.

use aoi_encoder::Precision;
use clap::ValueEnum;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum PrecisionName {
    /// As the weights
    F32,
    /// Faster where the processor multiplies bf16 numbers, and rounded to them
    Bf16,
}

impl From<PrecisionName> for Precision {
    fn from(name: PrecisionName) -> Self {
        match name {
            PrecisionName::F32 => Self::F32,
            PrecisionName::Bf16 => Self::Bf16,
        }
    }
}

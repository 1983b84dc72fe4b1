//! How images larger than the encoder's are cut, as arguments of every command that encodes some.

use aoi_encoder::Tiling;
use clap::Args;

/// Tiles or the whole image.
#[derive(Args)]
pub(crate) struct TilingArguments {
    /// Encode large images in one piece instead of tiles
    #[arg(long)]
    whole: bool,
    /// Patches that neighbouring tiles share at least [default: a quarter of a tile]; more take longer and leave fewer patches near a tile's border
    #[arg(long, value_name = "PATCHES", conflicts_with = "whole")]
    overlap: Option<usize>,
}

impl TilingArguments {
    /// Whether anything was given.
    pub(crate) fn is_any(&self) -> bool {
        self.whole || self.overlap.is_some()
    }

    /// The library's word for it.
    pub(crate) fn tiling(&self) -> Tiling {
        if self.whole { Tiling::Whole } else { Tiling::Overlap(self.overlap) }
    }
}

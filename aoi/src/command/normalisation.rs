//! How pixels become numbers about zero, as arguments of every command that encodes images.

use clap::Args;

/// Mean and standard deviation of pixels, where those of the weights file are not wanted.
#[derive(Args)]
pub(crate) struct NormalisationArguments {
    /// Mean of each channel on pixels of 0 to 1, or one for all
    #[arg(long, value_name = "M,..", value_delimiter = ',')]
    pub(crate) mean: Option<Vec<f32>>,
    /// Standard deviation of each channel, or one for all
    #[arg(long, value_name = "S,..", value_delimiter = ',')]
    pub(crate) std: Option<Vec<f32>>,
}

impl NormalisationArguments {
    /// Whether anything was given.
    pub(crate) fn is_any(&self) -> bool {
        self.mean.is_some() || self.std.is_some()
    }
}

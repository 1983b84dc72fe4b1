//! What a run is told, as TOML.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{Augmentation, text};
use crate::config::{PrefixPositions, Resampling};
use crate::mae::Decoder;
use crate::{Config, Grid, Positions, Precision, Result};

/// A pre-training run; every field has a default, and unknown fields are refused.
///
/// # Examples
/// ```
/// use aoi_encoder::train::PretrainConfig;
///
/// let config = PretrainConfig::parse("seed = 3\n[encoder]\npreset = \"vit-ti/16\"\nchannels = 1\n", "c.toml".as_ref())?;
/// assert_eq!(config.encoder.architecture(2)?.width, 192);
/// assert!(PretrainConfig::parse("sead = 3", "c.toml".as_ref()).is_err());
/// # Ok::<(), aoi_encoder::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PretrainConfig {
    /// Decides every draw: first weights, masks, order, augmentations, what is held out.
    pub seed: u64,
    /// The encoder.
    pub encoder: EncoderSection,
    /// The decoder; by default two blocks of the encoder's width and heads.
    pub decoder: Option<Decoder>,
    /// What is masked.
    pub masking: MaskingSection,
    /// The pictures.
    pub images: ImagesSection,
    /// How they are varied.
    pub augmentation: Augmentation,
    /// Steps.
    pub optimiser: OptimiserSection,
    /// Length and output.
    pub run: RunSection,
}

/// The encoder: a preset, and what differs from it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EncoderSection {
    /// A name of [`crate::preset_names`].
    pub preset: String,
    /// Channels; by default those of the first picture.
    pub channels: Option<usize>,
    /// Side of a patch.
    pub patch: Option<usize>,
    /// Width of a token.
    pub width: Option<usize>,
    /// Number of blocks.
    pub depth: Option<usize>,
    /// Attention heads.
    pub heads: Option<usize>,
    /// Width inside the feed-forward network.
    pub hidden: Option<usize>,
    /// Height and width of training images in pixels; by default the preset's.
    pub size: Option<[usize; 2]>,
    /// Kind of positions; by default the preset's.
    pub positions: Option<PositionKind>,
}

/// Kind of positions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PositionKind {
    /// A table that is trained.
    Learned,
    /// Fixed sines and cosines.
    SinCos,
}

impl Default for EncoderSection {
    fn default() -> Self {
        Self {
            preset: "paper".to_owned(),
            channels: None,
            patch: None,
            width: None,
            depth: None,
            heads: None,
            hidden: None,
            size: None,
            positions: None,
        }
    }
}

impl EncoderSection {
    /// The architecture, for pictures of `channels` channels where the section does not say.
    ///
    /// # Errors
    /// [`crate::Error::Preset`] for an unknown name, [`crate::Error::Config`] for an impossible encoder or a size that is not whole patches.
    pub fn architecture(&self, channels: usize) -> Result<Config> {
        let preset = Config::preset(&self.preset)?;
        let width = self.width.unwrap_or(preset.width);
        let hidden = self.hidden.unwrap_or(if self.width.is_some() { 4 * width } else { preset.hidden });
        let patch = self.patch.unwrap_or(preset.patch);
        let positions = match self.positions {
            None => preset.positions,
            Some(PositionKind::SinCos) => Positions::SinCos,
            Some(PositionKind::Learned) => {
                Positions::Learned { prefix: PrefixPositions::Class, resampling: Resampling::Antialiased }
            }
        };
        let size = self.size.unwrap_or([preset.grid.rows * preset.patch, preset.grid.columns * preset.patch]);
        let config = Config {
            channels: self.channels.unwrap_or(channels),
            patch,
            width,
            depth: self.depth.unwrap_or(preset.depth),
            heads: self.heads.unwrap_or(preset.heads),
            hidden,
            positions,
            grid: Grid { rows: 1, columns: 1 },
            ..preset
        };
        config.check()?;
        let config = Config { grid: config.grid_of(size[0], size[1])?, ..config };
        config.check()?;
        Ok(config)
    }
}

/// What is masked and what has to be predicted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MaskingSection {
    /// Share of the patches that is masked.
    pub ratio: f64,
    /// Whether pixels are predicted relative to mean and deviation of their patch.
    pub normalised_targets: bool,
}

impl Default for MaskingSection {
    fn default() -> Self {
        Self { ratio: 0.75, normalised_targets: true }
    }
}

/// The pictures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ImagesSection {
    /// Mean of every channel on values of 0 to 1; by default that of the training pictures.
    pub mean: Option<Vec<f32>>,
    /// Standard deviation of every channel; by default that of the training pictures.
    pub std: Option<Vec<f32>>,
    /// Share of the pictures that is held out to validate on; at least one picture unless zero.
    pub held_out: f64,
    /// Memory for decoded pictures; beyond it they are read again. Results do not depend on it.
    pub cache_mib: usize,
}

impl Default for ImagesSection {
    fn default() -> Self {
        Self { mean: None, std: None, held_out: 0.1, cache_mib: 1024 }
    }
}

/// The steps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OptimiserSection {
    /// The highest learning rate of a batch of 256; the run's is this times batch / 256.
    pub base_rate: f64,
    /// The highest learning rate itself, instead of `base_rate`.
    pub rate: Option<f64>,
    /// The last learning rate.
    pub last_rate: f64,
    /// Epochs of the linear rise; at most half of the run.
    pub warm_up_epochs: u64,
    /// How slowly the means of the gradient change.
    pub betas: (f64, f64),
    /// Decay of matrices.
    pub weight_decay: f64,
    /// Largest norm of a gradient; zero for no bound.
    pub clip: f64,
    /// Decay of the running mean of the weights, which is what is validated and written; zero for none.
    pub average: f64,
}

impl Default for OptimiserSection {
    fn default() -> Self {
        Self {
            base_rate: 1.5e-4,
            rate: None,
            last_rate: 1e-7,
            warm_up_epochs: 40,
            betas: (0.9, 0.95),
            weight_decay: 0.05,
            clip: 5.0,
            average: 0.0,
        }
    }
}

/// Length and output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RunSection {
    /// Passes over the training pictures.
    pub epochs: u64,
    /// Pictures a step; fewer where there are not so many.
    pub batch: usize,
    /// Pictures that a thread works on at once: memory grows with it, not with the batch, whose gradient is accumulated. Sums are rounded
    /// differently for other numbers.
    pub at_once: usize,
    /// Whether activations are computed again in the backward instead of kept: less memory, a third more work, the same bits.
    pub recompute: bool,
    /// What products are made of: `"f32"`, or `"bf16"` (faster where the processor has instructions for them).
    pub precision: Precision,
    /// Steps between checkpoints.
    pub checkpoint_steps: u64,
    /// Epochs between validations.
    pub validate_epochs: u64,
    /// Validations without a better held-out loss after which the run ends; zero for never.
    pub patience: u64,
    /// Pictures shown with their masked patches filled in: held-out ones in `reconstruction.png`; where none is held out, training pictures in
    /// `reconstruction_training.png`.
    pub pictures: usize,
    /// Whether the bias of the encoder's last norm is moved so that patch features have mean zero over the training pictures, see [`crate::centred`].
    pub centred: bool,
    /// Whether the encoder is written in half precision: half the size, rounded as [`crate::weights::NumberType::F16`] says.
    pub half: bool,
}

impl Default for RunSection {
    fn default() -> Self {
        Self {
            epochs: 400,
            batch: 32,
            at_once: 8,
            recompute: false,
            precision: Precision::F32,
            checkpoint_steps: 100,
            validate_epochs: 5,
            patience: 0,
            pictures: 4,
            centred: true,
            half: false,
        }
    }
}

impl PretrainConfig {
    /// Reads a configuration; `path` is for messages.
    ///
    /// # Errors
    /// [`crate::Error::Format`] says line and field.
    pub fn parse(text: &str, path: &Path) -> Result<Self> {
        text::parse(text, path, "a pre-training configuration")
    }

    /// The configuration as TOML.
    ///
    /// # Errors
    /// [`crate::Error::Config`] for a number that TOML cannot hold: integers end at 2^63 - 1.
    pub fn to_toml(&self) -> Result<String> {
        text::write(self)
    }

    /// Checks what does not depend on the pictures.
    ///
    /// # Errors
    /// [`crate::Error::Config`] for the first field out of its range.
    pub fn check(&self) -> Result<()> {
        let RunSection { epochs, batch, at_once, checkpoint_steps, validate_epochs, .. } = self.run;
        let counts = [
            ("run.epochs", epochs),
            ("run.batch", batch as u64),
            ("run.at_once", at_once as u64),
            ("run.checkpoint_steps", checkpoint_steps),
            ("run.validate_epochs", validate_epochs),
        ];
        text::check_counts(self.seed, &counts)?;
        let OptimiserSection { clip, average, .. } = self.optimiser;
        text::check_steps((clip, average), ("images.held_out", self.images.held_out), self.run.patience)?;
        self.augmentation.check()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let mut config = PretrainConfig::default();
        config.images.mean = Some(vec![0.25, 0.1]);
        config.decoder = Some(Decoder { width: 8, depth: 1, heads: 2 });
        config.encoder.positions = Some(PositionKind::SinCos);
        let text = config.to_toml().unwrap();
        assert_eq!(PretrainConfig::parse(&text, Path::new("c")).unwrap(), config, "{text}");
        assert!(config.check().is_ok());
        config.seed = u64::MAX;
        assert!(config.check().unwrap_err().to_string().contains("seed"));
    }

    #[test]
    fn unknown_fields_and_values_out_of_range_are_named() {
        for (text, word) in [
            ("[run]\nepoch = 3", "epoch"),
            ("[run]\nepochs = 0", "run.epochs"),
            ("[run]\nepochs = -1", "line 2"),
            ("[images]\nheld_out = 1.0", "held_out"),
            ("[optimiser]\nclip = nan", "clip"),
            ("[optimiser]\naverage = 1.0", "optimiser.average"),
            ("[augmentation]\nscale = [0.0, 1.0]", "scale"),
            ("[run]\npatience = 2\n[images]\nheld_out = 0.0", "patience"),
        ] {
            let config = PretrainConfig::parse(text, Path::new("c.toml"));
            let message = config.and_then(|c| c.check()).unwrap_err().to_string();
            assert!(message.contains(word), "{text}: {message}");
        }
    }

    #[test]
    fn the_architecture_takes_the_pictures_channels_and_whole_patches() {
        let section = EncoderSection {
            size: Some([64, 48]),
            width: Some(96),
            heads: Some(3),
            ..EncoderSection::default()
        };
        let config = section.architecture(5).unwrap();
        assert_eq!((config.channels, config.hidden, config.grid), (5, 384, Grid { rows: 4, columns: 3 }));
        assert!(EncoderSection { size: Some([60, 48]), ..section }.architecture(1).is_err());
    }
}

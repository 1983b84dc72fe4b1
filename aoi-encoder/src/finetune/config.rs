//! What a fine-tuning run is told, as TOML.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::Tuning;
use crate::train::{Augmentation, text};
use crate::{Error, Precision, Result};

/// A fine-tuning run; every field has a default, and unknown fields are refused.
///
/// # Examples
/// ```
/// use aoi_encoder::finetune::{FinetuneConfig, Tuning};
///
/// let text = "tune = { lora = { rank = 4, alpha = 16.0 } }\n[loss]\ndice = 1.0\n";
/// let config = FinetuneConfig::parse(text, "c.toml".as_ref())?;
/// assert_eq!(config.tune, Tuning::Lora { rank: 4, alpha: 16.0 });
/// assert!(FinetuneConfig::parse("tune = \"half\"", "c.toml".as_ref()).is_err());
/// # Ok::<(), aoi_encoder::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FinetuneConfig {
    /// Decides every draw: the head's first weights, order, augmentations, what is held out.
    pub seed: u64,
    /// What is put on the encoder: `"linear"` or `"upernet"`.
    pub head: HeadKind,
    /// What is trained besides the head: `"full"`, `"frozen"` or `{ lora = { rank = 3, alpha = 16.0 } }`.
    pub tune: Tuning,
    /// Share of the labelled pictures that is held out to choose the best network by; at least one picture unless zero.
    pub held_out: f64,
    /// Mean of every channel on values of 0 to 1, or one for all; by default what the encoder was trained with, see [`crate::weights::Weights::normalisation`].
    pub mean: Option<Vec<f32>>,
    /// Standard deviation of every channel, or one for all.
    pub std: Option<Vec<f32>>,
    /// What the run started from, filled in: a digest of the encoder's numbers. A run is not resumed with others.
    pub encoder: Option<String>,
    /// The head over several blocks, where it is chosen.
    pub upernet: UpernetSection,
    /// What is minimised.
    pub loss: LossSection,
    /// How pictures and masks are varied.
    pub augmentation: Augmentation,
    /// The steps.
    pub optimiser: StepSection,
    /// Length and output.
    pub run: LengthSection,
}

impl Default for FinetuneConfig {
    /// Crops are enlarged little: prediction sees pictures in their own size.
    fn default() -> Self {
        Self {
            seed: 0,
            head: HeadKind::Linear,
            tune: Tuning::Full,
            held_out: 0.2,
            mean: None,
            std: None,
            encoder: None,
            upernet: UpernetSection::default(),
            loss: LossSection::default(),
            augmentation: Augmentation { zoom: Some((0.8, 1.25)), ..Augmentation::default() },
            optimiser: StepSection::default(),
            run: LengthSection::default(),
        }
    }
}

/// What is put on the encoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HeadKind {
    /// The last block's patches through one linear layer: few numbers, for few labelled pictures.
    #[default]
    Linear,
    /// Convolutions over the last four blocks and coarse grids of the last ([`super::Network::upernet`]): sharper borders, more of everything else.
    Upernet,
}

/// The head over several blocks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct UpernetSection {
    /// Channels of its maps.
    pub width: usize,
    /// Crops of a step that its norms take their statistics over, together on one thread; the last ones of a batch may be fewer.
    pub group: usize,
}

impl Default for UpernetSection {
    fn default() -> Self {
        Self { width: 256, group: 4 }
    }
}

/// What is minimised; see [`super::Loss`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LossSection {
    /// How much rare classes are weighed up, 0 to 1.
    pub balance: f64,
    /// Weight of the soft Dice term.
    pub dice: f64,
}

impl Default for LossSection {
    fn default() -> Self {
        Self { balance: 0.0, dice: 1.0 }
    }
}

/// The steps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StepSection {
    /// The highest learning rate: that of the head.
    pub rate: f64,
    /// The last learning rate.
    pub last_rate: f64,
    /// Factor of the learning rate from a block to the one before it.
    pub layer_decay: f64,
    /// Epochs of the linear rise; at most half of the run.
    pub warm_up_epochs: u64,
    /// How slowly the means of the gradient change.
    pub betas: (f64, f64),
    /// Decay of matrices.
    pub weight_decay: f64,
    /// Largest norm of a gradient; zero for no bound.
    pub clip: f64,
    /// Decay of the running mean of the trained numbers, which is what is validated and written; zero for none.
    pub average: f64,
}

impl Default for StepSection {
    fn default() -> Self {
        Self {
            rate: 1e-3,
            last_rate: 1e-6,
            layer_decay: 0.75,
            warm_up_epochs: 5,
            betas: (0.9, 0.999),
            weight_decay: 0.05,
            clip: 5.0,
            average: 0.0,
        }
    }
}

/// Length and output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LengthSection {
    /// Passes over the training pictures, in crops.
    pub epochs: u64,
    /// Crops of every picture in one epoch: with crops much smaller than pictures, an epoch of one each would say little.
    pub crops: usize,
    /// Crops a step; fewer where there are not so many.
    pub batch: usize,
    /// Whether activations are computed again in the backward instead of kept: less memory, a third more work, the same bits.
    pub recompute: bool,
    /// What products are made of: `"f32"`, or `"bf16"` (faster where the processor has instructions for them).
    pub precision: Precision,
    /// Steps between checkpoints.
    pub checkpoint_steps: u64,
    /// Epochs between validations.
    pub validate_epochs: u64,
    /// Validations without a better held-out mean `IoU` after which the run ends; zero for never.
    pub patience: u64,
}

impl Default for LengthSection {
    fn default() -> Self {
        Self {
            epochs: 100,
            crops: 4,
            batch: 8,
            recompute: false,
            precision: Precision::F32,
            checkpoint_steps: 100,
            validate_epochs: 5,
            patience: 0,
        }
    }
}

impl FinetuneConfig {
    /// Reads a configuration; `path` is for messages.
    ///
    /// # Errors
    /// [`Error::Format`] says line and field.
    pub fn parse(text: &str, path: &Path) -> Result<Self> {
        text::parse(text, path, "a fine-tuning configuration")
    }

    /// The configuration as TOML.
    ///
    /// # Errors
    /// [`Error::Config`] for a number that TOML cannot hold: integers end at 2^63 - 1.
    pub fn to_toml(&self) -> Result<String> {
        text::write(self)
    }

    /// Checks what does not depend on the pictures.
    ///
    /// # Errors
    /// [`Error::Config`] for the first field out of its range.
    pub fn check(&self) -> Result<()> {
        let LengthSection { epochs, crops, batch, checkpoint_steps, validate_epochs, .. } = self.run;
        let counts = [
            ("run.epochs", epochs),
            ("run.crops", crops as u64),
            ("upernet.group", self.upernet.group as u64),
            ("run.batch", batch as u64),
            ("run.checkpoint_steps", checkpoint_steps),
            ("run.validate_epochs", validate_epochs),
        ];
        text::check_counts(self.seed, &counts)?;
        let StepSection { layer_decay, clip, average, .. } = self.optimiser;
        if !(layer_decay > 0.0 && layer_decay <= 1.0) {
            return Err(Error::config("optimiser.layer_decay", "above 0 to 1", &layer_decay));
        }
        text::check_steps((clip, average), ("held_out", self.held_out), self.run.patience)?;
        self.augmentation.check()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        for tune in [Tuning::Full, Tuning::Frozen, Tuning::LORA] {
            let config = FinetuneConfig {
                tune,
                encoder: Some("0a".into()),
                mean: Some(vec![0.5]),
                ..FinetuneConfig::default()
            };
            let text = config.to_toml().unwrap();
            assert_eq!(FinetuneConfig::parse(&text, Path::new("c")).unwrap(), config, "{text}");
            config.check().unwrap();
        }
    }

    #[test]
    fn unknown_fields_and_values_out_of_range_are_named() {
        for (text, word) in [
            ("[run]\nepoch = 3", "epoch"),
            ("[run]\nepochs = 0", "run.epochs"),
            ("head = \"unet\"", "upernet"),
            ("[upernet]\ngroup = 0", "upernet.group"),
            ("held_out = 1.0", "held_out"),
            ("[optimiser]\nlayer_decay = 0.0", "layer_decay"),
            ("[optimiser]\nclip = nan", "clip"),
            ("[optimiser]\naverage = 1.0", "optimiser.average"),
            ("held_out = 0.0\n[run]\npatience = 2", "patience"),
            ("tune = \"half\"", "full"),
        ] {
            let config = FinetuneConfig::parse(text, Path::new("c.toml"));
            let message = config.and_then(|c| c.check()).unwrap_err().to_string();
            assert!(message.contains(word), "{text}: {message}");
        }
    }
}

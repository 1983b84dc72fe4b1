//! Pre-training: a folder of pictures and a configuration in, a run folder out.
//!
//! [`pretrain()`] is the whole job. A run folder holds `config.toml` (everything resolved), `metrics.csv` and an events file for `TensorBoard`, `loss.svg`,
//! `reconstruction.png` (of training pictures, where none is held out, `reconstruction_training.png`), `checkpoint.safetensors`, and `encoder.safetensors`, the weights that [`crate::weights::load`] reads. What is drawn by chance depends
//! on the seed and the step alone, and sums are taken in an order of their own, so a resumed run ends in the same bits as an uninterrupted one,
//! on any number of threads of one kind of processor.

mod augmentation;
pub(crate) mod checkpoint;
mod config;
pub(crate) mod course;
mod curve;
mod events;
pub(crate) mod learner;
mod metrics;
pub(crate) mod origin;
mod panel;
pub(crate) mod parting;
mod pictures;
mod plan;
mod pretrain;
mod run;
pub(crate) mod text;

pub use augmentation::Augmentation;
pub use config::{
    EncoderSection, ImagesSection, MaskingSection, OptimiserSection, PositionKind, PretrainConfig, RunSection,
};
pub use course::{Ending, Report};
pub use pretrain::{Job, Summary, pretrain};

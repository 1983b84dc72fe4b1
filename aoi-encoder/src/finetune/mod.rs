//! Fine-tuning: an encoder and a few labelled pictures in, a segmentation network out.
//!
//! [`finetune`] is the whole job. The head is linear, every patch token after the final norm, standardised, to one logit a class, enlarged to pixels; or a pyramid
//! over the last four blocks and coarse grids ([`HeadKind`]), with batch norms over groups of crops, whose statistics for prediction are taken anew, over
//! training crops, whenever the network is validated or written.
//! Trained is the head with the whole encoder, with nothing of it, or with low-rank changes of queries and values ([`Tuning`]); learning rates fall from the
//! head to the first block. Validated and written are the trained numbers or, with `optimiser.average`, their running mean. A run folder holds `config.toml`, `metrics.csv` and an events file for `TensorBoard` (the held-out loss is 1 - mean `IoU`), `loss.svg`,
//! `prediction.png`, `checkpoint.safetensors`, and `network.safetensors`, the best network so far, which [`Tuned::load`] reads. A resumed run ends in the same
//! bits as an uninterrupted one, on any number of threads of one kind of processor.
//!
//! [`Network`], [`Trained`] and [`Loss`] are the parts, each with its gradient.

mod batch;
mod config;
mod enlarge;
mod head;
mod job;
mod loss;
mod network;
mod overlap;
mod panel;
mod plan;
mod result;
mod run;
mod standard;
mod tape;
mod tuning;
mod upernet;

pub use batch::NetworkBatches;
pub use config::{FinetuneConfig, HeadKind, LengthSection, LossSection, StepSection, UpernetSection};
pub use head::{Head, HeadLayers};
pub use job::{Example, FinetuneJob, FinetuneSummary, finetune};
pub use loss::Loss;
pub use network::{Depth, Network};
pub use result::Tuned;
pub use standard::Standard;
pub use tape::NetworkTape;
pub use tuning::{Trained, Tuning};

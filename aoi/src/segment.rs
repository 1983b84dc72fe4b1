//! Segmentation of a new picture by looking up its patches among those of a few labelled ones, or by a network fine-tuned on them.

mod baseline;
mod comparison;
mod evaluation;
mod figure;
mod glyph;
mod index;
mod labelled;
mod network;
mod overlay;
mod predictor;
mod report;
mod segmenter;
mod settings;

pub use self::baseline::{MeanMask, WholeImages};
pub use self::comparison::{Comparison, ComparisonOptions, ComparisonRow, compare};
pub use self::evaluation::{Evaluated, ImageScores, evaluate};
pub use self::figure::Figure;
pub use self::index::{Choice, IndexOptions, LabelKind, add_pictures, index};
pub use self::labelled::{Labelled, LabelledFolder, fit_patches};
pub use self::network::NetworkSegmenter;
pub use self::overlay::{COLOURS, overlay};
pub use self::predictor::Predictor;
pub use self::report::{EvaluationContext, write_evaluation};
pub use self::segmenter::{Lookup, Segmenter, check_encoder};
pub use self::settings::{Decision, Settings, decide};

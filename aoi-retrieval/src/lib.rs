//! Exact nearest-neighbour patch search and segmentation from a few labelled images.

mod error;
mod metric;
mod neighbours;
mod search;

pub use error::RetrievalError;
pub use metric::{Metric, Scorer, cosine_distance};
pub use ndarray;
pub use neighbours::{Certificate, Neighbour, Neighbours, Route};
pub use search::cpu::{CompactCopy, CpuOptions, CpuSearch};
pub use search::reference::Reference;
pub use search::{Search, SearchOptions};

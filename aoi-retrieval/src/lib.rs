//! Exact nearest-neighbour patch search, and segmentation from a few labelled images.
//!
//! **Purpose.** Every patch of a new image looks up the most similar patches of a few labelled images, and their masks are
//! mixed: adding a device means adding rows to a bank, not training. See AOI-SSL, arXiv 2605.12430, for the method.
//!
//! **Promise.** [`CpuSearch`] returns *exactly* what [`Reference`] returns, indices and scores, ties included, for any
//! finite input and any number of threads: the order of the f64 scores ([`Scorer`]) of the f32 inputs, then the lower row. It gets there by
//! scanning a compact copy with a proven error bound and scoring in f64 what the bound cannot exclude; each query carries
//! the [`Certificate`] of how. Files are checked before they are used ([`Bank::open`]); bad input is a [`RetrievalError`].
//!
//! With the feature `gpu`, `gpu::GpuSearch` gives the same answers on a GPU.
//!
//! **Limits.** Speed, unlike the answer, depends on the data: where scores crowd together within the error bound, queries fall
//! back to an f32 scan, and then to scoring every row. The best kernels need AVX-512 with VNNI; AVX2 and portable forms give the same
//! answer. A bank holds fewer than 2^32 rows. How good a segmentation is depends on the features; this crate knows embeddings, not encoders.
//!
//! ```
//! use aoi_retrieval::ndarray::{Array2, Array3, s};
//! use aoi_retrieval::*;
//!
//! // A labelled image of 4 x 4 patches, 8 pixels a side: its left half is "wire". The key of a patch tells its half.
//! let keys = Array2::from_shape_fn((16, 6), |(i, j)| if (i % 4 < 2) == (j < 3) { 1.0 } else { 0.1 * i as f32 });
//! let mask = Array3::from_shape_fn((1, 32, 32), |(_, _, x)| u8::from(x < 16));
//! let labels = Labels::Complete(CompleteLabels::from_image(mask.view(), 8)?);
//! let mut bank = Bank::new(6, vec!["wire".into()], labels.select(&[])?)?;
//! bank.add_image("taught", keys.view(), &labels)?;
//!
//! // A new image of one row of four patches.
//! let queries = keys.slice(s![4..8, ..]).mapv(|x| 2.0 * x);
//! let search = CpuSearch::new(bank.keys(), Metric::Cosine, &CpuOptions::default())?;
//! let found = search.search(queries.view(), &SearchOptions { k: 3, threads: 1 })?;
//! let distances = neighbour_distances(bank.keys(), queries.view(), &found)?;
//! let grid = PatchGrid { down: 1, across: 4 };
//! let scores = mix(found.indices.view(), distances.view(), bank.labels(), &Rule::Similarity, grid)?;
//! let predicted = decide_by_threshold(scores.view(), &[0.5])?;
//!
//! let truth = mask.slice(s![.., ..8, ..]);
//! assert_eq!(Confusion::of(predicted.view(), truth)?.mean_iou(), Some(1.0));
//! # Ok::<(), RetrievalError>(())
//! ```

mod bank;
mod chance;
pub mod coreset;
mod error;
mod labels;
mod mapped;
mod metric;
mod mix;
mod neighbours;
mod progress;
mod score;
mod search;
mod tune;

pub use bank::{Bank, BankImage, ImageSize};
pub use error::RetrievalError;
pub use labels::{AverageLabels, CompleteLabels, Labels, PatchShape};
pub use mapped::MappedFile;
pub use metric::{Metric, Scorer, cosine_distance};
pub use mix::{
    Beta, PatchGrid, Rule, decide_by_threshold, decide_single, mix, mix_whole_images, neighbour_distances,
    upsample_bilinear,
};
pub use ndarray;
pub use neighbours::{Certificate, Neighbour, Neighbours, Route};
pub use progress::{Progress, ProgressFn};
pub use score::{ClassCounts, Confusion, Evaluation};
/// Exact search on a GPU, through [`wgpu`]; behind the feature `gpu`.
#[cfg(feature = "gpu")]
pub mod gpu {
    pub use crate::search::gpu::{
        DeviceChoice, DeviceInfo, DeviceKind, Gpu, GpuOptions, GpuReport, GpuSearch, KernelTimes, Scan,
        choose_device, devices,
    };
    pub use wgpu;
}

pub use search::cpu::{BoundedScores, CompactCopy, CpuOptions, CpuSearch};
pub use search::reference::Reference;
pub use search::{Search, SearchOptions};
pub use tune::{SearchMaker, Trial, TuneGrid, TuneImages, TuneOptions, Tuned, tune, tune_with};

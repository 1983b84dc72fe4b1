//! Inspection limits from reviewed records: fewer false calls, every known defect still flagged, and a bound on what may escape.
//!
//! An AOI machine flags a part when a measured value lies outside a limit; people review every flag. From that history this crate
//! computes new limits by percentile rank of the false calls, held by the known defects.
//!
//! What is promised, for `misses = 0` and in every policy: **every confirmed defect that the old limit flagged is flagged by the new
//! one**, and nothing is flagged that was not flagged before. Both are arithmetic over the records given. How many *future* defects
//! may escape is a statistical statement with assumptions: see [`certificate`]. What the old limit never flagged is out of reach; such
//! defects are reported as escapes.
//!
//! ```
//! use aoi_tolerance::{evidence::Evidence, limit::Side, optimise::optimise_limit, options::Options, proposal::Decision};
//!
//! let mut evidence = Evidence::new(Side::Lower, 45.0); // flags lead heights below 45 um
//! evidence.false_calls = (0..500).map(|i| 44.9 - 0.01 * f64::from(i)).collect();
//! evidence.defects = vec![42.0, 31.5, 12.0];
//! let proposal = optimise_limit(&evidence, &Options::default())?;
//! assert_eq!(proposal.decision, Decision::Relaxed);
//! assert_eq!((proposal.false_calls_before, proposal.false_calls_after), (500, 400));
//! assert_eq!((proposal.defects_before, proposal.defects_after), (3, 3));
//! # Ok::<(), aoi_tolerance::Error>(())
//! ```
//!
//! The rooms: [`record`] and [`collect`] turn records into a [`population`]; [`optimise`](mod@optimise) proposes, [`simulate`] asks what if,
//! [`validate`](mod@validate) holds defects back. [`percentile`] and [`binomial`] are the mathematics.
//!
//! Features: `io` (default) reads records and writes limits; `parquet` reads them from Parquet files too; `report` is the HTML report;
//! `store` keeps a stream and its ledger. Without any, the crate computes and reads nothing.

pub mod aggregate;
pub mod audit;
pub mod binomial;
mod candidate;
pub mod certificate;
pub mod collect;
pub mod drift;
mod error;
pub mod evidence;
#[cfg(feature = "io")]
pub mod io;
pub mod joint;
#[cfg(feature = "store")]
pub mod ledger;
pub mod limit;
pub mod margin;
pub mod motion;
mod movement;
pub mod optimise;
pub mod options;
mod order;
pub mod percentile;
pub mod pool;
pub mod population;
pub mod proposal;
pub mod quality;
pub mod recalibrate;
pub mod record;
#[cfg(feature = "report")]
pub mod report;
pub mod resolution;
mod sample;
mod scale;
pub mod simulate;
#[cfg(feature = "store")]
pub mod store;
mod sweep;
mod threads;
pub mod validate;

pub use error::Error;

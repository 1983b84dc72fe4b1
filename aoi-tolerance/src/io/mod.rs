//! Records in, limits out: the files of the tolerance job.

mod aggregates;
mod blocks;
mod cfx;
#[cfg(feature = "store")]
mod drawn;
mod engine;
#[cfg(feature = "store")]
mod follow;
mod form;
mod header;
mod held;
mod input;
mod layout;
mod limits;
pub mod mapping;
mod number;
mod opening;
#[cfg(feature = "parquet")]
mod parquet;
mod parse;
mod plain;
mod read;
mod reject;
mod repeated;
mod rows;
mod sweep;
mod table;
mod time;
mod tolerances;
mod validation;
mod verdict;
mod whole;

pub use aggregates::{AggregateFile, read_aggregates};
#[cfg(feature = "store")]
pub use drawn::drawn_csv;
pub use engine::{Engine, EngineTable, aggregate_sql};
#[cfg(feature = "store")]
pub use follow::{Followed, Follower};
pub use form::LimitForm;
pub use held::held_csv;
pub use input::{InputFile, digest_of};
pub use limits::LimitsTable;
pub use number::{NumberFault, parse_number, shortest};
pub use read::{Progress, ReadObserver, ReadOptions, Records, files_of, read_records};
pub use reject::{Reject, RejectReason};
pub use sweep::SweepTable;
pub use tolerances::ToleranceTable;
pub use validation::validation_csv;
pub use verdict::VerdictWords;
pub use whole::{RejectsFile, write_whole};

//! Who changed which limit, when, why, and on what evidence.
//!
//! The ledger is a file of JSON lines, each holding the digest of the line before and its own. A change is proposed, simulated, validated, approved and applied, and
//! may be reverted; nothing is applied without an approval, and nothing is ever rewritten.
//!
//! # What the chain finds, and what not
//! [`verify`] finds any entry that was altered, removed from within, or moved. A chain alone cannot see that its *end* was cut off, nor that somebody with the right to write
//! the file wrote all of it anew: a hash chain is not a signature. Both are found by keeping the head digest elsewhere (print it, mail
//! it, store it with each shift report) and giving it back to [`verify`]; the store of records next to the ledger also notes the last entry it has followed.

mod book;
mod chain;
mod draft;
mod drawing;
mod entry;
mod file;

pub use book::{Book, Open, Stage};
pub use chain::{Chain, Verified, verify};
pub use draft::{Draft, draft, motions, recheck};
pub use drawing::{DrawOptions, Drawing, Reviewed, draw_released, review};
pub use entry::{Act, Change, Entry, Evidenced, LimitName, Signed, SimulatedPoint};
pub use file::{Ledger, read_ledger};

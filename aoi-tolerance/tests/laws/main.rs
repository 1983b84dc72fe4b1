//! The laws that every proposal obeys, as properties over adversarial evidence.
//!
//! What judges here ([`oracle`]) shares no code with the crate: its flag rule, its guard and its percentile are written from the
//! definitions.

mod accounts;
mod certified;
mod guard;
mod invariance;
mod joint;
mod leave_one_out;
mod monotone;
mod oracle;
mod records;
mod refusal;
mod shards;
mod worlds;

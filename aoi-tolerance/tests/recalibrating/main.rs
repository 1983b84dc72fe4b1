//! The recalibrator against the batch: after every event of a random history, both propose the same, bit for bit.
//!
//! The oracle ([`history`]) keeps every record with what was last said of it, and reads all of them into a collector from the start. It
//! shares no code with the recalibrator; windows and presumed verdicts are written from their definitions.

mod cases;
mod history;
mod interleavings;

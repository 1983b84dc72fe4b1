//! Live rates, timed inside the process: into memory, onto the disk, and back after a restart.

use std::path::Path;
use std::time::Instant;

use aoi_tolerance::optimise::optimise_limit;
use aoi_tolerance::options::Options;
use aoi_tolerance::recalibrate::{Arrival, LiveOptions, Recalibrator};
use aoi_tolerance::store::{Store, StoreOptions};
use serde::Serialize;

use crate::error::Error;
use crate::live::{Stream, StreamOptions};

/// Seconds of one round, and what was held.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Round {
    /// Records pushed.
    pub records: usize,
    /// Of these, flagged.
    pub flagged: usize,
    /// MiB by which resident memory grew while a recalibrator took them in; none where the system does not say.
    pub held_mib: Option<f64>,
    /// Records pushed into a recalibrator.
    pub memory: f64,
    /// A proposal for every limit, asked once.
    pub propose: f64,
    /// Records pushed into a store, drift monitors included, committed and synced in groups of 10,000.
    pub durable: f64,
    /// Opening the store again from a snapshot.
    pub restart: f64,
    /// Opening it from the log alone.
    pub replay: f64,
}

/// Records in one synced group.
const GROUP: u64 = 10_000;

/// One round over a stream, in `folder`, which must be empty; every answer is checked against the batch.
///
/// # Errors
/// When the store cannot be written or read, or anything differs from the batch.
pub fn round(options: &StreamOptions, folder: &Path) -> Result<Round, Error> {
    let stream = Stream::draw(options);
    let mut live = Recalibrator::new(LiveOptions::default());
    let before = resident_mib();
    let start = Instant::now();
    for (sequence, record) in (0..).zip(stream.records()) {
        live.push(&record, Arrival { sequence, received: 0 });
    }
    let memory = start.elapsed().as_secs_f64();
    let held_mib = before.zip(resident_mib()).map(|(before, after)| after - before);
    let start = Instant::now();
    let proposals = live.propose(&Options::default())?;
    let propose = start.elapsed().as_secs_f64();
    check(&live, options, &stream)?;
    drop(live);

    let mut store = Store::open(folder, StoreOptions::default())?;
    let start = Instant::now();
    for record in stream.records() {
        if store.waiting() == 0 {
            store.set_clock(1_800_000_000_000_000_000);
        }
        store.push(&record);
        if store.waiting() >= GROUP {
            store.commit()?;
        }
    }
    store.commit()?;
    let durable = start.elapsed().as_secs_f64();
    store.write_snapshot()?;
    drop(store);

    let open = |what: &str| {
        let start = Instant::now();
        let store = Store::open(folder, StoreOptions::default())?;
        let seconds = start.elapsed().as_secs_f64();
        let again = store.line().recalibrator().propose(&Options::default())?;
        if again == proposals { Ok(seconds) } else { Err(differs(what)) }
    };
    let restart = open("the store after a restart")?;
    let snapshot = folder.join("snapshot.bin");
    std::fs::remove_file(&snapshot).map_err(Error::file(&snapshot))?;
    let replay = open("the store after a replay")?;
    let (records, flagged) = (options.records, stream.flagged());
    Ok(Round { records, flagged, held_mib, memory, propose, durable, restart, replay })
}

/// Resident memory of this process, where `/proc` says it.
fn resident_mib() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<f64>().ok().map(|kib| kib / 1024.0)
}

fn differs(what: &str) -> Error {
    let expected = "the proposals of the batch".to_owned();
    Error::Answer { what: what.to_owned(), expected, got: "others".to_owned() }
}

/// The stream proposes what the batch does, for every limit.
fn check(live: &Recalibrator, options: &StreamOptions, stream: &Stream) -> Result<(), Error> {
    let counts = live.counts();
    if (counts.records, counts.kept) != (options.records as u64, stream.flagged() as u64) {
        return Err(differs("the counts of the stream"));
    }
    for (limit, proposal) in live.propose(&Options::default())? {
        if optimise_limit(&live.evidence(limit), &Options::default())? != proposal {
            return Err(differs("a proposal of the stream"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_is_checked_and_timed() {
        let folder = tempfile::tempdir().unwrap();
        let options = StreamOptions { records: 30_000, limits: 20, flagged: 0.1, seed: 3 };
        let round = round(&options, folder.path()).unwrap();
        assert!(round.memory > 0.0 && round.restart > 0.0 && round.replay > 0.0);
        assert!(round.records == 30_000 && (2_000..4_000).contains(&round.flagged));
        assert_eq!(resident_mib().is_some(), cfg!(target_os = "linux"));
    }
}

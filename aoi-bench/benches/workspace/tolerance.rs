//! Records to limits, over growing files.

use std::hint::black_box;
use std::path::PathBuf;

use aoi_bench::flagged::{Flagged, FlaggedOptions};
use aoi_bench::generate::{RecordsOptions, Written, write_records};
use aoi_bench::trial::sizes;
use aoi_tolerance::io::{ReadOptions, Records, read_records};
use aoi_tolerance::optimise::optimise;
use aoi_tolerance::options::Options;
use aoi_tolerance::simulate::{WhatIf, simulate};
use criterion::{BenchmarkId, Criterion, Throughput};

/// A records file in a folder that goes when it is dropped.
struct Input {
    _folder: tempfile::TempDir,
    path: PathBuf,
    written: Written,
}

impl Input {
    fn records(rows: usize) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("records.csv");
        let mut file = std::fs::File::create(&path).expect("a file");
        let options = RecordsOptions { rows: rows as u64, ..RecordsOptions::default() };
        let written = write_records(&mut file, &options).expect("room");
        Self { _folder: folder, path, written }
    }

    fn read(&self, threads: usize) -> Records {
        let options = ReadOptions { threads, ..ReadOptions::default() };
        read_records(std::slice::from_ref(&self.path), &options, &mut ()).expect("records")
    }
}

pub(crate) fn read(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("tolerance/read");
    group.sample_size(10);
    for &rows in sizes(&[10_000, 100_000, 1_000_000]) {
        let input = Input::records(rows);
        for threads in [1, 2] {
            let counts = input.read(threads).population.counts;
            let defects = counts.by_verdict[aoi_tolerance::record::Verdict::Defect as usize];
            assert_eq!((counts.records, counts.flagged, defects), {
                let Written { rows, flagged, defects } = input.written;
                (rows, flagged, defects)
            });
            group.throughput(Throughput::Elements(rows as u64));
            group.bench_function(BenchmarkId::new(format!("cpu_{threads}_threads"), rows), |b| {
                b.iter(|| black_box(input.read(threads)));
            });
        }
    }
    group.finish();
}

/// Evidence of `values` flagged values, a thousand to a limit.
fn evidence(values: usize) -> Vec<aoi_tolerance::evidence::Evidence> {
    let limits = u32::try_from(values / 1_000).expect("few limits");
    Flagged::draw(&FlaggedOptions { values, limits, seed: 4 }).evidence()
}

/// The limits by definition: sort, interpolate between the two neighbours of (n - 1) p, hold at the worst defect.
fn reference(evidence: &[aoi_tolerance::evidence::Evidence], percent: f64) -> Vec<f64> {
    let limit = |e: &aoi_tolerance::evidence::Evidence| {
        let mut sorted = e.false_calls.clone();
        sorted.sort_by(f64::total_cmp);
        let index = (sorted.len() - 1) as f64 * percent / 100.0;
        let (whole, part) = (index.floor(), index.fract());
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index")]
        let below = whole as usize;
        let above = (below + 1).min(sorted.len() - 1);
        let percentile = sorted[below] + part * (sorted[above] - sorted[below]);
        let worst = e.defects.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        percentile.max(worst.next_up()).min(e.limit)
    };
    evidence.iter().map(limit).collect()
}

pub(crate) fn optimised(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("tolerance/optimise");
    group.sample_size(10);
    for &values in sizes(&[10_000, 100_000, 1_000_000]) {
        let evidence = evidence(values);
        let options = Options::default();
        let proposals = optimise(&evidence, &options).expect("limits");
        for (proposal, expected) in proposals.iter().zip(reference(&evidence, options.percentile)) {
            let off = (proposal.new_limit - expected).abs();
            assert!(off <= 2.0 * f64::EPSILON * expected.abs(), "{proposal:?} {expected}");
        }
        assert!(proposals.iter().any(aoi_tolerance::proposal::Proposal::moves));
        group.throughput(Throughput::Elements(values as u64));
        group.bench_function(BenchmarkId::new("cpu", values), |b| {
            b.iter(|| optimise(black_box(&evidence), &options).expect("limits"));
        });
        group.bench_function(BenchmarkId::new("reference", values), |b| {
            b.iter(|| reference(black_box(&evidence), options.percentile));
        });
    }
    group.finish();
}

pub(crate) fn simulated(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("tolerance/simulate_101");
    group.sample_size(10);
    let percentiles: Vec<f64> = (0..=100).map(f64::from).collect();
    for &values in sizes(&[10_000, 100_000, 1_000_000]) {
        let evidence = evidence(values);
        let options = Options::default();
        let mut seen = 0;
        simulate(&evidence, &percentiles, &options, |what_if| {
            let percentile = what_if.percentile();
            assert_eq!(
                what_if.proposals()?,
                optimise(&evidence, &Options { percentile, ..options.clone() })?
            );
            seen += 1;
            Ok(())
        })
        .expect("limits");
        assert_eq!(seen, percentiles.len());
        group.throughput(Throughput::Elements(values as u64));
        group.bench_function(BenchmarkId::new("cpu", values), |b| {
            b.iter(|| {
                let sum = |what_if: &WhatIf<'_>| {
                    black_box(what_if.totals());
                    Ok(())
                };
                simulate(black_box(&evidence), &percentiles, &options, sum).expect("limits");
            });
        });
    }
    group.finish();
}

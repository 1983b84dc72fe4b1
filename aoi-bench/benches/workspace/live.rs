//! The recalibrator: records in memory, order statistics, proposals.

use std::hint::black_box;

use aoi_bench::live::{Stream, StreamOptions};
use aoi_bench::trial::sizes;
use aoi_testing::Seeded;
use aoi_tolerance::optimise::optimise;
use aoi_tolerance::options::Options;
use aoi_tolerance::recalibrate::{Arrival, LiveOptions, Ranked, Recalibrator};
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput};

fn push_all(stream: &Stream) -> Recalibrator {
    let mut live = Recalibrator::new(LiveOptions::default());
    for (sequence, record) in (0..).zip(stream.records()) {
        live.push(&record, Arrival { sequence, received: 0 });
    }
    live
}

pub(crate) fn pushed(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("live/push");
    group.sample_size(10);
    for &records in sizes(&[10_000, 1_000_000]) {
        for (name, flagged) in [("line", 0.015), ("all_flagged", 1.0)] {
            let stream = Stream::draw(&StreamOptions { records, flagged, ..StreamOptions::default() });
            let live = push_all(&stream);
            assert_eq!(live.counts().records, records as u64);
            let evidence: Vec<_> = live.limits().map(|l| live.evidence(l)).collect();
            let streamed = live.propose(&Options::default()).expect("proposals");
            let batch = optimise(&evidence, &Options::default()).expect("proposals");
            assert!(streamed.iter().map(|(_, p)| p).eq(&batch));
            group.throughput(Throughput::Elements(records as u64));
            group
                .bench_function(BenchmarkId::new(name, records), |b| b.iter(|| black_box(push_all(&stream))));
        }
    }
    group.finish();
}

/// One insert and one delete among so many values: the tree against a sorted vector.
pub(crate) fn ranked(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("live/ranked");
    for &n in sizes(&[1_000, 10_000, 100_000, 1_000_000]) {
        let mut random = Seeded::new(6);
        let values: Vec<f64> = (0..n).map(|_| random.unit()).collect();
        let mut tree: Ranked = values.iter().copied().collect();
        let mut sorted = values;
        sorted.sort_by(f64::total_cmp);
        assert_eq!(tree.to_vec(), sorted);
        group.bench_function(BenchmarkId::new("tree", n), |b| {
            b.iter_batched(
                || random.unit(),
                |v| {
                    tree.insert(v);
                    assert!(tree.remove(v));
                },
                BatchSize::SmallInput,
            );
        });
        let mut random = Seeded::new(6);
        group.bench_function(BenchmarkId::new("sorted_vec", n), |b| {
            b.iter_batched(
                || random.unit(),
                |v| {
                    let at = sorted.partition_point(|x| *x < v);
                    sorted.insert(at, v);
                    sorted.remove(sorted.partition_point(|x| *x < v));
                },
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

/// A proposal for one limit out of many values, asked again after each record.
pub(crate) fn proposed(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("live/propose");
    for &records in sizes(&[10_000, 1_000_000]) {
        let stream = Stream::draw(&StreamOptions { records, limits: 1, flagged: 1.0, seed: 7 });
        let live = push_all(&stream);
        let limit = live.limits().next().expect("a limit");
        let options = Options::default();
        let expected = optimise(&[live.evidence(limit)], &options).expect("a proposal").remove(0);
        assert_eq!(live.propose_some(vec![limit], &options).expect("a proposal").remove(0).1, expected);
        group.bench_function(BenchmarkId::new("live", records), |b| {
            b.iter(|| black_box(live.propose_some(vec![limit], &options).expect("a proposal")));
        });
    }
    group.finish();
}

//! From a picture to its mask: the paper's encoder, the exact search in a bank of labelled patches, mixing, thresholds.

use std::hint::black_box;

use aoi::patch_encoder::{VitOptions, open};
use aoi::segment::{Segmenter, Settings};
use aoi_bench::network::drawn;
use aoi_bench::pipeline::{SIDE, bank, picture};
use aoi_bench::trial::{is_trial, sizes};
use aoi_encoder::ndarray::s;
use aoi_encoder::{Config, weights};
use aoi_retrieval::{Metric, Reference};
use criterion::{BenchmarkId, Criterion, Throughput};

pub(crate) fn image_to_mask(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("pipeline/image_to_mask");
    group.sample_size(10);
    let config = if is_trial() { Config { depth: 1, ..Config::paper() } } else { Config::paper() };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("encoder.safetensors");
    weights::save(&path, &config, &drawn(&config, 1).expect("parameters")).expect("room for weights");
    let (encoder, _) = open(&path, &VitOptions::default()).expect("an encoder");
    for &(rows, side) in sizes(&[(1_000, 128), (10_000, 512), (100_000, 512)]) {
        let (bank, _) = bank(encoder.as_ref(), rows).expect("a bank");
        let settings = Settings { k: 30, ..Settings::default() };
        let segmenter = Segmenter::new(encoder.as_ref(), &bank, settings.clone(), 0).expect("a segmenter");
        let asked = picture(7, side, encoder.channels());
        // A picture of the bank finds itself, and a new one the mask that a search by every f64 score gives.
        let known = picture(100, SIDE, encoder.channels());
        let mask = segmenter.predict(&known).expect("a mask");
        let right = (0..SIDE).filter(|&x| (mask[[0, SIDE / 2, x]] == 1) == (x < SIDE / 2)).count();
        assert!(right > SIDE * 9 / 10, "{right} of {SIDE} pixels");
        let corner = asked.slice(s![.., ..64, ..64]).to_owned();
        let reference = Reference::new(bank.keys(), Metric::Cosine).expect("a bank");
        let slow = Segmenter::with_search(encoder.as_ref(), &bank, Box::new(reference), settings, 0)
            .expect("a segmenter");
        assert_eq!(segmenter.scores(&corner).expect("scores"), slow.scores(&corner).expect("scores"));
        group.throughput(Throughput::Elements((side * side) as u64));
        group.bench_function(BenchmarkId::new(format!("cpu_{side}"), bank.rows()), |b| {
            b.iter(|| black_box(segmenter.predict(&asked)));
        });
    }
    group.finish();
}

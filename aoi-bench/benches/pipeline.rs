//! From a picture to its mask: the paper's encoder, the exact search in a bank of labelled patches, mixing, thresholds.
//!
//! `cargo bench -p aoi-bench --bench pipeline`; `-- --test` runs every body once on the smallest size.

use std::hint::black_box;

use aoi::patch_encoder::{PatchEncoder, VitOptions, open};
use aoi::segment::{Segmenter, Settings};
use aoi_bench::network::drawn;
use aoi_bench::trial::{is_trial, sizes};
use aoi_encoder::ndarray::{Array3, s};
use aoi_encoder::{Config, weights};
use aoi_retrieval::{Bank, CompleteLabels, Labels, Metric, PatchShape, Reference};
use aoi_testing::Seeded;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

/// Pixels along a labelled picture.
const SIDE: usize = 256;
const CLASSES: [&str; 2] = ["left", "dark"];

fn picture(seed: u64, side: usize, channels: usize) -> Array3<f32> {
    let mut random = Seeded::new(seed);
    // Blotches rather than noise, so that patches differ.
    let blotches: Vec<f32> =
        random.normals_f32(channels * 64).iter().map(|n| (0.45 + 0.2 * n).clamp(0.0, 0.9)).collect();
    Array3::from_shape_fn((channels, side, side), |(c, y, x)| {
        let fine = ((x * 13 + y * 7) % 32) as f32 / 320.0;
        blotches[c * 64 + y * 8 / side * 8 + x * 8 / side] + fine
    })
}

/// A bank of at least `rows` patches of drawn pictures, whose masks follow from place and brightness.
fn bank(encoder: &dyn PatchEncoder, rows: usize) -> Bank {
    let shape = PatchShape { patch: encoder.patch(), classes: CLASSES.len() };
    let empty = Labels::Complete(CompleteLabels::empty(shape).expect("a shape"));
    let mut bank = Bank::new(encoder.width(), CLASSES.map(str::to_owned).to_vec(), empty).expect("a bank");
    bank.set_attribute("encoder", encoder.identity());
    let mut images = 0;
    while bank.rows() < rows {
        let picture = picture(100 + images, SIDE, encoder.channels());
        let mask = Array3::from_shape_fn((CLASSES.len(), SIDE, SIDE), |(class, y, x)| {
            u8::from(if class == 0 { x < SIDE / 2 } else { picture[[0, y, x]] < 0.4 })
        });
        let keys = encoder.encode(&picture).expect("a picture").patches;
        let labels = CompleteLabels::from_image(mask.view(), encoder.patch()).expect("a mask");
        bank.add_image(&images.to_string(), keys.view(), &Labels::Complete(labels)).expect("fitting labels");
        images += 1;
    }
    bank
}

fn image_to_mask(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("pipeline/image_to_mask");
    group.sample_size(10);
    let config = if is_trial() { Config { depth: 1, ..Config::paper() } } else { Config::paper() };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("encoder.safetensors");
    weights::save(&path, &config, &drawn(&config, 1).expect("parameters")).expect("room for weights");
    let (encoder, _) = open(&path, &VitOptions::default()).expect("an encoder");
    for &(rows, side) in sizes(&[(1_000, 128), (10_000, 512), (100_000, 512)]) {
        let bank = bank(encoder.as_ref(), rows);
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

criterion_group!(benches, image_to_mask);
criterion_main!(benches);

//! The forward pass of the encoder, over growing tokens and batches.

use std::hint::black_box;

use aoi_bench::network::drawn;
use aoi_bench::trial::sizes;
use aoi_encoder::ndarray::{Array4, Axis};
use aoi_encoder::{Config, Encoder, EncoderOptions, Features, Params, Precision, Workspace, reference};
use aoi_testing::Seeded;
use criterion::{BenchmarkId, Criterion, Throughput};

fn images(config: &Config, batch: usize, side: usize) -> Array4<f32> {
    let shape = (batch, config.channels, side, side);
    let numbers = Seeded::new(2).normals_f32(batch * config.channels * side * side);
    Array4::from_shape_vec(shape, numbers).expect("as many numbers as the shape says")
}

/// Panics unless the patches of the first image are those of the f64 reference, within `bound` of its largest entry.
fn check(config: &Config, params: &Params<f32>, images: &Array4<f32>, features: &Features, bound: f64) {
    let first = images.slice_axis(Axis(0), (..1).into()).mapv(f64::from);
    let blocks = reference::forward(config, &params.to_f64(), &first).expect("the same images");
    let last = blocks.last().expect("a block");
    let exact = last.slice_axis(Axis(1), (config.prefix()..).into());
    let largest = exact.iter().fold(0.0_f64, |m, v| m.max(v.abs()));
    let patches = features.patches.slice_axis(Axis(0), (..1).into());
    assert_eq!(patches.shape(), exact.shape());
    for (got, exact) in patches.iter().zip(&exact) {
        let off = (f64::from(*got) - exact).abs() / largest;
        assert!(off <= bound, "{got} is {off:e} from {exact}");
    }
}

/// One body: checked, then measured.
fn measure(
    criterion: &mut Criterion,
    name: &str,
    config: &Config,
    (batch, side, size): (usize, usize, usize),
) {
    let mut group = criterion.benchmark_group(name);
    group.sample_size(10);
    let params = drawn(config, 1).expect("a sound configuration");
    let images = images(config, batch, side);
    let grid = config.grid_of(side, side).expect("whole patches");
    group.throughput(Throughput::Elements((batch * grid.len()) as u64));
    for (function, precision, bound) in
        [("cpu_f32", Precision::F32, 1e-5), ("cpu_bf16", Precision::Bf16, 0.05)]
    {
        let options = EncoderOptions { precision, ..EncoderOptions::default() };
        let encoder =
            Encoder::with_options(config, &params, &options).expect("this processor's own instructions");
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let mut workspace = Workspace::new(threads).expect("threads");
        let mut features = Features::default();
        encoder.forward_into(&images, &[], &mut workspace, &mut features).expect("fitting images");
        check(config, &params, &images, &features, bound);
        group.bench_function(BenchmarkId::new(function, size), |b| {
            b.iter(|| {
                let images = black_box(&images);
                encoder.forward_into(images, &[], &mut workspace, &mut features).expect("fitting images");
            });
        });
    }
    group.finish();
}

pub(crate) fn growing_tokens(criterion: &mut Criterion) {
    let config = Config { depth: 2, ..Config::paper() };
    for &side in sizes(&[64, 128, 256, 512]) {
        measure(criterion, "encoder/forward_tokens", &config, (1, side, (side / config.patch).pow(2)));
    }
}

pub(crate) fn growing_batch(criterion: &mut Criterion) {
    let config = Config { depth: 2, ..Config::preset("vit-ti/16").expect("a known name") };
    for &batch in sizes(&[1, 2, 4, 8]) {
        measure(criterion, "encoder/forward_batch", &config, (batch, 224, batch));
    }
}

//! Steps of masked-autoencoder pre-training.

use aoi_bench::trial::is_trial;
use aoi_encoder::mae::{Decoder, Mae, MaeBatches, MaeTape, Mask};
use aoi_encoder::ndarray::Array4;
use aoi_encoder::optimise::{AdamW, AdamWOptions, clip};
use aoi_encoder::{Config, Grid, Params};
use aoi_testing::Seeded;
use criterion::{BenchmarkId, Criterion, Throughput};

/// A network and a batch for it.
struct Case {
    mae: Mae,
    params: Params<f32>,
    images: Array4<f32>,
    masks: Vec<Mask>,
}

impl Case {
    fn new(config: &Config, decoder: Decoder, batch: usize) -> Self {
        let mae = Mae::new(config, decoder, true).expect("a network");
        let side = (config.grid.rows * config.patch, config.grid.columns * config.patch);
        let shape = (batch, config.channels, side.0, side.1);
        let pixels = Seeded::new(1).normals_f32(shape.0 * shape.1 * shape.2 * shape.3);
        let images = Array4::from_shape_vec(shape, pixels).expect("as many pixels");
        let masks =
            (0..batch as u64).map(|i| Mask::draw(config.grid.len(), 0.75, 2, [0, i]).expect("a mask"));
        Self { params: mae.initial(3), masks: masks.collect(), images, mae }
    }

    /// The batch's gradient in f64 on one thread, all images in one piece.
    fn check(&self, loss: f64, gradient: &Params<f32>) {
        let params = self.params.to_f64();
        let mut expected = Params::zeros(self.mae.table().clone());
        let images = self.images.mapv(f64::from);
        let tape = &mut MaeTape::new(false);
        let reference =
            self.mae.gradient(&params, &images, &self.masks, 1.0, tape, &mut expected).expect("a loss");
        assert!((loss - reference).abs() < 1e-5 * reference, "{loss} {reference}");
        for tensor in self.mae.table().tensors() {
            let (ours, expected) = (gradient.get(&tensor.name), expected.get(&tensor.name));
            let largest = expected.iter().fold(0.0_f64, |m, g| m.max(g.abs()));
            let off = ours.iter().zip(expected).fold(0.0_f64, |m, (o, e)| m.max((f64::from(*o) - e).abs()));
            assert!(off <= 1e-4 * largest + 1e-9, "{}: {off:e} of {largest:e}", tensor.name);
        }
    }
}

pub(crate) fn steps(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("encoder/mae_step");
    group.sample_size(10);
    let grid = Grid { rows: 4, columns: 4 };
    let tiny = Config { width: 32, depth: 2, heads: 2, hidden: 64, grid, ..Config::paper() };
    let side = Grid { rows: 14, columns: 14 };
    let cases = [
        ("tiny 64", tiny, Decoder { width: 32, depth: 1, heads: 2 }, 4),
        (
            "vit-ti/16 224",
            Config::preset("vit-ti/16").expect("a preset"),
            Decoder { width: 192, depth: 2, heads: 3 },
            32,
        ),
        (
            "paper 224",
            Config { grid: side, ..Config::paper() },
            Decoder { width: 384, depth: 2, heads: 6 },
            32,
        ),
    ];
    for (name, config, decoder, batch) in &cases[..if is_trial() { 1 } else { cases.len() }] {
        let mut case = Case::new(config, *decoder, *batch);
        let mut gradient = Params::zeros(case.mae.table().clone());
        let mut batches = MaeBatches::new(2, 8, false).expect("threads");
        let loss = batches
            .gradient(&case.mae, &case.params, &case.images, &case.masks, &mut gradient)
            .expect("a loss");
        case.check(loss, &gradient);
        let mut optimiser = AdamW::new(case.mae.table(), AdamWOptions::default()).expect("moments");
        group.throughput(Throughput::Elements(*batch as u64));
        group.bench_function(BenchmarkId::new("cpu_2_threads", format!("{name} batch {batch}")), |b| {
            b.iter(|| {
                batches
                    .gradient(&case.mae, &case.params, &case.images, &case.masks, &mut gradient)
                    .expect("a loss");
                batches.install(|| {
                    clip(gradient.values_mut(), 5.0);
                    optimiser.step(&mut case.params, &gradient, |_| 1e-6).expect("a step");
                });
            });
        });
    }
    group.finish();
}

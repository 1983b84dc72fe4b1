//! From neighbours to the scores of every pixel: cost against neighbours, for each rule and kind of label.

use std::hint::black_box;

use aoi_bench::trial::sizes;
use aoi_retrieval::ndarray::{Array2, Array4};
use aoi_retrieval::{Beta, CompleteLabels, Labels, PatchGrid, Rule, mix};
use aoi_testing::Seeded;
use criterion::{BenchmarkId, Criterion, Throughput};

/// Labelled patches, classes, pixels along a patch.
const BANK: usize = 10_000;
const CLASSES: usize = 4;
const PATCH: usize = 16;

/// The patches of a picture of 512 x 512.
const GRID: PatchGrid = PatchGrid { down: 32, across: 32 };

fn labels() -> CompleteLabels {
    let mut random = Seeded::new(4);
    // Edges at random heights, as a wire's are: runs of equal pixels.
    let edges: Vec<usize> = (0..BANK * CLASSES).map(|_| random.below(PATCH + 1)).collect();
    let masks = Array4::from_shape_fn((BANK, PATCH, PATCH, CLASSES), |(n, y, _, c)| {
        u8::from(y < edges[n * CLASSES + c])
    });
    CompleteLabels::from_patches(masks.view()).expect("zeros and ones")
}

/// The score of one pixel by its definition.
fn expected(
    labels: &CompleteLabels,
    rows: &[u32],
    weights: &[f64],
    (class, y, x): (usize, usize, usize),
) -> f64 {
    let set = |row: &u32| f64::from(u8::from(labels.get(*row as usize, class, y * PATCH + x)));
    rows.iter().zip(weights).map(|(row, w)| w * set(row)).sum()
}

pub(crate) fn rules(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("retrieval/mix");
    group.sample_size(10);
    let complete = labels();
    let cells = GRID.down * GRID.across;
    for &k in sizes(&[1, 10, 30, 100]) {
        let mut random = Seeded::new(5);
        let rows = Array2::from_shape_fn((cells, k), |_| u32::try_from(random.below(BANK)).expect("a row"));
        let distances = Array2::from_shape_fn((cells, k), |_| 0.01 + random.unit());
        let one = Rule::Attention(Beta::Shared(0.05));
        let each = Rule::Attention(Beta::PerClass(vec![0.02, 0.05, 0.1, 0.2]));
        for (name, rule, labels) in [
            ("cpu_similarity", Rule::Similarity, Labels::Complete(complete.clone())),
            ("cpu_attention", one, Labels::Complete(complete.clone())),
            ("cpu_attention_per_class", each, Labels::Complete(complete.clone())),
            ("cpu_similarity_average", Rule::Similarity, Labels::Average(complete.averages())),
        ] {
            let scores = || mix(rows.view(), distances.view(), &labels, &rule, GRID).expect("scores");
            let found = scores();
            assert_eq!(found.dim(), (CLASSES, GRID.down * PATCH, GRID.across * PATCH));
            if matches!(labels, Labels::Complete(_)) {
                for (cell, class, y, x) in [(0, 0, 3, 5), (cells - 1, 3, 15, 0), (cells / 2 + 7, 1, 8, 8)] {
                    let weights = rule.weights(&distances.row(cell).to_vec(), class).expect("weights");
                    let by_hand = expected(&complete, &rows.row(cell).to_vec(), &weights, (class, y, x));
                    let (top, left) = (cell / GRID.across * PATCH, cell % GRID.across * PATCH);
                    let got = found[[class, top + y, left + x]];
                    assert!((got - by_hand).abs() < 1e-12, "{name}: {got} {by_hand}");
                }
            }
            group.throughput(Throughput::Elements(found.len() as u64));
            group.bench_function(BenchmarkId::new(name, k), |b| b.iter(|| black_box(scores())));
        }
    }
    group.finish();
}

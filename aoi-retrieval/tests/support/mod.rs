//! What the integration tests share: fixtures and an oracle that shares no code with the crate.
#![allow(dead_code, unused_imports, unused_macros, reason = "each test binary uses its part")]

pub(crate) mod conformance;

use aoi_retrieval::Metric;
use aoi_retrieval::ndarray::{Array, ArrayView1, ArrayView2, Dimension};
use ndarray_npy::ReadableElement;

/// An array of `tests/data/mixing`, made by `tools/fixtures/retrieval.py`.
pub(crate) fn fixture<A: ReadableElement, D: Dimension>(name: &str) -> Array<A, D> {
    let path = format!("{}/tests/data/mixing/{name}.npy", env!("CARGO_MANIFEST_DIR"));
    ndarray_npy::read_npy(&path).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// The `k` best rows by plain left-to-right sums: exact for small integers, close otherwise.
pub(crate) fn naive(
    bank: &ArrayView2<'_, f32>,
    query: &ArrayView1<'_, f32>,
    metric: Metric,
    k: usize,
) -> Vec<(u32, f64)> {
    let product = |a: &ArrayView1<'_, f32>, b: &ArrayView1<'_, f32>| -> f64 {
        a.iter().zip(b.iter()).map(|(&x, &y)| f64::from(x) * f64::from(y)).sum()
    };
    let mut all: Vec<(u32, f64)> = (0..)
        .zip(bank.outer_iter())
        .map(|(i, row)| {
            let score = match metric {
                Metric::InnerProduct => product(query, &row),
                Metric::L2 => {
                    query.iter().zip(&row).map(|(&x, &y)| (f64::from(x) - f64::from(y)).powi(2)).sum()
                }
                Metric::Cosine => {
                    let lengths = product(query, query).sqrt() * product(&row, &row).sqrt();
                    if lengths > 0.0 { product(query, &row) / lengths } else { 0.0 }
                }
            };
            (i, score)
        })
        .collect();
    let sign = if metric == Metric::L2 { 1.0 } else { -1.0 };
    all.sort_by(|a, b| (sign * a.1).partial_cmp(&(sign * b.1)).unwrap().then(a.0.cmp(&b.0)));
    all.truncate(k);
    all
}

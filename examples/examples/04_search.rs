//! Exact nearest neighbours, and why each answer is the right one.

use aoi_retrieval::ndarray::{Array2, s};
use aoi_retrieval::{CpuOptions, CpuSearch, Metric, Reference, Search, SearchOptions};

fn main() -> Result<(), aoi_retrieval::RetrievalError> {
    // 20,000 rows on a slow curve: neighbours are close, and only exact scores tell them apart.
    let bank = Array2::from_shape_fn((20_000, 32), |(i, j)| {
        let angle = i as f32 * 0.001 * (1 + j % 7) as f32;
        if j % 2 == 0 { angle.sin() } else { angle.cos() }
    });
    let queries = bank.slice(s![..64, ..]);
    let search = CpuSearch::new(bank.view(), Metric::Cosine, &CpuOptions::default())?;
    let found = search.search(queries, &SearchOptions { k: 5, threads: 2 })?;
    let [compact, float, exhaustive] = found.route_counts();
    println!("64 queries over {} rows", search.rows());
    println!("certified by the compact scan {compact}, the f32 scan {float}, scoring every row {exhaustive}");
    println!("query 10: rows {:?}", found.indices.row(10).to_vec());
    println!("          {} rows were scored in f64", found.certificates[10].rescored);

    // The slow definition agrees to the last bit.
    let reference = Reference::new(bank.view(), Metric::Cosine)?;
    let judged = reference.search(queries, &SearchOptions { k: 5, threads: 1 })?;
    assert_eq!((found.indices, found.scores), (judged.indices, judged.scores));
    Ok(())
}

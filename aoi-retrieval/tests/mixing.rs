//! Every mixing rule against numpy.

mod support;

use aoi_retrieval::ndarray::{Array2, Array3, Array4};
use aoi_retrieval::{
    Beta, CompleteLabels, CpuOptions, CpuSearch, Labels, Metric, PatchGrid, Rule, Search, SearchOptions, mix,
    neighbour_distances,
};
use aoi_testing::{assert_all_close, for_each_case};
use support::fixture;

#[test]
fn every_rule_mixes_what_numpy_mixes() {
    let (bank, queries): (Array2<f32>, Array2<f32>) = (fixture("bank"), fixture("queries"));
    let masks: Array4<u8> = fixture("labels");
    let labels = Labels::Complete(CompleteLabels::from_patches(masks.view()).unwrap());
    let search = CpuSearch::new(bank.view(), Metric::Cosine, &CpuOptions::default()).unwrap();
    let found = search.search(queries.view(), &SearchOptions { k: 6, threads: 1 }).unwrap();
    let distances = neighbour_distances(bank.view(), queries.view(), &found).unwrap();
    let attention = |beta| Rule::Attention(Beta::Shared(beta));
    let rules = [
        ("similarity", Rule::Similarity),
        ("uniform", Rule::Uniform),
        ("attention_0.02", attention(0.02)),
        ("attention_0.1", attention(0.1)),
        ("multi-scale_0.02", Rule::MultiScale(Beta::Shared(0.02))),
    ];
    for_each_case(rules.map(|(name, rule)| (name, (name, rule))), |(name, rule)| {
        let expected: Array3<f64> = fixture(&format!("mix_{name}"));
        let grid = PatchGrid { down: 2, across: 3 };
        let mixed = mix(found.indices.view(), distances.view(), &labels, &rule, grid).unwrap();
        assert_eq!(mixed.dim(), expected.dim());
        // Two f64 programs; the similarity weights divide by distances around 1e-8.
        assert_all_close(mixed.as_slice().unwrap(), expected.as_slice().unwrap(), 1e-7, 0.0);
    });
}

//! The one body of tests that every implementation of `Search` runs.

use std::ops::ControlFlow;

use aoi_retrieval::ndarray::{Array2, ArrayView2, Axis, concatenate, s};
use aoi_retrieval::{Metric, Neighbours, Progress, Reference, RetrievalError, Search, SearchOptions};
use aoi_testing::{Seeded, assert_all_close, for_each_case, lattice_f32};

use super::{fixture, naive};

/// Makes a search over a bank.
pub(crate) type Build =
    for<'a> fn(ArrayView2<'a, f32>, Metric) -> Result<Box<dyn Search + 'a>, RetrievalError>;
/// Named implementations.
pub(crate) type Implementations = [(&'static str, Build)];

/// One `#[test]` a body, with the given attributes, over the implementations that a function lists.
macro_rules! conformance_tests {
    ($implementations:path, $attributes:tt) => {
        conformance_tests! { @all $implementations, $attributes,
            an_empty_bank_has_no_neighbours_and_no_queries_have_no_answers,
            one_row_is_everyones_neighbour,
            sizes_at_a_tile_and_to_each_side_agree_on_lattice_data,
            every_k_up_to_beyond_the_bank_is_served,
            k_of_a_thousand_leaves_rows_out_of_a_larger_bank,
            equal_rows_are_ordered_by_row_number,
            a_bank_of_one_repeated_row_gives_the_first_rows,
            zero_rows_and_zero_queries_have_cosine_zero_to_everything,
            negative_zero_counts_as_zero,
            nan_and_infinity_are_errors_that_name_the_row,
            a_wrong_width_no_width_and_no_k_are_errors,
            a_search_that_is_stopped_says_so,
            rows_of_every_magnitude_are_ordered_rightly,
            a_bank_far_from_the_origin_is_ordered_rightly,
            numpy_gives_the_same_neighbours,
        }
    };
    (@all $implementations:path, $attributes:tt, $($name:ident,)+) => {
        $(conformance_tests! { @one $implementations, $attributes, $name })+
    };
    (@one $implementations:path, [$($attributes:tt)*], $name:ident) => {
        #[test]
        $($attributes)*
        fn $name() {
            crate::support::conformance::$name(&$implementations());
        }
    };
}
pub(crate) use conformance_tests;

fn lattice(n: usize, d: usize, seed: u64) -> Array2<f32> {
    Array2::from_shape_vec((n, d), lattice_f32(n * d, seed)).unwrap()
}

fn normals(n: usize, d: usize, seed: u64) -> Array2<f32> {
    Array2::from_shape_vec((n, d), Seeded::new(seed).normals_f32(n * d)).unwrap()
}

fn find(build: Build, bank: &Array2<f32>, queries: &Array2<f32>, metric: Metric, k: usize) -> Neighbours {
    let search = build(bank.view(), metric).unwrap();
    assert_eq!((search.metric(), search.rows(), search.width()), (metric, bank.nrows(), bank.ncols()));
    let one = search.search(queries.view(), &SearchOptions { k, threads: 1 }).unwrap();
    for threads in [2, 5] {
        let options = SearchOptions { k, threads };
        let mut reported = Progress { done: 0, total: queries.nrows() * bank.nrows() };
        let mut first = true;
        let mut watch = |p: Progress| {
            assert!(p.done >= reported.done && p.total >= reported.total, "{p:?} after {reported:?}");
            assert!(!first || p.done == 0, "{p:?} first");
            (reported, first) = (p, false);
            ControlFlow::Continue(())
        };
        let many = search.search_with_progress(queries.view(), &options, &mut watch).unwrap();
        assert_eq!((reported.done, first), (reported.total, false));
        assert_eq!((&one.indices, &one.scores), (&many.indices, &many.scores), "{threads} threads");
    }
    assert_eq!(one.certificates.len(), queries.nrows());
    one
}

/// Indices and scores of `build` against the naive oracle; exact where the sums are (lattice data).
pub(crate) fn check(build: Build, bank: &Array2<f32>, queries: &Array2<f32>, k: usize, exact: bool) {
    for metric in Metric::ALL {
        let found = find(build, bank, queries, metric, k);
        assert_eq!(found.indices.dim(), (queries.nrows(), k.min(bank.nrows())));
        let judge = Reference::new(bank.view(), metric).unwrap();
        let defined = judge.search(queries.view(), &SearchOptions { k, threads: 1 }).unwrap();
        assert_eq!(found.indices, defined.indices, "{metric}, k {k}");
        assert_eq!(found.scores, defined.scores, "{metric}, k {k}");
        for (q, query) in queries.outer_iter().enumerate() {
            let expected = naive(&bank.view(), &query, metric, k);
            let scores: Vec<f64> = found.of(q).map(|n| n.score).collect();
            let expected_scores: Vec<f64> = expected.iter().map(|e| e.1).collect();
            if exact {
                assert_eq!(
                    found.of(q).map(|n| (n.row, n.score)).collect::<Vec<_>>(),
                    expected,
                    "{metric}, query {q}"
                );
            } else if !scores.is_empty() {
                assert_all_close(&scores, &expected_scores, 1e-12, 1e-12);
            }
        }
    }
}

pub(crate) fn an_empty_bank_has_no_neighbours_and_no_queries_have_no_answers(
    implementations: &Implementations,
) {
    for_each_case(implementations.iter().copied(), |build| {
        check(build, &lattice(0, 5, 1), &lattice(3, 5, 2), 4, true);
        check(build, &lattice(7, 5, 1), &lattice(0, 5, 2), 4, true);
    });
}

pub(crate) fn one_row_is_everyones_neighbour(implementations: &Implementations) {
    for_each_case(implementations.iter().copied(), |build| {
        check(build, &lattice(1, 9, 1), &lattice(20, 9, 2), 3, true);
    });
}

pub(crate) fn sizes_at_a_tile_and_to_each_side_agree_on_lattice_data(implementations: &Implementations) {
    for_each_case(implementations.iter().copied(), |build| {
        for n in [15, 16, 17, 31, 32, 33, 255, 256, 257] {
            for (d, q) in [(1, 1), (31, 13), (32, 14), (33, 15), (65, 29)] {
                check(build, &lattice(n, d, n as u64), &lattice(q, d, d as u64), 7, true);
            }
        }
    });
}

pub(crate) fn every_k_up_to_beyond_the_bank_is_served(implementations: &Implementations) {
    for_each_case(implementations.iter().copied(), |build| {
        for k in [1, 2, 3, 15, 16, 17, 100, 999, 1000, 1001, 1024] {
            check(build, &lattice(1000, 12, 3), &lattice(5, 12, 4), k, true);
        }
    });
}

/// Once in a bank little larger than k, once in one that a scan can leave most of, so that bins must be chosen.
pub(crate) fn k_of_a_thousand_leaves_rows_out_of_a_larger_bank(implementations: &Implementations) {
    for_each_case(implementations.iter().copied(), |build| {
        for (n, k) in [(1100, 1024), (4000, 1024), (4000, 1023)] {
            check(build, &lattice(n, 12, 21), &lattice(2, 12, 22), k, true);
            check(build, &normals(n, 12, 23), &normals(2, 12, 24), k, false);
        }
    });
}

pub(crate) fn equal_rows_are_ordered_by_row_number(implementations: &Implementations) {
    for_each_case(implementations.iter().copied(), |build| {
        let base = normals(40, 24, 5);
        let bank = concatenate![Axis(0), base, base, base.slice(s![..10, ..])];
        check(build, &bank, &normals(6, 24, 6), 25, false);
        check(build, &bank, &base, 3, false);
        let found = find(build, &bank, &base, Metric::L2, 3);
        assert_eq!(found.indices.row(2).to_vec(), [2, 42, 82], "three copies of row 2");
        assert_eq!(found.scores.row(2).to_vec(), [0.0; 3]);
    });
}

pub(crate) fn a_bank_of_one_repeated_row_gives_the_first_rows(implementations: &Implementations) {
    for_each_case(implementations.iter().copied(), |build| {
        let bank = Array2::from_shape_fn((700, 20), |(_, j)| 0.1 + j as f32);
        for metric in Metric::ALL {
            let found = find(build, &bank, &normals(3, 20, 1), metric, 9);
            assert_eq!(found.indices.row(1).to_vec(), (0..9).collect::<Vec<_>>(), "{metric}");
        }
    });
}

pub(crate) fn zero_rows_and_zero_queries_have_cosine_zero_to_everything(implementations: &Implementations) {
    for_each_case(implementations.iter().copied(), |build| {
        let mut bank = lattice(50, 6, 8);
        bank.row_mut(4).fill(0.0);
        bank.row_mut(9).fill(-0.0);
        let mut queries = lattice(4, 6, 9);
        queries.row_mut(2).fill(-0.0);
        check(build, &bank, &queries, 50, true);
        let found = find(build, &bank, &queries, Metric::Cosine, 50);
        assert!(found.of(0).filter(|n| n.row == 4 || n.row == 9).all(|n| n.score == 0.0));
        assert_eq!(found.indices.row(2).to_vec(), (0..50).collect::<Vec<_>>());
    });
}

pub(crate) fn negative_zero_counts_as_zero(implementations: &Implementations) {
    for_each_case(implementations.iter().copied(), |build| {
        let bank = aoi_retrieval::ndarray::array![[0.0_f32, 1.0], [-0.0, 1.0], [-0.0, -1.0], [0.0, -1.0]];
        check(build, &bank, &aoi_retrieval::ndarray::array![[-0.0_f32, 2.0], [1.0, -0.0]], 4, true);
    });
}

pub(crate) fn nan_and_infinity_are_errors_that_name_the_row(implementations: &Implementations) {
    for_each_case(implementations.iter().copied(), |build| {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut bank = lattice(20, 40, 1);
            let mut queries = lattice(5, 40, 2);
            queries[[3, 33]] = bad;
            let error = build(bank.view(), Metric::L2)
                .and_then(|search| search.search(queries.view(), &SearchOptions::default()))
                .unwrap_err();
            assert!(error.to_string().contains("query row 3, column 33"), "{error}");
            bank[[17, 2]] = bad;
            let Err(error) = build(bank.view(), Metric::L2) else { panic!("{bad} was accepted") };
            assert!(error.to_string().contains("bank row 17, column 2"), "{error}");
        }
    });
}

pub(crate) fn a_wrong_width_no_width_and_no_k_are_errors(implementations: &Implementations) {
    for_each_case(implementations.iter().copied(), |build| {
        let bank = lattice(20, 4, 1);
        let search = build(bank.view(), Metric::Cosine).unwrap();
        let wide = search.search(lattice(2, 5, 1).view(), &SearchOptions::default()).unwrap_err();
        assert!(matches!(wide, RetrievalError::WidthMismatch { expected: 4, actual: 5, .. }), "{wide}");
        let none = search.search(lattice(2, 4, 1).view(), &SearchOptions { k: 0, threads: 1 }).unwrap_err();
        assert!(matches!(none, RetrievalError::BadOption { option: "k", .. }), "{none}");
        assert!(matches!(
            build(lattice(3, 0, 1).view(), Metric::Cosine),
            Err(RetrievalError::ZeroWidth { .. })
        ));
    });
}

pub(crate) fn a_search_that_is_stopped_says_so(implementations: &Implementations) {
    for_each_case(implementations.iter().copied(), |build| {
        let (bank, queries) = (normals(300, 7, 31), normals(20, 7, 32));
        let search = build(bank.view(), Metric::L2).unwrap();
        let mut calls = 0;
        let mut stop = |_: Progress| {
            calls += 1;
            ControlFlow::Break(())
        };
        let stopped =
            search.search_with_progress(queries.view(), &SearchOptions { k: 3, threads: 2 }, &mut stop);
        assert!(matches!(stopped, Err(RetrievalError::Cancelled { done: 0, total: 6000 })), "{stopped:?}");
        assert_eq!(calls, 1);
    });
}

pub(crate) fn rows_of_every_magnitude_are_ordered_rightly(implementations: &Implementations) {
    for_each_case(implementations.iter().copied(), |build| {
        let mut bank = normals(200, 16, 11);
        for (i, mut row) in bank.outer_iter_mut().enumerate() {
            let scale = [1.0, 1e-30, 1e30, 1e-44, 3e37][i % 5];
            row.mapv_inplace(|x| x * scale);
        }
        let mut queries = normals(5, 16, 12);
        for (mut row, scale) in queries.outer_iter_mut().zip([1.0, 1e30, 1e-30, 1e-42, 2e37]) {
            row.mapv_inplace(|x| x * scale);
        }
        check(build, &bank, &queries, 60, false);
    });
}

pub(crate) fn a_bank_far_from_the_origin_is_ordered_rightly(implementations: &Implementations) {
    for_each_case(implementations.iter().copied(), |build| {
        let bank = normals(300, 40, 13) + 1000.0;
        check(build, &bank, &(normals(7, 40, 14) + 1000.0), 20, false);
    });
}

pub(crate) fn numpy_gives_the_same_neighbours(implementations: &Implementations) {
    for_each_case(implementations.iter().copied(), |build| {
        let (bank, queries): (Array2<f32>, Array2<f32>) = (fixture("bank"), fixture("queries"));
        for metric in Metric::ALL {
            let indices: Array2<u32> = fixture(&format!("nearest_{metric}"));
            let scores: Array2<f64> = fixture(&format!("score_{metric}"));
            let found = find(build, &bank, &queries, metric, indices.ncols());
            assert_eq!(found.indices, indices, "{metric}");
            assert_all_close(found.scores.as_slice().unwrap(), scores.as_slice().unwrap(), 1e-12, 1e-12);
        }
    });
}

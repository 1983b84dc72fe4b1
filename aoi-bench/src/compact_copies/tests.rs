use super::*;
use aoi_retrieval::Reference;

fn small() -> FeaturesOptions {
    FeaturesOptions { rows: 3000, queries: 70, width: 24, seed: 5 }
}

fn options(k: usize) -> Options {
    Options { given: Vec::new(), generated: small(), k, threads: 1, rounds: 1 }
}

/// Rows around one far point: what they share is most of them.
fn with_a_common_part(rows: &Array2<f32>) -> Array2<f32> {
    let mut rows = rows.mapv(|x| 0.2 * x);
    rows.column_mut(3).mapv_inplace(|x| x + 1.0);
    rows
}

fn kind<'a>(found: &'a OfBank, name: &str) -> &'a OfKind {
    found.kinds.iter().find(|k| k.name == name).unwrap()
}

#[test]
fn candidates_hold_the_reference_neighbours_and_their_count_is_that_of_a_plain_sort() {
    let k = 6;
    for (bank, queries) in [features::draw(&small()), draw_uniform(&small())] {
        let (bank, queries) = (with_a_common_part(&bank), with_a_common_part(&queries));
        let nearest = Reference::new(bank.view(), Metric::Cosine)
            .unwrap()
            .search(queries.view(), &SearchOptions { k, threads: 1 })
            .unwrap();
        let (rows, asked) = (unit_rows(&bank), unit_rows(&queries));
        let centre = rows.mean_axis(Axis(0)).unwrap();
        let found = compare("small", &bank, &queries, &options(k)).unwrap();
        assert_eq!(found.kinds.len(), Kind::ALL.len() + 1);
        for (of_kind, kind) in found.kinds.iter().zip(Kind::ALL) {
            let unit = |rows| Unit { rows, centre: &centre };
            let bounded = approximate(kind, &unit(rows.view()), &unit(asked.view()));
            let mut counts = Vec::new();
            for q in 0..queries.nrows() {
                let interval = |i: usize| {
                    let [v, e] = [bounded.values[[q, i]], bounded.errors[[q, i]]].map(f64::from);
                    (v - e, v + e)
                };
                let mut lower: Vec<f64> = (0..bank.nrows()).map(|i| interval(i).0).collect();
                lower.sort_by(|a, b| b.total_cmp(a));
                let left: Vec<usize> = (0..bank.nrows()).filter(|&i| interval(i).1 >= lower[k - 1]).collect();
                assert!(nearest.indices.row(q).iter().all(|&row| left.contains(&(row as usize))));
                counts.push(left.len());
            }
            let mean = counts.iter().sum::<usize>() as f64 / counts.len() as f64;
            assert_eq!(of_kind.candidates.mean, mean, "{}", of_kind.name);
            assert_eq!(of_kind.candidates.max, *counts.iter().max().unwrap() as f64, "{}", of_kind.name);
            let over = counts.iter().filter(|c| **c > found.most_rescored).count();
            assert_eq!(of_kind.fallbacks, over, "{}", of_kind.name);
        }
    }
}

#[test]
fn what_rows_share_costs_plain_int8_its_queries_and_other_copies_little() {
    let (bank, queries) = draw_uniform(&small());
    let found =
        compare("shared", &with_a_common_part(&bank), &with_a_common_part(&queries), &options(6)).unwrap();
    let plain = kind(&found, "int8, a step per row");
    let centred = kind(&found, "int8, a step per row, mean removed");
    let ours = kind(&found, OF_THE_SEARCH);
    assert!(plain.candidates.mean > 4.0 * centred.candidates.mean, "{plain:?} {centred:?}");
    assert!(plain.bound.mean > 2.0 * centred.bound.mean);
    assert!(ours.candidates.mean <= centred.candidates.mean, "{ours:?} {centred:?}");
    assert!(found.mean_length > 0.9);
    for of_kind in &found.kinds {
        let timed = [OF_THE_SEARCH, Kind::F32.name()].contains(&&*of_kind.name);
        assert_eq!(of_kind.timed.is_some(), timed, "{}", of_kind.name);
    }
    assert_eq!(ours.timed.as_ref().unwrap().fallbacks, ours.fallbacks);
}

#[test]
fn a_bound_that_does_not_hold_and_a_lost_neighbour_are_errors() {
    let exact = Array2::from_shape_vec((1, 3), vec![0.9, 0.5, 0.1]).unwrap();
    let nearest = Array2::from_shape_vec((1, 1), vec![0_u32]).unwrap();
    let judge = |values: [f32; 3], error: f32| {
        let bounded = BoundedScores {
            values: Array2::from_shape_vec((1, 3), values.to_vec()).unwrap(),
            errors: Array2::from_elem((1, 3), error),
        };
        let mut judged = Judged::new("some kind", 1);
        judged.judge(&bounded, &exact, &nearest.view()).map(|()| judged.candidates)
    };
    // A number of the query's own is no error.
    assert_eq!(judge([10.9, 10.5, 10.1], 0.01).unwrap(), [1.0]);
    assert_eq!(judge([0.9, 0.5, 0.1], 0.2).unwrap(), [2.0]);
    let error = judge([0.9, 0.5, 0.2], 0.04).unwrap_err().to_string();
    assert!(error.contains("some kind: expected errors within their bounds"), "{error}");
    let error = judge([0.5, 0.9, 0.1], f32::NAN).unwrap_err().to_string();
    assert!(error.contains("some kind"), "{error}");
    let wrong = Array2::from_shape_vec((1, 1), vec![2_u32]).unwrap();
    let bounded = BoundedScores {
        values: Array2::from_shape_vec((1, 3), vec![0.9, 0.5, 0.1]).unwrap(),
        errors: Array2::from_elem((1, 3), 0.01),
    };
    let error = Judged::new("some kind", 1).judge(&bounded, &exact, &wrong.view()).unwrap_err().to_string();
    assert!(error.contains("every neighbour among the candidates, got not row 2"), "{error}");
}

#[test]
fn a_spread_is_of_ranks() {
    let spread = Spread::of((1..=200).rev().map(f64::from).collect());
    assert_eq!((spread.mean, spread.percentile_99, spread.max), (100.5, Some(198.0), 200.0));
    assert_eq!(Spread::of(vec![7.0]).percentile_99, Some(7.0));
}

#[test]
fn a_run_reads_given_banks_and_writes_numbers_and_a_page() {
    let folder = tempfile::tempdir().unwrap();
    let drawn = FeaturesOptions { rows: 400, queries: 9, width: 16, seed: 2 };
    let (bank, queries) = features::draw(&drawn);
    features::write(&bank, &folder.path().join("bank.npy")).unwrap();
    features::write(&queries, &folder.path().join("queries.npy")).unwrap();
    let mut heard = Vec::new();
    let options = Options {
        given: vec![("own".to_owned(), folder.path().to_owned())],
        generated: FeaturesOptions { queries: 4, ..drawn },
        ..options(3)
    };
    let out = folder.path().join("out");
    run(&options, "today".to_owned(), &out, &mut |what| heard.push(what.to_owned())).unwrap();
    assert_eq!(heard, ["own", "clusters", "uniform"]);
    let text = std::fs::read_to_string(out.join("compact-copies.json")).unwrap();
    let found: Comparison = serde_json::from_str(&text).unwrap();
    assert_eq!(found.banks.iter().map(|b| b.queries).collect::<Vec<_>>(), [4, 4, 4]);
    let page = std::fs::read_to_string(out.join("compact-copies.md")).unwrap();
    assert_eq!(page.lines().filter(|l| l.starts_with("| ")).count(), 3 * (1 + Kind::ALL.len() + 1));
    assert!(page.contains("## own\n\n400 x 16, 4 queries"), "{page}");
}

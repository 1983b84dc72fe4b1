#![expect(clippy::cast_possible_truncation, reason = "small numbers made for a test")]

use std::ops::ControlFlow;

use super::*;
use crate::{Bank, Evaluation, ImageSize, Labels, PatchGrid, Reference, decide_by_threshold, mix};
use aoi_testing::Seeded;
use ndarray::{Array4, s};

/// Six images of 2 x 2 patches; what a patch shows follows from its key, but for some noise. The first four are cut: a row, a column or both
/// of their last patches lie beyond the border, and are labelled all the same. Nothing is known of the size of the last.
fn data() -> (Array2<f32>, CompleteLabels, Vec<BankImage>) {
    let mut s = Seeded::new(9);
    let keys = Array2::from_shape_fn((24, 5), |(i, j)| {
        (if i % 5 == j { 2.0 } else { 0.0 }) + 0.4 * s.normal() as f32
    });
    let masks = Array4::from_shape_fn((24, 2, 2, 2), |(i, y, x, c)| {
        u8::from((i % 5 + y + 2 * x * c) % 3 == 0) ^ u8::from(s.below(12) == 0)
    });
    let image = |i: usize| {
        let (height, width) = [(3, 3), (4, 3), (3, 4), (3, 3), (4, 4), (4, 4)][i];
        let size = (i < 5).then_some(ImageSize { height, width });
        BankImage { name: i.to_string(), rows: 4, size }
    };
    let images = (0..6).map(image).collect();
    (keys, CompleteLabels::from_patches(masks.view()).unwrap(), images)
}

fn grid() -> TuneGrid {
    TuneGrid {
        k: vec![5, 1, 3, 1000],
        rules: vec![
            Rule::Uniform,
            Rule::Similarity,
            Rule::Attention(Beta::PerClass(vec![0.1, 0.02])),
            Rule::MultiScale(Beta::Shared(0.1)),
        ],
        thresholds: vec![0.5, 0.2, 0.05],
    }
}

#[test]
fn every_trial_equals_mixing_and_scoring_by_the_long_way() {
    let (keys, labels, images) = data();
    let input = TuneImages { keys: keys.view(), labels: &labels, images: &images };
    let options = TuneOptions { folds: 6, seed: 1, threads: 1 };
    let mut steps = Vec::new();
    let tuned = tune(&input, &grid(), &options, &mut |p| {
        steps.push(p.done);
        ControlFlow::Continue(())
    })
    .unwrap();
    assert_eq!(steps, (0..=24).collect::<Vec<_>>());
    assert_eq!(tuned.trials.len(), 16);
    assert!(tuned.trials.windows(2).all(|w| w[0].counts.mean_iou() >= w[1].counts.mean_iou()));
    for trial in &tuned.trials {
        // Six folds of six images leave one out each, whatever the seed.
        let mut evaluation = Evaluation::default();
        for (i, image) in images.iter().enumerate() {
            let ImageSize { height, width } = image.size.unwrap_or(ImageSize { height: 4, width: 4 });
            let image = 4 * i..4 * i + 4;
            let kept: Vec<usize> = (0..24).filter(|i| !image.contains(i)).collect();
            let bank = keys.select(Axis(0), &kept);
            let queries = keys.slice(s![image.clone(), ..]);
            let search = Reference::new(bank.view(), Metric::Cosine).unwrap();
            let found = search.search(queries, &SearchOptions { k: trial.k, threads: 1 }).unwrap();
            let distances = neighbour_distances(bank.view(), queries, &found).unwrap();
            let own = Labels::Complete(labels.select(&kept).unwrap());
            let grid = PatchGrid { down: 2, across: 2 };
            let scores = mix(found.indices.view(), distances.view(), &own, &trial.rule, grid).unwrap();
            let predicted = decide_by_threshold(scores.view(), &trial.thresholds).unwrap();
            let rows = ndarray::Array::from_iter(image.clone()).mapv(|r| u32::try_from(r).unwrap());
            let rows = rows.insert_axis(Axis(1));
            let all = Labels::Complete(labels.clone());
            let truth = mix(rows.view(), Array2::zeros((4, 1)).view(), &all, &Rule::Uniform, grid).unwrap();
            let truth = truth.mapv(|t| u8::from(t > 0.5));
            let inside = s![.., ..height, ..width];
            evaluation.add(predicted.slice(inside), truth.slice(inside)).unwrap();
        }
        assert_eq!(trial.counts, evaluation.total, "{} {:?}", trial.k, trial.rule);
    }
    let best = tuned.best().unwrap();
    assert!(best.counts.mean_iou().unwrap() > 0.6, "{best:?}");
}

#[test]
fn senseless_requests_are_errors_and_cancelling_stops() {
    let (keys, labels, images) = data();
    let input = TuneImages { keys: keys.view(), labels: &labels, images: &images };
    let run = |grid: &TuneGrid, folds| {
        tune(&input, grid, &TuneOptions { folds, seed: 0, threads: 1 }, &mut |_| ControlFlow::Continue(()))
    };
    assert!(run(&grid(), 1).is_err() && run(&grid(), 7).is_err());
    for broken in [
        TuneGrid { k: vec![], ..grid() },
        TuneGrid { k: vec![0], ..grid() },
        TuneGrid { rules: vec![], ..grid() },
        TuneGrid { thresholds: vec![f64::NAN], ..grid() },
        TuneGrid { rules: vec![Rule::Attention(Beta::Shared(0.0))], ..grid() },
    ] {
        assert!(run(&broken, 3).is_err(), "{broken:?}");
    }
    let options = TuneOptions { folds: 2, ..TuneOptions::default() };
    for rows in [3, 5, usize::MAX] {
        let mut beyond = images.clone();
        beyond[5].rows = rows;
        let input = TuneImages { images: &beyond, ..input };
        let error = tune(&input, &grid(), &options, &mut |_| ControlFlow::Continue(())).unwrap_err();
        assert!(error.to_string().contains("images together"), "{error}");
    }
    let input = TuneImages { images: &images, ..input };
    let stopped = tune(&input, &grid(), &options, &mut |_| ControlFlow::Break(()));
    assert!(matches!(stopped, Err(RetrievalError::Cancelled { done: 0, .. })));
}

#[test]
fn a_coreset_is_refused_by_the_name_of_an_image_that_lacks_patches() {
    let (keys, labels, images) = data();
    let own = Labels::Complete(labels);
    let mut bank = Bank::new(5, vec!["a".into(), "b".into()], own.select(&[]).unwrap()).unwrap();
    for (i, image) in images.iter().take(5).enumerate() {
        let rows: Vec<usize> = (4 * i..4 * i + 4).collect();
        let (keys, labels) = (keys.select(Axis(0), &rows), own.select(&rows).unwrap());
        bank.add_sized_image(&image.name, image.size.unwrap(), keys.view(), &labels).unwrap();
    }
    let run = |bank: &Bank| {
        let Labels::Complete(labels) = bank.labels() else { unreachable!() };
        let input = TuneImages { keys: bank.keys(), labels, images: bank.images() };
        tune(&input, &grid(), &TuneOptions::default(), &mut |_| ControlFlow::Continue(()))
    };
    assert!(run(&bank).is_ok());
    let fewer: Vec<usize> = (0..20).filter(|i| *i != 13).collect();
    let error = run(&bank.subset(&fewer).unwrap()).unwrap_err();
    assert!(
        matches!(&error, RetrievalError::PartOfImage { name, expected: 4, actual: 3 } if name == "3"),
        "{error}"
    );
}

#[test]
fn trials_do_not_depend_on_the_search_and_its_failure_ends_them() {
    let (keys, labels, images) = data();
    let input = TuneImages { keys: keys.view(), labels: &labels, images: &images };
    let options = TuneOptions { folds: 3, seed: 4, threads: 1 };
    let go_on = &mut |_| ControlFlow::Continue(());
    let expected = tune(&input, &grid(), &options, go_on).unwrap();
    let mut rows = Vec::new();
    let found = tune_with::<RetrievalError>(
        &input,
        &grid(),
        &options,
        &mut |bank| {
            rows.push(bank.nrows());
            Ok(Box::new(Reference::new(bank, Metric::Cosine)?))
        },
        go_on,
    );
    assert_eq!((found.unwrap(), rows), (expected, vec![16; 3]));
    let mut refused = Some(RetrievalError::ZeroWidth { what: "some search" });
    let error = tune_with::<RetrievalError>(
        &input,
        &grid(),
        &options,
        &mut |_| Err(refused.take().expect("asked once")),
        go_on,
    )
    .unwrap_err();
    assert!(matches!(error, RetrievalError::ZeroWidth { what: "some search" }), "{error}");
}

use super::*;
use aoi_testing::{assert_all_close, assert_close, for_each_case};
use ndarray::{Array4, array};

fn checkerboard() -> Labels {
    let masks = Array4::from_shape_fn((3, 2, 2, 2), |(n, y, x, c)| u8::from((n + y + x + c) % 2 == 0));
    Labels::Complete(CompleteLabels::from_patches(masks.view()).unwrap())
}

#[test]
fn weights_sum_to_one_and_fall_with_distance() {
    let distances = [0.0, 1e-12, 0.1, 0.5, 2.0];
    for_each_case(
        [
            ("similarity", Rule::Similarity),
            ("uniform", Rule::Uniform),
            ("attention", Rule::Attention(Beta::Shared(0.02))),
            ("sharp", Rule::Attention(Beta::Shared(1e-300))),
            ("per class", Rule::MultiScale(Beta::PerClass(vec![0.1]))),
        ],
        |rule| {
            let w = rule.weights(&distances, 0).unwrap();
            assert_close(w.iter().sum(), 1.0, 1e-12, 0.0);
            assert!(w.windows(2).all(|w| w[0] >= w[1] && w[1] >= 0.0), "{w:?}");
        },
    );
    // 1 / (1e-8) against 1 / (1e-6 + 1e-8).
    let w = Rule::Similarity.weights(&[0.0, 1e-6], 0).unwrap();
    assert_close(w[0] / w[1], 101.0, 0.0, 1e-9);
}

#[test]
fn temperatures_that_make_no_sense_are_errors() {
    for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(Rule::Attention(Beta::Shared(bad)).weights(&[0.1], 0).is_err(), "{bad}");
    }
    let rule = Rule::Attention(Beta::PerClass(vec![0.1]));
    assert!(matches!(rule.weights(&[0.1], 1), Err(RetrievalError::OutOfRange { limit: 1, actual: 1, .. })));
    let grid = PatchGrid { down: 1, across: 1 };
    let (rows, distances) = (array![[0_u32]], array![[0.0]]);
    assert!(mix(rows.view(), distances.view(), &checkerboard(), &rule, grid).is_err());
}

#[test]
fn neighbours_that_do_not_fit_are_errors() {
    let labels = checkerboard();
    let grid = PatchGrid { down: 1, across: 2 };
    let try_mix = |rows: Array2<u32>, distances: Array2<f64>| {
        mix(rows.view(), distances.view(), &labels, &Rule::Uniform, grid)
    };
    assert!(try_mix(Array2::zeros((2, 1)), Array2::zeros((2, 1))).is_ok());
    assert!(try_mix(Array2::zeros((1, 1)), Array2::zeros((1, 1))).is_err());
    assert!(try_mix(Array2::zeros((2, 1)), Array2::zeros((2, 2))).is_err());
    assert!(try_mix(Array2::zeros((2, 0)), Array2::zeros((2, 0))).is_err());
    assert!(try_mix(Array2::from_elem((2, 1), 3), Array2::zeros((2, 1))).is_err());
}

#[test]
fn one_temperature_per_class_equals_one_mix_per_class() {
    let labels = checkerboard();
    let (rows, distances) = (array![[0_u32, 1, 2]], array![[0.0, 0.01, 0.05]]);
    let grid = PatchGrid { down: 1, across: 1 };
    let run = |beta| mix(rows.view(), distances.view(), &labels, &Rule::Attention(beta), grid).unwrap();
    let both = run(Beta::PerClass(vec![0.02, 0.3]));
    assert_eq!(both.slice(s![0, .., ..]), run(Beta::Shared(0.02)).slice(s![0, .., ..]));
    assert_eq!(both.slice(s![1, .., ..]), run(Beta::Shared(0.3)).slice(s![1, .., ..]));
    assert_ne!(run(Beta::Shared(0.02)), run(Beta::Shared(0.3)));
}

#[test]
fn average_labels_are_mixed_and_upsampled() {
    let Labels::Complete(complete) = checkerboard() else { unreachable!() };
    let labels = Labels::Average(complete.averages());
    let (rows, distances) = (array![[0_u32], [1]], array![[0.0], [0.0]]);
    let grid = PatchGrid { down: 1, across: 2 };
    let picture = mix(rows.view(), distances.view(), &labels, &Rule::Uniform, grid).unwrap();
    assert_eq!(picture, Array3::from_elem((2, 2, 4), 0.5), "every patch of the board is half full");
}

#[test]
fn upsampling_keeps_borders_means_and_size_one() {
    let up = upsample_bilinear(array![[[1.0, 3.0], [5.0, 7.0]]].view(), (4, 4));
    assert_eq!([up[[0, 0, 0]], up[[0, 0, 3]], up[[0, 3, 0]], up[[0, 3, 3]]], [1.0, 3.0, 5.0, 7.0]);
    assert_eq!(up[[0, 1, 1]], 0.5625 * 1.0 + 0.1875 * 3.0 + 0.1875 * 5.0 + 0.0625 * 7.0);
    assert_close(up.mean().unwrap(), 4.0, 1e-12, 0.0);
    assert_eq!(upsample_bilinear(array![[[2.5]]].view(), (3, 2)), Array3::from_elem((1, 3, 2), 2.5));
    assert_eq!(upsample_bilinear(Array3::zeros((1, 0, 2)).view(), (2, 2)), Array3::<f64>::zeros((1, 2, 2)));
}

#[test]
fn decisions_follow_thresholds_and_background() {
    let scores = array![[[0.5, 0.6, 0.2, 0.51]], [[0.1, 0.6, 0.4, 0.52]]];
    let multi = decide_by_threshold(scores.view(), &[0.5, 0.3]).unwrap();
    assert_eq!(multi, array![[[0, 1, 0, 1]], [[0, 1, 1, 1]]]);
    assert!(decide_by_threshold(scores.view(), &[0.5; 3]).is_err());
    assert_eq!(decide_single(scores.view()).unwrap(), array![[0, 1, 0, 2]]);
}

#[test]
fn whole_images_are_weighted_by_similarity() {
    let (a, b) = (Array3::from_elem((1, 2, 2), 1_u8), Array3::zeros((1, 2, 2)));
    let mixed = mix_whole_images(&[a.view(), b.view()], &[0.1, 0.3], &Rule::Similarity).unwrap();
    assert_all_close(mixed.as_slice().unwrap(), &[0.75; 4], 1e-6, 0.0);
    assert!(mix_whole_images(&[], &[], &Rule::Uniform).is_err());
    assert!(mix_whole_images(&[a.view()], &[0.1, 0.2], &Rule::Uniform).is_err());
    let small = Array3::zeros((1, 1, 2));
    assert!(mix_whole_images(&[a.view(), small.view()], &[0.1, 0.2], &Rule::Uniform).is_err());
}

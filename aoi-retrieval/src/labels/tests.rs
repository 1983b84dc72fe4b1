use super::*;
use ndarray::{Array3, Array4};

#[test]
fn packing_keeps_every_bit() {
    for (p, c) in [(1, 1), (2, 3), (3, 3), (4, 2), (16, 4)] {
        let masks = Array4::from_shape_fn((5, p, p, c), |(n, y, x, c)| {
            u8::from((n * 7 + y * 3 + x * 5 + c) % 3 == 0)
        });
        let labels = CompleteLabels::from_patches(masks.view()).unwrap();
        for ((n, y, x, class), &bit) in masks.indexed_iter() {
            assert_eq!(labels.get(n, class, y * p + x), bit == 1);
        }
        assert_eq!(CompleteLabels::from_bytes(labels.shape(), labels.bytes().to_vec()).unwrap(), labels);
    }
    let sixteen = CompleteLabels::empty(PatchShape { patch: 16, classes: 4 }).unwrap();
    assert_eq!(sixteen.row_bytes(), 128);
}

#[test]
fn an_image_is_cut_row_by_row() {
    let mask = Array3::from_shape_fn((2, 4, 6), |(c, y, x)| u8::from(c == 1 && y >= 2 && x >= 4));
    let labels = CompleteLabels::from_image(mask.view(), 2).unwrap();
    let counts: Vec<_> = (0..6).map(|i| labels.counts(i)[1]).collect();
    assert_eq!(counts, [0, 0, 0, 0, 0, 4]);
    assert_eq!(labels.averages().means()[[5, 1]], 1.0);
    assert!(matches!(CompleteLabels::from_image(mask.view(), 4), Err(RetrievalError::Shape { .. })));
}

#[test]
fn what_is_no_mask_is_an_error() {
    let two = Array4::from_elem((1, 2, 2, 1), 2_u8);
    assert!(matches!(
        CompleteLabels::from_patches(two.view()),
        Err(RetrievalError::NotBinary { value: 2, .. })
    ));
    assert!(CompleteLabels::from_patches(Array4::zeros((1, 2, 3, 1)).view()).is_err());
    assert!(CompleteLabels::from_patches(Array4::zeros((1, 2, 2, 0)).view()).is_err());
    assert!(CompleteLabels::from_image(Array3::zeros((1, 2, 2)).view(), 0).is_err());
    // A bit beyond the last pixel, and a broken row.
    let shape = PatchShape { patch: 2, classes: 1 };
    assert!(CompleteLabels::from_bytes(shape, vec![0x10]).is_err());
    assert!(CompleteLabels::from_bytes(PatchShape { patch: 3, classes: 1 }, vec![0; 3]).is_err());
    assert!(CompleteLabels::empty(PatchShape { patch: usize::MAX, classes: 2 }).is_err());
    assert!(AverageLabels::new(2, ndarray::array![[f32::NAN]]).is_err());
}

#[test]
fn selection_and_growth_follow_the_rows() {
    let masks = Array4::from_shape_fn((6, 2, 2, 1), |(n, y, x, _)| u8::from(n > y * 2 + x));
    let mut labels = CompleteLabels::from_patches(masks.view()).unwrap();
    let picked = labels.select(&[4, 0, 4]).unwrap();
    assert_eq!((0..3).map(|i| picked.counts(i)[0]).collect::<Vec<_>>(), [4, 0, 4]);
    assert!(matches!(labels.select(&[6]), Err(RetrievalError::OutOfRange { limit: 6, actual: 6, .. })));
    labels.append(&picked).unwrap();
    assert_eq!(labels.rows(), 9);
    let mut average = Labels::Average(labels.averages());
    assert!(average.append(&Labels::Complete(labels)).is_err());
}

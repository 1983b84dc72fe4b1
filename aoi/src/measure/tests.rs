use aoi_encoder::ndarray::Array3;

use super::*;

/// Squares of 4 x 4 pixels with their upper left corners at these places.
fn squares(corners: &[(usize, usize)]) -> Array3<u8> {
    Array3::from_shape_fn((1, 40, 60), |(_, y, x)| {
        let inside =
            |&(top, left): &(usize, usize)| (top..top + 4).contains(&y) && (left..left + 4).contains(&x);
        u8::from(corners.iter().any(inside))
    })
}

fn nominal(instance: &str, at_um: [f64; 2], gate_um: f64) -> Nominal {
    Nominal { class: "pad".into(), instance: instance.into(), at_um, gate_um }
}

fn named(found: &[Instance]) -> Vec<(&str, Option<[f64; 2]>)> {
    found.iter().map(|i| (i.name.as_str(), i.shape.as_ref().map(|s| s.centroid_um))).collect()
}

#[test]
fn instances_keep_their_names_strangers_get_numbers_and_specks_are_passed_over() {
    let mut mask = squares(&[(2, 2), (2, 30), (20, 30)]);
    mask[[0, 39, 59]] = 1;
    let drawing =
        [nominal("A", [33.0, 4.0], 9.0), nominal("B", [4.0, 4.0], 9.0), nominal("C", [4.0, 30.0], 9.0)];
    let pixels = Calibration::square(1.0).unwrap();
    let found = find(mask.view(), &["pad".into()], &drawing, pixels, 2.0).unwrap();
    assert_eq!(
        named(&found),
        [("A", Some([32.0, 4.0])), ("B", Some([4.0, 4.0])), ("C", None), ("#1", Some([32.0, 22.0]))]
    );
    let all = find(mask.view(), &["pad".into()], &drawing, pixels, 0.0).unwrap();
    assert_eq!(all.len(), found.len() + 1, "without a bound the speck is a component");
}

#[test]
fn a_component_between_two_places_goes_where_the_sum_is_smallest() {
    // One between A and B, nearer to A; one beyond A that only A is near enough to: both are found if A gives way.
    let mask = squares(&[(10, 20), (10, 2)]);
    let drawing = [nominal("A", [18.0, 12.0], 25.0), nominal("B", [30.0, 12.0], 25.0)];
    let pixels = Calibration::square(1.0).unwrap();
    let found = find(mask.view(), &["pad".into()], &drawing, pixels, 0.0).unwrap();
    assert_eq!(named(&found), [("A", Some([4.0, 12.0])), ("B", Some([22.0, 12.0]))]);
}

#[test]
fn planes_and_drawings_that_do_not_fit_are_errors() {
    let mask = squares(&[]);
    let pixels = Calibration::square(1.0).unwrap();
    let two = ["pad".to_owned(), "ball".to_owned()];
    assert!(find(mask.view(), &two, &[], pixels, 0.0).unwrap_err().to_string().contains("2 planes"));
    let stray = [Nominal { class: "glue".into(), ..nominal("A", [0.0, 0.0], 1.0) }];
    assert!(
        find(mask.view(), &["pad".into()], &stray, pixels, 0.0).unwrap_err().to_string().contains("glue")
    );
    assert!(find(mask.view(), &["pad".into()], &[], pixels, 0.0).unwrap().is_empty());
}

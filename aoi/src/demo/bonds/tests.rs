use aoi_encoder::ndarray::Axis;

use super::*;

fn areas(picture: &BondPicture) -> Vec<f64> {
    let um2 = UM_PER_PIXEL * UM_PER_PIXEL;
    picture.masks.outer_iter().map(|plane| f64::from(plane.mapv(u32::from).sum()) * um2).collect()
}

#[test]
fn a_good_device_has_the_areas_of_its_drawing() {
    let mut drawn = 0;
    for device in devices() {
        let picture = draw(&device, None, 11);
        let [wire, ball, wedge, epoxy] = areas(&picture)[..] else { panic!("four classes") };
        let n = device.bonds.len() as f64;
        let length: f64 = device
            .bonds
            .iter()
            .map(|b| (b.wedge_um[0] - b.ball_um[0]).hypot(b.wedge_um[1] - b.ball_um[1]))
            .sum();
        let disk = std::f64::consts::PI * device.ball_um.powi(2) / 4.0;
        let ellipse = std::f64::consts::PI * device.wedge_um[0] * device.wedge_um[1] / 4.0;
        let [left, top, right, bottom] = device.die_um;
        let reach = device.epoxy_um;
        let ring = 2.0 * reach * (right - left + bottom - top) + std::f64::consts::PI * reach * reach;
        // Sizes of single bonds vary by a few percent; the reach of the epoxy by up to 7.5 of some 40 micrometres, its edge is wavy.
        for (name, found, expected, share) in [
            ("wire", wire, (length + n * device.wire_um) * device.wire_um, 0.08),
            ("ball", ball, n * disk, 0.08),
            ("wedge", wedge, n * ellipse, 0.1),
            ("epoxy", epoxy, ring, 0.25),
        ] {
            assert!((found / expected - 1.0).abs() < share, "{} {name}: {found} for {expected}", device.part);
            drawn += 1;
        }
    }
    assert_eq!(drawn, 12);
}

#[test]
fn a_picture_follows_from_device_defect_and_seed_and_uses_the_range() {
    let device = &devices()[1];
    let picture = draw(device, None, 3);
    assert_eq!(picture, draw(device, None, 3));
    assert_ne!(picture.lightings, draw(device, None, 4).lightings);
    for plane in picture.lightings.axis_iter(Axis(0)) {
        let (low, high) = plane.iter().fold((1.0_f32, 0.0_f32), |(l, h), &v| (l.min(v), h.max(v)));
        assert!(low < 0.2 && high > 0.7, "{low} to {high}");
        assert!(plane.iter().all(|v| (v * 255.0 - (v * 255.0).round()).abs() < 1e-4));
    }
}

#[test]
fn a_defect_shows_in_its_classes_and_nowhere_else() {
    let mut seen = 0;
    for device in devices() {
        let good = draw(&device, None, 5);
        for defect in Defect::all(1) {
            let bad = draw(&device, Some(defect), 5);
            for (class, (a, b)) in CLASSES.iter().zip(good.masks.outer_iter().zip(bad.masks.outer_iter())) {
                // A moved ball takes the end of its wire along.
                let follows = matches!(defect, Defect::ShiftedBall(_)) && *class == "wire";
                let shows = defect.classes().contains(class);
                assert!(follows || (a != b) == shows, "{} {defect:?} {class}", device.part);
                seen += usize::from(shows);
            }
        }
    }
    assert_eq!(seen, 3 * 10);
}

//! What is measured of a component.

use super::{Calibration, Component};

/// The size and place of a component.
///
/// The axes are those of the second moments of its pixels, as squares of their size. Length and width are how far it reaches along them,
/// so the width of a bent wire says how far it bends; the mean width, area over length, says how thick it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Shape {
    /// Area.
    pub area_um2: f64,
    /// Mean of its pixels' centres, from the upper left corner of the picture: across, down.
    pub centroid_um: [f64; 2],
    /// Reach along its longer axis.
    pub length_um: f64,
    /// Reach across that.
    pub width_um: f64,
    /// Area over length.
    pub mean_width_um: f64,
    /// Diameter of a disk of the same area.
    pub diameter_um: f64,
    /// Angle of the longer axis, -90 (excluded) to 90 degrees, from across towards down.
    pub angle_deg: f64,
}

impl Shape {
    /// Measures a component.
    ///
    /// # Panics
    /// When the component has no pixel, which [`super::components`] never returns.
    pub fn of(component: &Component, calibration: Calibration) -> Self {
        let Calibration { x_um, y_um } = calibration;
        assert!(!component.pixels.is_empty(), "a component has a pixel");
        let n = component.pixels.len() as f64;
        let centre =
            |&(row, column): &(usize, usize)| [(column as f64 + 0.5) * x_um, (row as f64 + 0.5) * y_um];
        let sum = component.pixels.iter().map(centre).fold([0.0; 2], |s, p| [s[0] + p[0], s[1] + p[1]]);
        let centroid_um = sum.map(|s| s / n);
        // A pixel is a square, not a point: each adds its own moment, a twelfth of its side squared.
        let (mut xx, mut yy, mut xy) = (x_um * x_um / 12.0, y_um * y_um / 12.0, 0.0);
        for [x, y] in component.pixels.iter().map(centre) {
            let (dx, dy) = (x - centroid_um[0], y - centroid_um[1]);
            xx += dx * dx / n;
            yy += dy * dy / n;
            xy += dx * dy / n;
        }
        let angle = 0.5 * (2.0 * xy).atan2(xx - yy);
        let (cos, sin) = (angle.cos(), angle.sin());
        let reach = |a: f64, b: f64| {
            let along = |[x, y]: [f64; 2]| a * x + b * y;
            let (low, high) = component
                .pixels
                .iter()
                .map(centre)
                .map(along)
                .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)));
            // Between the far sides of the last pixels, as if they stood along the axis: a disk stays round.
            let side = (a * x_um).hypot(b * y_um);
            high - low + side
        };
        let area_um2 = n * x_um * y_um;
        let (length_um, width_um) = (reach(cos, sin), reach(-sin, cos));
        Self {
            area_um2,
            centroid_um,
            length_um,
            width_um,
            mean_width_um: area_um2 / length_um,
            diameter_um: 2.0 * (area_um2 / std::f64::consts::PI).sqrt(),
            angle_deg: angle.to_degrees(),
        }
    }
}

#[cfg(test)]
mod tests {
    use aoi_encoder::ndarray::Array2;

    use super::*;
    use crate::measure::components;

    fn shape(size: (usize, usize), calibration: Calibration, inside: impl Fn(f64, f64) -> bool) -> Shape {
        let plane = Array2::from_shape_fn(size, |(y, x)| {
            u8::from(inside((x as f64 + 0.5) * calibration.x_um, (y as f64 + 0.5) * calibration.y_um))
        });
        let found = components(plane.view());
        assert_eq!(found.len(), 1);
        Shape::of(&found[0], calibration)
    }

    #[test]
    fn a_rectangle_along_the_axes_is_measured_exactly_whatever_the_pixels() {
        for (x_um, y_um) in [(1.0, 1.0), (2.0, 0.5)] {
            let s = shape((40, 40), Calibration { x_um, y_um }, |x, y| {
                x > 4.0 * x_um && x < 24.0 * x_um && y > 8.0 * y_um && y < 15.0 * y_um
            });
            assert_eq!(s.area_um2, 140.0 * x_um * y_um);
            assert_eq!(s.centroid_um, [14.0 * x_um, 11.5 * y_um]);
            let (long, short) = (20.0 * x_um, 7.0 * y_um);
            assert!((s.length_um - long).abs() < 1e-9 && (s.width_um - short).abs() < 1e-9, "{s:?}");
            assert!((s.mean_width_um - short).abs() < 1e-9 && s.angle_deg.abs() < 1e-9);
        }
    }

    #[test]
    fn a_turned_bar_and_a_disk_keep_their_sizes_within_a_pixel() {
        let calibration = Calibration { x_um: 1.0, y_um: 1.0 };
        for degrees in [-80.0_f64, -45.0, -10.0, 25.0, 60.0, 89.0] {
            let (sin, cos) = degrees.to_radians().sin_cos();
            let s = shape((120, 120), calibration, |x, y| {
                let (u, v) = ((x - 60.0) * cos + (y - 60.0) * sin, (y - 60.0) * cos - (x - 60.0) * sin);
                u.abs() < 45.0 && v.abs() < 6.0
            });
            assert!((s.angle_deg - degrees).abs() < 1.0, "{degrees}: {s:?}");
            assert!((s.length_um - 90.0).abs() < 1.5 && (s.width_um - 12.0).abs() < 1.5, "{degrees}: {s:?}");
        }
        let disk = shape((50, 50), calibration, |x, y| (x - 25.0).hypot(y - 25.0) < 15.0);
        assert!((disk.diameter_um - 30.0).abs() < 0.2, "{disk:?}");
        assert!((disk.length_um - 30.0).abs() < 1.1 && (disk.width_um - 30.0).abs() < 1.1, "{disk:?}");
    }

    #[test]
    fn one_pixel_has_the_size_of_a_pixel() {
        let s = Shape::of(&Component { pixels: vec![(3, 5)] }, Calibration { x_um: 2.0, y_um: 2.0 });
        assert_eq!((s.area_um2, s.centroid_um, s.length_um, s.width_um), (4.0, [11.0, 7.0], 2.0, 2.0));
    }
}

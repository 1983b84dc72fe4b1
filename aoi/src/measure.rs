//! From masks to numbers: connected components, their shapes in micrometres, which of them is what on the drawing, and records.

mod assignment;
mod calibration;
mod component;
mod nominal;
mod record;
mod review;
mod shape;

use aoi_encoder::ndarray::ArrayView3;

pub use self::assignment::assign;
pub use self::calibration::Calibration;
pub use self::component::{Component, components};
pub use self::nominal::{Nominal, NominalTable, Parts};
pub use self::record::{RecordOptions, RecordRow, records, write_records};
pub use self::review::ReviewTable;
pub use self::shape::Shape;
use crate::{Error, Result};

/// What was found of one thing on the drawing, or what was found beside it.
#[derive(Debug, Clone, PartialEq)]
pub struct Instance {
    /// Its class.
    pub class: String,
    /// Its name on the drawing; `#1`, `#2` ... in reading order for what is not on it.
    pub name: String,
    /// Where it should be; none for what is not on the drawing.
    pub nominal_um: Option<[f64; 2]>,
    /// What was measured; none when it is missing.
    pub shape: Option<Shape>,
}

impl Instance {
    /// Centroid minus nominal position, where there are both.
    pub fn offset_um(&self) -> Option<[f64; 2]> {
        let (shape, at) = (self.shape.as_ref()?, self.nominal_um?);
        Some([shape.centroid_um[0] - at[0], shape.centroid_um[1] - at[1]])
    }
}

/// Finds the instances of every class in a mask.
///
/// Components below `min_area_um2` are specks and not looked at. The others are matched with `nominal` so that the sum of distances is
/// smallest, an instance left alone counting its gate: no component further away than the gate is taken for it. Missing instances come
/// back without a shape, in the order of the drawing; components that belong to none come after them.
///
/// # Shapes
/// `mask` \[c, height, width\]
///
/// # Errors
/// When there is not one plane a class, or an instance is of a class that has no plane.
///
/// # Examples
/// ```
/// use aoi::measure::{Calibration, Nominal, find};
/// use aoi_encoder::ndarray::Array3;
///
/// // A disk of 10 pixels across, 2 micrometres each, meant to be 4 micrometres further left; another ball is missing.
/// let mask = Array3::from_shape_fn((1, 40, 40), |(_, y, x)| {
///     u8::from((x as f64 - 19.5).hypot(y as f64 - 19.5) < 5.0)
/// });
/// let nominal = [("B1", 36.0), ("B2", 70.0)].map(|(instance, x)| Nominal {
///     class: "ball".into(),
///     instance: instance.into(),
///     at_um: [x, 40.0],
///     gate_um: 20.0,
/// });
/// let found = find(mask.view(), &["ball".into()], &nominal, Calibration::square(2.0)?, 0.0)?;
/// assert_eq!(found.len(), 2);
/// assert_eq!(found[0].offset_um(), Some([4.0, 0.0]));
/// assert!((found[0].shape.as_ref().unwrap().diameter_um - 20.0).abs() < 0.5);
/// assert!(found[1].shape.is_none());
/// # Ok::<(), aoi::Error>(())
/// ```
#[expect(clippy::needless_pass_by_value, reason = "array views are handed over by value, like slices")]
pub fn find(
    mask: ArrayView3<'_, u8>,
    classes: &[String],
    nominal: &[Nominal],
    calibration: Calibration,
    min_area_um2: f64,
) -> Result<Vec<Instance>> {
    if mask.dim().0 != classes.len() {
        return Err(Error::Mismatch {
            what: "mask".to_owned(),
            expected: format!("{} planes, one a class", classes.len()),
            found: mask.dim().0.to_string(),
            remedy: "name the classes that the mask has",
        });
    }
    if let Some(stray) = nominal.iter().find(|n| !classes.contains(&n.class)) {
        return Err(Error::Mismatch {
            what: format!("nominal position of {} {}", stray.class, stray.instance),
            expected: format!("one of the classes {}", classes.join(", ")),
            found: stray.class.clone(),
            remedy: "name the class with --classes, or take it off the drawing",
        });
    }
    let mut instances = Vec::new();
    for (class, plane) in classes.iter().zip(mask.outer_iter()) {
        let shapes: Vec<Shape> = components(plane)
            .iter()
            .map(|c| Shape::of(c, calibration))
            .filter(|s| s.area_um2 >= min_area_um2)
            .collect();
        let expected: Vec<&Nominal> = nominal.iter().filter(|n| n.class == *class).collect();
        let distance =
            |n: &Nominal, s: &Shape| (s.centroid_um[0] - n.at_um[0]).hypot(s.centroid_um[1] - n.at_um[1]);
        let costs: Vec<Vec<f64>> =
            expected.iter().map(|n| shapes.iter().map(|s| distance(n, s)).collect()).collect();
        let gates: Vec<f64> = expected.iter().map(|n| n.gate_um).collect();
        let matched = assign(&costs, &gates);
        let mut left: Vec<bool> = vec![true; shapes.len()];
        for (n, found) in expected.iter().zip(&matched) {
            if let Some(i) = found {
                left[*i] = false;
            }
            instances.push(Instance {
                class: class.clone(),
                name: n.instance.clone(),
                nominal_um: Some(n.at_um),
                shape: found.map(|i| shapes[i].clone()),
            });
        }
        let others = shapes.into_iter().zip(left).filter(|(_, left)| *left);
        for (number, (shape, _)) in (1..).zip(others) {
            let (class, name) = (class.clone(), format!("#{number}"));
            instances.push(Instance { class, name, nominal_um: None, shape: Some(shape) });
        }
    }
    Ok(instances)
}

#[cfg(test)]
mod tests;

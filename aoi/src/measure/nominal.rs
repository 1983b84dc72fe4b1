//! Where everything belongs: the table of nominal positions, and which part a picture shows.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::review::{Table, table};
use crate::{Error, Result};

/// Something on the drawing.
#[derive(Debug, Clone, PartialEq)]
pub struct Nominal {
    /// Its class.
    pub class: String,
    /// Its name.
    pub instance: String,
    /// Where its centroid belongs, from the upper left corner of the picture: across, down.
    pub at_um: [f64; 2],
    /// No component further away is taken for it.
    pub gate_um: f64,
}

/// The drawings of all parts.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct NominalTable {
    parts: BTreeMap<String, Vec<Nominal>>,
}

impl NominalTable {
    /// Reads a CSV with the columns `part, class, instance, x_um, y_um, gate_um`.
    ///
    /// # Errors
    /// When the file cannot be read, a column is missing, a number is none, a gate is not above 0, or something stands there twice. A drawing
    /// decides about every picture, so nothing in it is skipped.
    pub fn read(path: &Path) -> Result<Self> {
        let Table { rows, .. } = table(path, ["part", "class", "instance", "x_um", "y_um", "gate_um"])?;
        let mut parts: BTreeMap<String, Vec<Nominal>> = BTreeMap::new();
        let mut seen = BTreeSet::new();
        for (line, [part, class, instance, x, y, gate]) in rows {
            let bad = |expected: &str, found: &str| Error::Row {
                path: path.to_owned(),
                line,
                expected: expected.to_owned(),
                found: format!("{found:?}"),
            };
            let number = |text: &str| {
                text.parse::<f64>().ok().filter(|n| n.is_finite()).ok_or_else(|| bad("a finite number", text))
            };
            for (name, text) in [("part", &part), ("class", &class), ("instance", &instance)] {
                if text.is_empty() {
                    return Err(bad(&format!("a {name}"), ""));
                }
            }
            if instance.starts_with('#') {
                return Err(bad(
                    "a name that does not begin with #, which counts what is on no drawing",
                    &instance,
                ));
            }
            let gate_um = number(&gate)?;
            if gate_um <= 0.0 {
                return Err(bad("a gate above 0", &gate));
            }
            if !seen.insert((part.clone(), class.clone(), instance.clone())) {
                return Err(bad("every instance once", &format!("{part} {class} {instance}")));
            }
            let at_um = [number(&x)?, number(&y)?];
            parts.entry(part).or_default().push(Nominal { class, instance, at_um, gate_um });
        }
        if parts.is_empty() {
            return Err(Error::file(path, "at least one nominal position", "none", "see aoi/formats"));
        }
        Ok(Self { parts })
    }

    /// The drawing of a part.
    ///
    /// # Errors
    /// When there is none.
    pub fn of(&self, part: &str) -> Result<&[Nominal]> {
        let known = || self.parts.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
        self.parts.get(part).map(Vec::as_slice).ok_or_else(|| Error::Mismatch {
            what: "part".to_owned(),
            expected: format!("one of {}", known()),
            found: part.to_owned(),
            remedy: "add its nominal positions, or correct --part or --parts",
        })
    }
}

/// Which part each picture shows.
#[derive(Debug, Clone, PartialEq)]
pub enum Parts {
    /// The same for all.
    One(String),
    /// By the name of the picture.
    ByImage(BTreeMap<String, String>),
}

impl Parts {
    /// Reads a CSV with the columns `image, part`.
    ///
    /// # Errors
    /// When the file cannot be read, a column is missing, or a picture stands there twice.
    pub fn read(path: &Path) -> Result<Self> {
        let mut parts = BTreeMap::new();
        for (line, [image, part]) in table(path, ["image", "part"])?.rows {
            if parts.insert(image.clone(), part).is_some() {
                let expected = "every picture once".to_owned();
                return Err(Error::Row { path: path.to_owned(), line, expected, found: image });
            }
        }
        Ok(Self::ByImage(parts))
    }

    /// The part that a picture shows.
    ///
    /// # Errors
    /// When the table does not name the picture.
    pub fn of(&self, image: &str) -> Result<&str> {
        match self {
            Self::One(part) => Ok(part),
            Self::ByImage(parts) => parts.get(image).map(String::as_str).ok_or_else(|| Error::Mismatch {
                what: format!("part of picture {image}"),
                expected: "a row with its name in the table of --parts".to_owned(),
                found: format!("{} other pictures", parts.len()),
                remedy: "add a row `image,part`",
            }),
        }
    }
}

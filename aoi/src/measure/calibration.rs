//! How large a pixel is.

use std::str::FromStr;

use crate::{Error, Result};

/// Micrometres per pixel, across and down.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Calibration {
    /// Width of a pixel.
    pub x_um: f64,
    /// Height of a pixel.
    pub y_um: f64,
}

impl Calibration {
    /// Pixels of `x_um` by `y_um`.
    ///
    /// # Errors
    /// When a side is not a finite number above 0.
    pub fn new(x_um: f64, y_um: f64) -> Result<Self> {
        for side in [x_um, y_um] {
            if !(side.is_finite() && side > 0.0) {
                return Err(Error::option("um per pixel", "a finite number above 0", side));
            }
        }
        Ok(Self { x_um, y_um })
    }

    /// Square pixels.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn square(um: f64) -> Result<Self> {
        Self::new(um, um)
    }
}

impl FromStr for Calibration {
    type Err = Error;

    /// `4` for square pixels, `4x4.1` for width and height.
    fn from_str(text: &str) -> Result<Self> {
        let (x, y) = text.split_once('x').unwrap_or((text, text));
        match (x.trim().parse(), y.trim().parse()) {
            (Ok(x), Ok(y)) => Self::new(x, y),
            _ => Err(Error::option("um per pixel", "a number such as 4, or two such as 4x4.1", text)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_or_two_sides_are_read_and_nonsense_is_not() {
        assert_eq!("4".parse::<Calibration>().unwrap(), Calibration { x_um: 4.0, y_um: 4.0 });
        assert_eq!("3.5x4".parse::<Calibration>().unwrap(), Calibration { x_um: 3.5, y_um: 4.0 });
        for text in ["", "0", "-1", "nan", "inf", "4x", "4x0", "four", "1x2x3"] {
            assert!(text.parse::<Calibration>().unwrap_err().is_usage(), "{text}");
        }
    }
}

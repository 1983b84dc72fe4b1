//! How far a limit must stay from the worst known defect.

use std::str::FromStr;

use crate::error::Error;

/// The distance kept between a new limit and the defect that holds it, in the unit of the value.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Margin {
    /// Three times the gauge's repeatability where a sigma is recorded, else none beyond the next representable number.
    #[default]
    Gauge,
    /// A fixed distance.
    Absolute(f64),
    /// A percentage of `|T0|`.
    PercentOfLimit(f64),
    /// So many repeatability sigmas; a limit without a recorded sigma is then not moved.
    Sigmas(f64),
}

/// Repeatability sigmas in [`Margin::Gauge`]: the usual half-width of a gauge's spread.
const GAUGE_SIGMAS: f64 = 3.0;

impl Margin {
    /// The margin in the unit of the value for a limit at `baseline` whose gauge has repeatability `sigma`.
    ///
    /// None when the rule asks for a sigma and there is none.
    pub fn resolve(self, baseline: f64, sigma: Option<f64>) -> Option<f64> {
        match self {
            Self::Gauge => Some(sigma.map_or(0.0, |s| GAUGE_SIGMAS * s)),
            Self::Absolute(m) => Some(m),
            Self::PercentOfLimit(p) => Some(p / 100.0 * baseline.abs()),
            Self::Sigmas(k) => sigma.map(|s| k * s),
        }
    }

    /// Refuses a size that is negative or not finite.
    pub(crate) fn check(self) -> Result<(), Error> {
        let size = match self {
            Self::Gauge => return Ok(()),
            Self::Absolute(m) | Self::PercentOfLimit(m) | Self::Sigmas(m) => m,
        };
        if size.is_finite() && size >= 0.0 { Ok(()) } else { Err(Error::Margin { got: size.to_string() }) }
    }
}

impl FromStr for Margin {
    type Err = Error;

    /// Reads `0.5` (absolute), `2%` (of `|T0|`) or `3sigma`.
    fn from_str(text: &str) -> Result<Self, Error> {
        let text = text.trim();
        let refused = || Error::Margin { got: text.to_owned() };
        let size = |digits: &str| digits.trim().parse::<f64>().map_err(|_| refused());
        let margin = if let Some(percent) = text.strip_suffix('%') {
            Self::PercentOfLimit(size(percent)?)
        } else if let Some(k) = text.strip_suffix("sigma") {
            Self::Sigmas(size(k)?)
        } else {
            Self::Absolute(size(text)?)
        };
        margin.check().map_err(|_| refused())?;
        Ok(margin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_spellings_are_read() {
        assert_eq!("0.5".parse::<Margin>().unwrap().resolve(-40.0, None), Some(0.5));
        assert_eq!("2%".parse::<Margin>().unwrap().resolve(-40.0, None), Some(0.8));
        assert_eq!("3sigma".parse::<Margin>().unwrap().resolve(-40.0, Some(0.5)), Some(1.5));
    }

    #[test]
    fn a_margin_in_sigmas_needs_a_sigma_but_the_default_does_not() {
        assert_eq!(Margin::Sigmas(3.0).resolve(1.0, None), None);
        assert_eq!(Margin::Gauge.resolve(1.0, None), Some(0.0));
        assert_eq!(Margin::Gauge.resolve(1.0, Some(2.0)), Some(6.0));
    }

    #[test]
    fn nonsense_is_refused_and_named() {
        for text in ["", "x", "-1", "nan", "inf", "3 sigmas", "%", "1e400"] {
            let error = text.parse::<Margin>().unwrap_err().to_string();
            assert!(error.contains("margin") && error.contains(text), "{text}: {error}");
        }
    }
}

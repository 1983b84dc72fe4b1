//! What the first scan on the device reads, and which scan is taken where nobody says.

use super::plan::Form;
use crate::Metric;

/// What the first scan on the device reads; every candidate is then looked at in f32, so the answer is the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Scan {
    /// The f32 rows: runs on every device, and keeps the fewest candidates.
    #[default]
    F32,
    /// A copy in f16, half the bytes; only on devices that know f16.
    F16,
    /// A copy in bytes, a quarter of the bytes and four products an instruction, for more candidates.
    Int8,
    /// f16 where the device knows it and all rows count as unit vectors, else f32. Half the bytes should take half the time;
    /// that has not been measured on hardware yet.
    Auto,
}

impl Scan {
    /// Every kind of scan, for loops over all of them.
    pub const ALL: [Self; 3] = [Self::F32, Self::F16, Self::Int8];

    /// The name used on command lines and in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Int8 => "int8",
            Self::Auto => "auto",
        }
    }

    /// How rows of these lengths are stored for it on a device that knows f16 or does not.
    pub(super) fn form(self, knows_f16: bool, metric: Metric, norms: &[f64]) -> Form {
        match self {
            Self::F16 => Form::F16,
            Self::Int8 => Form::Int8,
            Self::Auto if knows_f16 && are_unit(metric, norms) => Form::F16,
            Self::F32 | Self::Auto => Form::F32,
        }
    }
}

/// Lengths this close to 1 are those of unit vectors that were rounded to f32 or to f16.
const UNIT: f64 = 0.01;

/// Whether scores are those of unit vectors: cosines look at no length, and rows without one have no f16 code to lose by.
fn are_unit(metric: Metric, norms: &[f64]) -> bool {
    metric == Metric::Cosine || norms.iter().all(|&norm| norm == 0.0 || (norm - 1.0).abs() <= UNIT)
}

impl From<Form> for Scan {
    fn from(form: Form) -> Self {
        match form {
            Form::F32 => Self::F32,
            Form::F16 => Self::F16,
            Form::Int8 => Self::Int8,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn auto_is_f16_for_unit_vectors_on_devices_that_know_it_and_f32_else() {
        let unit = [1.0, 0.0, 0.995, 1.009];
        for (f16, metric, norms, expected) in [
            (true, Metric::InnerProduct, &unit[..], Form::F16),
            (true, Metric::L2, &unit, Form::F16),
            (true, Metric::L2, &[], Form::F16),
            (true, Metric::InnerProduct, &[1.0, 1.02], Form::F32),
            (true, Metric::L2, &[0.5], Form::F32),
            (true, Metric::L2, &[f64::NAN], Form::F32),
            (true, Metric::Cosine, &[1e-30, 1e30], Form::F16),
            (false, Metric::Cosine, &unit, Form::F32),
            (false, Metric::L2, &unit, Form::F32),
        ] {
            assert_eq!(Scan::Auto.form(f16, metric, norms), expected, "{f16} {metric} {norms:?}");
        }
    }

    #[test]
    fn a_named_scan_is_taken_whatever_the_bank() {
        for scan in Scan::ALL {
            for f16 in [true, false] {
                assert_eq!(Scan::from(scan.form(f16, Metric::L2, &[7.0])), scan);
            }
        }
    }
}

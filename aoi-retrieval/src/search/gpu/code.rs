//! The compact codes of a row: what the device scans in place of f32 numbers, and how far they are off.
//!
//! A row is stored as `t c` with a step `t` of its own and codes `c` that are f16 numbers or signed bytes; a query likewise. The
//! difference from the row is measured, not estimated.

use super::plan::Form;

/// Largest power of two of an f16 code: sums of products stay far inside f32.
const F16_EXPONENT: i32 = 11;
/// The smallest normal f16; devices may take what is smaller for zero, so it is coded as zero.
const F16_NORMAL: f64 = 1.0 / 16_384.0;
/// Largest byte code.
const INT8_LIMIT: f64 = 127.0;
/// Steps stay in this range, so that every product with one is normal or zero in f32.
const SMALLEST_STEP: f64 = 1e-30;

/// What the bounds need to know of a coded row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Coded {
    /// What the codes are multiplied by.
    pub(super) step: f32,
    /// Distance between the row and its code.
    pub(super) residual: f64,
    /// Length of the coded row.
    pub(super) length: f64,
}

/// Codes `x`; `put` receives the bytes of each number's code by column.
#[expect(
    clippy::cast_possible_truncation,
    reason = "steps are in the range of f32, codes in that of their type"
)]
pub(super) fn code(form: Form, x: &[f64], mut put: impl FnMut(usize, &[u8])) -> Coded {
    let largest = x.iter().fold(0.0_f64, |m, v| m.max(v.abs()));
    let (mut residual, mut length) = (0.0, 0.0);
    let mut take = |x: f64, coded: f64| {
        residual += (x - coded) * (x - coded);
        length += coded * coded;
    };
    let step = match form {
        Form::F32 => 1.0,
        Form::F16 => {
            let exponent = if largest > 0.0 { largest.log2().floor() as i32 } else { 0 };
            let step = 2.0_f64.powi(exponent - F16_EXPONENT).max(2.0_f64.powi(-99));
            for (column, &v) in x.iter().enumerate() {
                let scaled = half::f16::from_f64(v / step);
                let c = if f64::from(scaled).abs() < F16_NORMAL { half::f16::ZERO } else { scaled };
                put(column, &c.to_le_bytes());
                take(v, f64::from(c) * step);
            }
            step
        }
        Form::Int8 => {
            // Rounded up, so that the largest number still fits.
            let step = f64::from(((largest / INT8_LIMIT).max(SMALLEST_STEP) as f32).next_up());
            for (column, &v) in x.iter().enumerate() {
                let c = (v / step).round_ties_even().clamp(-INT8_LIMIT, INT8_LIMIT);
                put(column, &(c as i8).to_le_bytes());
                take(v, c * step);
            }
            step
        }
    };
    // Sums of squares in f64 are off by far less than this.
    let outward = 1.0 + 1e-9;
    Coded { step: step as f32, residual: residual.sqrt() * outward, length: length.sqrt() * outward }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aoi_testing::Seeded;

    fn decoded(form: Form, x: &[f64]) -> (Vec<f64>, Coded) {
        let mut numbers = vec![0.0; x.len()];
        let coded = code(form, x, |column, bytes| {
            numbers[column] = match *bytes {
                [byte] => f64::from(byte.cast_signed()),
                [low, high] => f64::from(half::f16::from_le_bytes([low, high])),
                _ => panic!("one or two bytes"),
            };
        });
        for n in &mut numbers {
            *n *= f64::from(coded.step);
        }
        (numbers, coded)
    }

    #[test]
    fn the_residual_is_the_distance_to_what_the_codes_say() {
        let mut s = Seeded::new(7);
        for form in [Form::F16, Form::Int8] {
            for scale in [1.0, 1e-40, 1e-28, 3e14, 0.0] {
                let x: Vec<f64> = (0..50).map(|_| s.normal() * scale).collect();
                let (numbers, coded) = decoded(form, &x);
                let off = x.iter().zip(&numbers).map(|(a, b)| (a - b) * (a - b)).sum::<f64>().sqrt();
                assert!(off <= coded.residual && coded.residual <= off * 1.000_001, "{form:?} {scale}");
                let length = numbers.iter().map(|n| n * n).sum::<f64>().sqrt();
                assert!(length <= coded.length && coded.length <= length * 1.000_001);
                assert!(coded.step.is_normal(), "{form:?} {scale}: {}", coded.step);
            }
        }
    }

    #[test]
    fn ordinary_rows_are_met_to_eleven_and_seven_bits() {
        let x: Vec<f64> = (0..100).map(|i| f64::from(i) / 40.0 - 1.0).collect();
        let length = x.iter().map(|x| x * x).sum::<f64>().sqrt();
        for (form, most) in [(Form::F16, 2.0_f64.powi(-11)), (Form::Int8, 1.0 / 127.0)] {
            let residual = decoded(form, &x).1.residual;
            assert!(residual > 0.0 && residual < most * length, "{form:?}: {residual}");
        }
    }

    #[test]
    fn the_largest_number_fits_and_what_a_device_may_flush_is_zero() {
        for form in [Form::F16, Form::Int8] {
            let (numbers, _) = decoded(form, &[1.0, -1.0, 1e-9]);
            assert!((numbers[0] - 1.0).abs() < 1e-6 && (numbers[1] + 1.0).abs() < 1e-6, "{form:?}");
            assert_eq!(numbers[2], 0.0, "{form:?}: what a device might flush is coded as zero");
        }
    }
}

//! The decimal grid in which a machine stores its limits, and rounding on it towards flagging.

use std::str::FromStr;

use crate::error::Error;

/// A decimal step `mantissa * 10^exponent`, kept as integers because 0.1 is no binary fraction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Resolution {
    mantissa: u64,
    exponent: i32,
}

/// Where the step of a limit comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ResolutionRule {
    /// From the record, where it carries one; else limits are not rounded.
    #[default]
    Recorded,
    /// This step for every limit that records none.
    Step(Resolution),
    /// The record's, else the coarsest decimal grid that holds every false call and the old limit; none if they lie on no grid.
    Auto,
}

/// Decimals beyond which values are taken for computed numbers rather than readings on a grid.
const AUTO_DECIMALS: i32 = 9;

impl Resolution {
    /// The step whose shortest decimal form is that of `step`.
    ///
    /// # Errors
    /// When `step` is not positive and finite, or has more than 15 digits.
    pub fn from_step(step: f64) -> Result<Self, Error> {
        let refused = || Error::Resolution { got: step.to_string() };
        if !(step.is_finite() && step > 0.0) {
            return Err(refused());
        }
        let (mantissa, exponent) = decimal(step).ok_or_else(refused)?;
        let mantissa = u64::try_from(mantissa).map_err(|_| refused())?;
        if mantissa >= 1_000_000_000_000_000 {
            return Err(refused());
        }
        Ok(Self { mantissa, exponent })
    }

    /// The step as the nearest f64.
    pub fn step(self) -> f64 {
        self.multiple(1)
    }

    /// The larger of two steps.
    pub(crate) fn coarser(self, other: Self) -> Self {
        if self.step() < other.step() { other } else { self }
    }

    /// The coarsest decimal grid through zero that holds every value, in any order; none when a value has more than nine decimals, when
    /// the step takes more than 64 bits, or when nothing is given.
    pub fn of_values(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut grid: Option<Factors> = None;
        for value in values {
            let (mantissa, exponent) = decimal(value)?;
            if exponent < -AUTO_DECIMALS {
                return None;
            }
            if mantissa != 0 {
                let factors = Factors::of(mantissa.unsigned_abs(), exponent);
                grid = Some(grid.map_or(factors, |g| g.common(factors)));
            }
        }
        grid?.step()
    }

    /// The least grid number that is at least `x`, as the nearest f64; `x` itself where the grid is finer than f64 at that size.
    pub(crate) fn round_up(self, x: f64) -> f64 {
        const WHOLE: f64 = (1_u64 << 53) as f64;
        let steps = (x / self.step()).floor();
        if steps.abs() >= WHOLE || !steps.is_finite() {
            return x;
        }
        #[expect(clippy::cast_possible_truncation, reason = "whole and below 2^53")]
        let base = steps as i64;
        // The quotient is rounded, so the answer may lie one step to either side of its floor or ceiling.
        (base - 1..=base + 2).map(|k| self.multiple(k)).find(|&g| g >= x).unwrap_or(x)
    }

    /// `k` steps as the nearest f64.
    fn multiple(self, k: i64) -> f64 {
        let whole = i128::from(k) * i128::from(self.mantissa);
        // With both factors held by f64 without rounding, one operation rounds once, as parsing the decimal would.
        if whole.unsigned_abs() < 1 << 53 && self.exponent.abs() <= 15 {
            let power = 10_u64.pow(self.exponent.unsigned_abs()) as f64;
            return if self.exponent < 0 { whole as f64 / power } else { whole as f64 * power };
        }
        format!("{whole}e{}", self.exponent).parse().expect("digits and an exponent are a number")
    }
}

impl FromStr for Resolution {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let step: f64 = text.trim().parse().map_err(|_| Error::Resolution { got: text.to_owned() })?;
        Self::from_step(step)
    }
}

/// Decimals behind the point in the shortest decimal form of `x`.
pub fn decimals(x: f64) -> u32 {
    decimal(x).map_or(
        0,
        |(mantissa, exponent)| {
            if mantissa == 0 { 0 } else { u32::try_from(-exponent).unwrap_or(0) }
        },
    )
}

/// The shortest decimal that reads back to `x`, as mantissa and power of ten without trailing zeros; none if `x` is not finite.
fn decimal(x: f64) -> Option<(i128, i32)> {
    if !x.is_finite() {
        return None;
    }
    let text = format!("{x:e}");
    let (digits, exponent) = text.split_once('e')?;
    let exponent: i32 = exponent.parse().ok()?;
    let fraction = digits.split_once('.').map_or("", |(_, f)| f);
    let mantissa: i128 = digits.replace('.', "").parse().ok()?;
    Some((mantissa, exponent - i32::try_from(fraction.len()).ok()?))
}

/// `rest * 2^twos * 5^fives`, `rest` being free of both.
///
/// The common step of two such numbers takes the smaller of each exponent, whatever their sizes: numbers brought to one power of ten
/// overflow where they are far apart, and then the order in which they come would decide.
#[derive(Debug, Clone, Copy)]
struct Factors {
    rest: u128,
    twos: i32,
    fives: i32,
}

impl Factors {
    /// Of `mantissa * 10^exponent`; the mantissa is not zero.
    fn of(mantissa: u128, exponent: i32) -> Self {
        let mut factors = Self { rest: mantissa, twos: exponent, fives: exponent };
        while factors.rest.is_multiple_of(2) {
            factors.rest /= 2;
            factors.twos += 1;
        }
        while factors.rest.is_multiple_of(5) {
            factors.rest /= 5;
            factors.fives += 1;
        }
        factors
    }

    /// The largest step of which both are multiples.
    fn common(self, other: Self) -> Self {
        let (mut a, mut b) = (self.rest, other.rest);
        while a != 0 {
            (a, b) = (b % a, a);
        }
        Self { rest: b, twos: self.twos.min(other.twos), fives: self.fives.min(other.fives) }
    }

    /// As a step, if its mantissa fits.
    fn step(self) -> Option<Resolution> {
        let exponent = self.twos.min(self.fives);
        let power = |base: u128, of: i32| base.checked_pow(u32::try_from(of - exponent).ok()?);
        let mantissa = self.rest.checked_mul(power(2, self.twos)?)?.checked_mul(power(5, self.fives)?)?;
        Some(Resolution { mantissa: u64::try_from(mantissa).ok()?, exponent })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid(text: &str) -> Resolution {
        text.parse().expect("a step")
    }

    #[test]
    fn rounding_goes_up_to_the_number_that_is_typed_in() {
        for (step, x, typed) in [
            ("0.01", 45.0_f64.next_up(), 45.01),
            ("0.01", 45.0, 45.0),
            ("0.1", 33.199_999_999_999_996, 33.2),
            ("0.1", 0.3, 0.3),
            ("0.1", 0.1 + 0.2, 0.4),
            ("0.5", -1.2, -1.0),
            ("5", 41.0, 45.0),
            ("0.025", 1.001, 1.025),
            ("0.1", -0.05, 0.0),
            ("1e3", 1.0, 1000.0),
        ] {
            assert_eq!(grid(step).round_up(x), typed, "{x} on {step}");
        }
    }

    #[test]
    fn a_grid_finer_than_the_number_changes_nothing() {
        assert_eq!(grid("0.01").round_up(1e300), 1e300);
        assert_eq!(grid("1e-300").round_up(1.5), 1.5);
    }

    #[test]
    fn auto_finds_the_coarsest_grid() {
        let auto = |v: &[f64]| Resolution::of_values(v.iter().copied()).map(Resolution::step);
        assert_eq!(auto(&[40.0, 39.9, 12.3]), Some(0.1));
        assert_eq!(auto(&[40.0, 39.5, 12.0]), Some(0.5));
        assert_eq!(auto(&[1200.0, 300.0, 0.0]), Some(300.0));
        assert_eq!(auto(&[0.25, -0.125]), Some(0.125));
        assert_eq!(auto(&[1.0 / 3.0, 1.0]), None, "computed numbers lie on no grid");
        assert_eq!(auto(&[0.0]), None);
        assert_eq!(auto(&[]), None);
        assert_eq!(auto(&[f64::NAN]), None);
    }

    #[test]
    fn numbers_far_apart_share_a_grid_in_any_order() {
        let values = [6e300, 4e280, 1.5e3, 1e-9, 7e30];
        let (auto, mut found) = (|v: &[f64]| Resolution::of_values(v.iter().copied()), 0);
        for i in 0..values.len() {
            for j in 0..values.len() {
                assert_eq!(auto(&[values[i], values[j]]), auto(&[values[j], values[i]]));
                let (mut a, mut b) = (values, values);
                a.rotate_left(i);
                b[j..].reverse();
                assert_eq!(auto(&a), auto(&b));
                found += u32::from(auto(&[values[i], values[j]]).is_some());
            }
        }
        assert!(found > 5, "{found}");
        assert_eq!(auto(&[6e300, 4e280]).map(Resolution::step), Some(4e280));
        assert_eq!(auto(&[6e300, 1.5e3]).map(Resolution::step), Some(1500.0));
    }

    #[test]
    fn nonsense_steps_are_refused() {
        for text in ["0", "-0.1", "nan", "inf", "x", "", "1e400"] {
            assert!(text.parse::<Resolution>().is_err(), "{text}");
        }
    }

    #[test]
    fn decimals_are_those_of_the_shortest_form() {
        assert_eq!([0.0, 45.0, 45.25, 1e22, 1e-7, -0.1].map(decimals), [0, 0, 2, 0, 7, 1]);
    }
}

//! What the drawings share: a straight scale from values to places, and axes with round numbers.

use super::format::{Count, Px};
use super::name;

/// Height of the drawings' letters.
pub(super) const LETTER: f64 = 12.0;

/// A straight map from values to places in a drawing.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scale {
    /// Value and place of one end.
    pub(super) from: (f64, f64),
    /// Value and place of the other end.
    pub(super) to: (f64, f64),
}

impl Scale {
    /// The place of `value`, inside the two ends.
    pub(super) fn at(&self, value: f64) -> f64 {
        let share = ((value - self.from.0) / (self.to.0 - self.from.0)).clamp(0.0, 1.0);
        let share = if share.is_nan() { 0.0 } else { share };
        self.from.1 + share * (self.to.1 - self.from.1)
    }

    /// The same, ready to be written.
    pub(super) fn px(&self, value: f64) -> Px {
        Px(self.at(value))
    }

    /// Ticks at round values, as many as have room for their labels side by side.
    pub(super) fn value_ticks(&self) -> Vec<Tick> {
        let (low, high) = (self.from.0.min(self.to.0), self.from.0.max(self.to.0));
        let mut ticks = Vec::new();
        for wanted in (1..=9).rev() {
            let step = round_step((high - low) / f64::from(wanted));
            ticks = multiples(low, high, step)
                .into_iter()
                .map(|value| Tick {
                    at: self.px(value),
                    label: label(value, step, low.abs().max(high.abs())),
                })
                .collect();
            let widest = ticks.iter().map(|t| name::width(&t.label, LETTER)).fold(0.0, f64::max);
            let spacing = step / (high - low) * (self.to.1 - self.from.1).abs();
            if widest + LETTER <= spacing {
                return ticks;
            }
        }
        ticks.truncate(1);
        ticks
    }

    /// Ticks at round counts from zero.
    pub(super) fn count_ticks(&self, wanted: u32) -> Vec<Tick> {
        let high = self.from.0.max(self.to.0);
        let step = round_step(high / f64::from(wanted)).max(1.0);
        let ticks = multiples(0.0, high, step);
        ticks.into_iter().map(|v| Tick { at: self.px(v), label: count_label(v) }).collect()
    }
}

/// A place on an axis and what is written there.
#[derive(Debug, Clone)]
pub(super) struct Tick {
    pub(super) at: Px,
    pub(super) label: String,
}

/// The least of 1, 2 and 5 times a power of ten that is at least `raw`, which is positive and finite.
pub(super) fn round_step(raw: f64) -> f64 {
    // Read from decimal digits: the nearest f64 to the power of ten, also where a product of tens would be a little off.
    let power = |exponent: f64| format!("1e{exponent}").parse::<f64>().unwrap_or(f64::MAX);
    let exponent = raw.log10().floor();
    let unit = power(exponent);
    let steps = [unit, 2.0 * unit, 5.0 * unit, power(exponent + 1.0)];
    let enough = |step: &f64| *step >= raw * (1.0 - 1e-9);
    steps.into_iter().find(enough).unwrap_or(steps[3])
}

/// The multiples of `step` from `low` to `high`.
fn multiples(low: f64, high: f64, step: f64) -> Vec<f64> {
    let first = (low / step - 1e-9).ceil();
    let last = (high / step + 1e-9).floor();
    if !first.is_finite() || !last.is_finite() {
        return Vec::new();
    }
    (0..=64).map(|i| first + f64::from(i)).take_while(|k| *k <= last).map(|k| k * step + 0.0).collect()
}

/// `value` with the decimals that tell multiples of `step` apart; with a power of ten where `largest` or the step calls for it.
fn label(value: f64, step: f64, largest: f64) -> String {
    let place = (step.log10() + 1e-9).floor();
    if largest >= 1e7 || step < 1e-6 {
        if value == 0.0 {
            return "0".to_owned();
        }
        let digits = whole(value.abs().log10().floor() - place).min(17);
        return format!("{value:.digits$e}");
    }
    format!("{value:.*}", whole(-place))
}

/// A round count, with a letter for millions and more.
fn count_label(count: f64) -> String {
    for (unit, letter) in [(1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M")] {
        if count >= unit {
            return format!("{}\u{a0}{letter}", count / unit);
        }
    }
    Count(whole(count) as u64).to_string()
}

/// `x` without its fraction, nothing below zero.
pub(super) fn whole(x: f64) -> usize {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "cut off at both ends, as said"
    )]
    let cut = x.max(0.0) as usize;
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(low: f64, high: f64) -> Vec<String> {
        Scale { from: (low, 0.0), to: (high, 500.0) }.value_ticks().into_iter().map(|t| t.label).collect()
    }

    #[test]
    fn ticks_are_round_numbers_inside_the_axis() {
        assert_eq!(labels(19.3, 45.7), ["20", "25", "30", "35", "40", "45"]);
        assert_eq!(labels(-0.013, 0.021), ["-0.010", "-0.005", "0.000", "0.005", "0.010", "0.015", "0.020"]);
    }

    #[test]
    fn labels_fit_side_by_side_at_every_magnitude() {
        for (low, high) in
            [(1e300, 3e300), (-5e-290, 5e-290), (1e9, 1e9 + 1e-3), (45.0 - 1e-5, 45.0), (-1e308, 0.5e308)]
        {
            let scale = Scale { from: (low, 0.0), to: (high, 480.0) };
            let ticks = scale.value_ticks();
            assert!(ticks.len() <= 64);
            for pair in ticks.windows(2) {
                let room = pair[1].at.0 - pair[0].at.0;
                assert!(name::width(&pair[0].label, LETTER) < room, "{pair:?}");
                assert_ne!(pair[0].label, pair[1].label);
            }
        }
    }

    #[test]
    fn counts_are_whole_and_large_ones_wear_a_letter() {
        let ticks = |high: f64| -> Vec<String> {
            Scale { from: (0.0, 100.0), to: (high, 0.0) }
                .count_ticks(4)
                .into_iter()
                .map(|t| t.label)
                .collect()
        };
        assert_eq!(ticks(1.0), ["0", "1"]);
        assert_eq!(ticks(54_019.0), ["0", "20,000", "40,000"]);
        assert_eq!(ticks(9e15), ["0", "5\u{a0}P"]);
    }

    #[test]
    fn places_stay_between_the_ends() {
        let scale = Scale { from: (0.0, 10.0), to: (1.0, 20.0) };
        assert_eq!([-5.0, 0.5, f64::INFINITY, f64::NAN].map(|v| scale.at(v)), [10.0, 15.0, 20.0, 10.0]);
    }
}

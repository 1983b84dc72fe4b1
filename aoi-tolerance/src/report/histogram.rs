//! How the values of one limit are dealt into bins, and which stretch of the number line is shown.

use super::svg::{round_step, whole};
use crate::limit::{Boundary, Side, is_flagged};
use crate::resolution::Resolution;

/// The values and limits that a chart of one limit shows.
#[derive(Debug)]
pub(super) struct Marks<'a> {
    pub(super) side: Side,
    pub(super) boundary: Boundary,
    pub(super) old_limit: f64,
    pub(super) new_limit: f64,
    pub(super) suggested: Option<f64>,
    pub(super) false_calls: &'a [f64],
    pub(super) defects: &'a [f64],
    pub(super) provisional: &'a [f64],
    pub(super) pending: &'a [f64],
    pub(super) escapes: &'a [f64],
}

/// A stretch of the number line.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Window {
    pub(super) low: f64,
    pub(super) high: f64,
}

impl Window {
    /// Whether `value` lies in it.
    pub(super) fn holds(self, value: f64) -> bool {
        (self.low..=self.high).contains(&value)
    }
}

/// Smallest width of a window relative to the limit: below it an axis would need more digits than anyone reads.
const NARROWEST: f64 = 1e-6;

impl Marks<'_> {
    /// The stretch to show; none where an f64 cannot hold its width.
    ///
    /// It holds both limits, and the bulk of the flagged values: as far as three interquartile ranges beyond the third quartile of
    /// their distance to the old limit. Defects and escapes widen it up to twofold and threefold; what lies further out is counted and not
    /// drawn, because one value at a thousand times the distance would leave nothing to see of the others.
    pub(super) fn window(&self) -> Option<Window> {
        let depth = |value: &f64| self.depth(*value);
        let mut bulk: Vec<f64> = self.false_calls.iter().chain(self.pending).map(depth).collect();
        if bulk.is_empty() {
            bulk = self.defects.iter().chain(self.provisional).map(depth).collect();
        }
        bulk.sort_unstable_by(f64::total_cmp);
        let quartile = |quarter: usize| bulk.get(bulk.len() * quarter / 4).copied().unwrap_or(0.0);
        let (near, far) = (quartile(1), quartile(3));
        let fence = (far + 3.0 * (far - near)).max(2.0 * far).max(1.1 * depth(&self.new_limit));
        let guards = || self.defects.iter().chain(self.provisional).map(depth);
        let nearest = guards().fold(f64::INFINITY, f64::min);
        let furthest = guards().chain(bulk.last().copied()).fold(0.0, f64::max);
        let flagged = if furthest <= 2.0 * fence {
            furthest.max(1.1 * depth(&self.new_limit))
        } else if nearest <= 3.0 * fence {
            fence.max(1.1 * nearest)
        } else {
            fence
        };
        let floor = (self.old_limit.abs() * NARROWEST).max(1e-290);
        let flagged = if flagged == 0.0 && self.old_limit == 0.0 { 1.0 } else { flagged.max(floor) };
        let inside = self.escapes.iter().chain(&self.suggested).map(|v| -depth(v)).fold(0.0, f64::max);
        let passing = (0.1 * flagged).max((1.1 * inside).min(3.0 * flagged));
        let (a, b) = (self.at_depth(1.04 * flagged), self.at_depth(-passing));
        let window = Window { low: a.min(b), high: a.max(b) };
        (window.high - window.low).is_finite().then_some(window)
    }

    /// How far beyond the old limit `value` lies, on the flagged side.
    fn depth(&self, value: f64) -> f64 {
        self.side.mirror(self.old_limit) - self.side.mirror(value)
    }

    /// The value that lies `depth` beyond the old limit.
    pub(super) fn at_depth(&self, depth: f64) -> f64 {
        self.side.mirror(self.side.mirror(self.old_limit) - depth)
    }

    /// The step of the readings and the old limit, from a sample of them.
    fn grid(&self, values: &[f64]) -> Option<f64> {
        let stride = values.len().div_ceil(500).max(1);
        let sample = values.iter().copied().step_by(stride);
        Resolution::of_values(sample.chain([self.old_limit])).map(Resolution::step)
    }

    /// Deals the false calls inside `window` into bins of one round width, from the old limit outwards.
    pub(super) fn bins(&self, window: Window) -> Bins {
        let shown: Vec<f64> = self.false_calls.iter().copied().filter(|v| window.holds(*v)).collect();
        let wanted = (2.0 * (shown.len() as f64).sqrt()).clamp(20.0, 72.0);
        let mut width = round_step((window.high - window.low) / wanted);
        let mut first = 0.0;
        // Bins that are no multiple of the step of the readings would show a comb that is not in the data.
        if let Some(step) = self.grid(&shown).filter(|s| *s * wanted * 8.0 > window.high - window.low) {
            let apart = step / width;
            width = if apart < 1.0 {
                step * round_step(1.0 / apart).ceil()
            } else {
                // Readings further apart than a bin is wide: an odd share of the step keeps each in the middle of its bin.
                step / (2.0 * ((apart - 1.0) / 2.0).floor() + 1.0)
            };
            // Edges half way between two readings: no reading falls on one.
            let half = 0.5 * step.min(width);
            first = if self.boundary == Boundary::Passes { half } else { -half };
        }
        let furthest = shown.iter().map(|v| self.depth(*v)).fold(0.0, f64::max);
        let count = whole(((furthest - first) / width).floor()).min(400) + 1;
        let beyond = (self.false_calls.len() - shown.len()) as u64;
        let mut bins = Bins { first, width, counts: vec![Bin::default(); count], beyond };
        for value in shown {
            let bin = &mut bins.counts[whole((self.depth(value) - first) / width).min(count - 1)];
            if is_flagged(value, self.new_limit, self.side, self.boundary) {
                bin.flagged += 1;
            } else {
                bin.released += 1;
            }
        }
        bins
    }
}

/// False calls of one bin.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Bin {
    /// Still flagged by the new limit.
    pub(super) flagged: u64,
    /// No longer flagged.
    pub(super) released: u64,
}

/// Bins of one width, side by side, from the old limit into the flagged side.
#[derive(Debug)]
pub(super) struct Bins {
    /// Distance from the old limit to the first bin.
    pub(super) first: f64,
    pub(super) width: f64,
    pub(super) counts: Vec<Bin>,
    /// False calls outside the window.
    pub(super) beyond: u64,
}

impl Bins {
    /// False calls in the fullest bin.
    pub(super) fn tallest(&self) -> u64 {
        self.counts.iter().map(|b| b.flagged + b.released).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marks(false_calls: &[f64], old_limit: f64, new_limit: f64) -> Marks<'_> {
        Marks {
            side: Side::Lower,
            boundary: Boundary::Passes,
            old_limit,
            new_limit,
            suggested: None,
            false_calls,
            defects: &[],
            provisional: &[],
            pending: &[],
            escapes: &[],
        }
    }

    fn binned(marks: &Marks) -> (u64, u64, u64) {
        let window = marks.window().unwrap();
        let bins = marks.bins(window);
        let sum = |of: fn(&Bin) -> u64| bins.counts.iter().map(of).sum();
        assert!(bins.counts.len() <= 400 && bins.width > 0.0);
        (sum(|b| b.flagged), sum(|b| b.released), bins.beyond)
    }

    #[test]
    fn every_false_call_is_in_a_bin_or_counted_beyond() {
        let even: Vec<f64> = (1..=500).map(|i| 45.0 - 0.1 * f64::from(i)).collect();
        assert_eq!(binned(&marks(&even, 45.0, 35.0)), (400, 100, 0));
        let tailed: Vec<f64> = even.iter().copied().chain([-1e6, -1e9]).collect();
        assert_eq!(binned(&marks(&tailed, 45.0, 35.0)), (400, 100, 2));
    }

    #[test]
    fn degenerate_samples_still_have_a_window() {
        for (values, limit) in [
            (vec![], 0.0),
            (vec![], 45.0),
            (vec![-0.0; 12], 0.5),
            (vec![-5e-324], 0.0),
            (vec![39.9; 1000], 40.0),
            (vec![45.0_f64.next_down()], 45.0),
            (vec![1e300, 2e300], 3e300),
            (vec![-1e15 - 1.0], -1e15),
        ] {
            let (flagged, released, beyond) = binned(&marks(&values, limit, limit));
            assert_eq!((flagged + released + beyond, released), (values.len() as u64, 0), "{values:?}");
        }
    }

    #[test]
    fn a_stretch_that_f64_cannot_hold_is_not_drawn() {
        assert_eq!(marks(&[-1.7e308], 1.7e308, 1.7e308).window(), None);
    }

    #[test]
    fn an_upper_limit_is_the_mirror_image() {
        let values: Vec<f64> = (1..=50).map(|i| 45.0 - 0.3 * f64::from(i)).collect();
        let lower = marks(&values, 45.0, 40.0);
        let mirrored: Vec<f64> = values.iter().map(|v| -v).collect();
        let upper = Marks { side: Side::Upper, ..marks(&mirrored, -45.0, -40.0) };
        let (a, b) = (lower.window().unwrap(), upper.window().unwrap());
        assert_eq!((a.low, a.high), (-b.high, -b.low));
    }

    #[test]
    fn tied_readings_are_one_bar_around_their_value() {
        let values = [39.9; 300];
        let marks = marks(&values, 40.0, 40.0);
        let window = marks.window().unwrap();
        let bins = marks.bins(window);
        let filled: Vec<usize> = (0..bins.counts.len()).filter(|i| bins.counts[*i].flagged > 0).collect();
        assert_eq!(filled.len(), 1);
        let middle = marks.at_depth(bins.first + (filled[0] as f64 + 0.5) * bins.width);
        assert!((middle - 39.9).abs() < 1e-9 && bins.width < 0.02, "{middle} in bins of {}", bins.width);
    }

    #[test]
    fn readings_on_a_grid_show_no_comb() {
        let values: Vec<f64> = (1..=200).map(|i| f64::from(450 - i) / 10.0).collect();
        let marks = marks(&values, 45.0, 45.0);
        let bins = marks.bins(marks.window().unwrap());
        let filled: Vec<u64> = bins.counts.iter().map(|b| b.flagged).filter(|n| *n > 0).collect();
        // Equal readings in equal bins: all but the two at the ends hold the same number.
        assert!(filled[1..filled.len() - 1].windows(2).all(|w| w[0] == w[1]), "{filled:?}");
    }
}

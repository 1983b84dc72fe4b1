//! Which false calls and passes still count.

use std::num::NonZeroU64;

/// What part of the past the false calls and passes are taken from; defects never slide out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Window {
    /// All of it.
    #[default]
    All,
    /// Of each limit the false calls that arrived last, at most so many. Passes are counted over all of the past.
    Count(NonZeroU64),
    /// False calls and passes measured within so many nanoseconds before the newest measurement.
    ///
    /// The window's far end moves in steps of a 64th of its length, so that a limit needs 66 counters for its passes whatever their number; it covers
    /// the length asked for and up to one step more.
    Span(NonZeroU64),
}

/// Steps in which the far end of a window of time crosses its length.
const STEPS: u64 = 64;

/// How far a machine's clock may run ahead of ours before its time is taken for wrong: a day.
const AHEAD: i64 = 86_400_000_000_000;

impl Window {
    /// The step of time that `time` lies in; one for all where the window does not look at time.
    pub(crate) fn bucket(self, time: i64) -> i64 {
        match self {
            Self::All | Self::Count(_) => 0,
            Self::Span(span) => time.div_euclid(step(span)),
        }
    }

    /// The oldest step that counts when `newest` is the newest time.
    pub(crate) fn edge(self, newest: i64) -> i64 {
        match self {
            Self::All | Self::Count(_) => i64::MIN,
            Self::Span(span) => self.bucket(newest.saturating_sub_unsigned(span.get())),
        }
    }

    /// Where a false call stands in the order in which it leaves.
    pub(crate) fn order(self, sequence: u64, time: i64) -> u64 {
        match self {
            Self::All | Self::Count(_) => sequence,
            // Order-preserving: the least i64 becomes zero.
            Self::Span(_) => time.cast_unsigned() ^ (1 << 63),
        }
    }

    /// The time that counts for a record: its own, unless it has none or one from the future, which would empty the window.
    pub(crate) fn time_of(measured: Option<i64>, received: i64) -> i64 {
        measured.filter(|t| *t <= received.saturating_add(AHEAD)).unwrap_or(received)
    }
}

fn step(span: NonZeroU64) -> i64 {
    i64::try_from(span.get().div_ceil(STEPS)).unwrap_or(i64::MAX)
}

/// Counts by step of time; the far ones are forgotten as the window moves on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Passes {
    pub(crate) steps: Vec<(i64, u64)>,
}

impl Passes {
    pub(crate) fn add(&mut self, bucket: i64, count: u64) {
        if let Some(last) = self.steps.last_mut().filter(|s| s.0 == bucket) {
            last.1 += count;
            return;
        }
        match self.steps.binary_search_by_key(&bucket, |s| s.0) {
            Ok(at) => self.steps[at].1 += count,
            Err(at) => self.steps.insert(at, (bucket, count)),
        }
    }

    /// Takes one pass back; whether its step still counted.
    pub(crate) fn take(&mut self, bucket: i64) -> bool {
        let found = self.steps.binary_search_by_key(&bucket, |s| s.0).ok();
        let Some(step) = found.map(|at| &mut self.steps[at]).filter(|s| s.1 > 0) else { return false };
        step.1 -= 1;
        true
    }

    pub(crate) fn forget_before(&mut self, edge: i64) {
        let gone = self.steps.partition_point(|s| s.0 < edge);
        self.steps.drain(..gone);
    }

    pub(crate) fn total(&self) -> u64 {
        self.steps.iter().map(|s| s.1).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(nanoseconds: u64) -> Window {
        Window::Span(NonZeroU64::new(nanoseconds).unwrap())
    }

    #[test]
    fn a_window_of_time_covers_its_length_and_at_most_a_step_more() {
        let window = span(6400);
        for newest in [0, 1, 99, 100, 12_345, -777] {
            let edge = window.edge(newest);
            let oldest = (newest - 6600..=newest).find(|t| window.bucket(*t) >= edge).unwrap();
            assert!((newest - 6500..=newest - 6400).contains(&oldest), "{newest}: {oldest}");
        }
    }

    #[test]
    fn no_length_overflows() {
        for window in [span(1), span(u64::MAX), Window::All] {
            for time in [i64::MIN, -1, 0, i64::MAX] {
                assert!(window.bucket(time) >= window.edge(time));
            }
        }
        assert!(span(5).order(9, i64::MIN) < span(5).order(3, -1));
        assert!(span(5).order(9, -1) < span(5).order(3, 0));
    }

    #[test]
    fn a_time_from_the_future_is_not_believed() {
        assert_eq!(Window::time_of(Some(5), 10), 5);
        assert_eq!(Window::time_of(None, 10), 10);
        assert_eq!(Window::time_of(Some(10 + AHEAD), 10), 10 + AHEAD);
        assert_eq!(Window::time_of(Some(11 + AHEAD), 10), 10);
    }

    #[test]
    fn passes_leave_by_step_and_are_taken_back_once() {
        let mut passes = Passes::default();
        for bucket in [3, 3, 5, 4, 3] {
            passes.add(bucket, 1);
        }
        assert_eq!(passes.steps, [(3, 3), (4, 1), (5, 1)]);
        assert!(passes.take(4) && !passes.take(4) && !passes.take(9));
        passes.forget_before(4);
        assert_eq!(passes.total(), 1);
    }
}

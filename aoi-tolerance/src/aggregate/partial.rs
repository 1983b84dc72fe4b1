//! A list of values of which only some are known: it answers as the whole list would, or notes that it cannot.

use std::sync::atomic::{AtomicBool, Ordering};

use super::Known;
use crate::limit::Boundary;
use crate::sample::Ascending;

/// A list known in part, which remembers whether it was asked for more than is known.
#[derive(Debug)]
pub(super) struct Partial {
    count: u64,
    known: Vec<Known>,
    unanswered: AtomicBool,
}

impl Partial {
    pub(super) fn new(count: u64, known: Vec<Known>) -> Self {
        Self { count, known, unanswered: AtomicBool::new(false) }
    }

    fn unanswered<T>(&self, instead: T) -> T {
        self.unanswered.store(true, Ordering::Relaxed);
        instead
    }

    pub(super) fn was_asked_too_much(&self) -> bool {
        self.unanswered.load(Ordering::Relaxed)
    }
}

impl Ascending for Partial {
    fn count(&self) -> usize {
        usize::try_from(self.count).unwrap_or(usize::MAX)
    }

    fn at(&self, index: usize) -> f64 {
        let index = index as u64;
        let place = self.known.iter().find(|k| (k.before..k.through).contains(&index));
        // The caller keeps the limit whatever is made of the zero.
        place.map_or_else(|| self.unanswered(0.0), |k| k.value)
    }

    fn flagged_by(&self, limit: f64, boundary: Boundary) -> u64 {
        let flagged = self.known.iter().rev().find(|k| boundary.flags_below(k.value, limit));
        let passes = self.known.iter().find(|k| !boundary.flags_below(k.value, limit));
        if let Some(equal) = self.known.iter().find(|k| k.value == limit) {
            return if boundary == Boundary::Passes { equal.before } else { equal.through };
        }
        let least = flagged.map_or(0, |k| k.through);
        let most = passes.map_or(self.count, |k| k.before);
        // A value between two known ones may lie on either side of the limit.
        if least == most { least } else { self.unanswered(least) }
    }
}

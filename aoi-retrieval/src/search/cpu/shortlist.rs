//! The rows that may still be among the k best of one query.

/// A row, by its position in the panels, with bounds on its score: it lies within `error` of `value`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Candidate {
    pub(super) position: u32,
    pub(super) value: f32,
    pub(super) error: f32,
}

impl Candidate {
    /// The row scores at least this much.
    pub(super) fn lower(&self) -> f64 {
        f64::from(self.value) - f64::from(self.error)
    }

    /// The row scores no more.
    pub(super) fn upper(&self) -> f64 {
        f64::from(self.value) + f64::from(self.error)
    }
}

/// A running selection: keeps every row whose upper bound reaches the k-th best lower bound.
///
/// # Source
/// k different rows score at or above the k-th best lower bound, so a row below it is not among the k best.
#[derive(Debug, Clone)]
pub(super) struct Shortlist {
    k: usize,
    threshold: f64,
    room: usize,
    rows: Vec<Candidate>,
}

impl Shortlist {
    /// An empty list for the `k` best of some rows, of which `known` are different ones.
    pub(super) fn new(k: usize, known: &[Candidate]) -> Self {
        // What is not a number bounds nothing.
        let lower = known.iter().map(Candidate::lower).filter(|lower| !lower.is_nan()).collect();
        let threshold = kth_largest(lower, k).unwrap_or(f64::NEG_INFINITY);
        Self { k, threshold, room: 2 * k + 32, rows: Vec::new() }
    }

    /// A value below this cannot reach the threshold with an error of at most `slack`; rounded down.
    #[expect(clippy::cast_possible_truncation, reason = "rounded outward right after")]
    pub(super) fn cut(&self, slack: f32) -> f32 {
        let cut = self.threshold - f64::from(slack);
        if cut == f64::NEG_INFINITY || cut.is_nan() { f32::NEG_INFINITY } else { (cut as f32).next_down() }
    }

    /// Takes a row unless its bounds exclude it; true when the threshold may have risen.
    pub(super) fn offer(&mut self, candidate: Candidate) -> bool {
        if candidate.upper() < self.threshold {
            return false;
        }
        self.rows.push(candidate);
        let full = self.rows.len() >= self.room;
        if full {
            self.tighten();
            self.room = self.room.max(2 * self.rows.len());
        }
        full
    }

    /// Raises the threshold to the k-th best lower bound and drops what falls below.
    fn tighten(&mut self) {
        let Some(kth) = kth_largest(self.rows.iter().map(Candidate::lower).collect(), self.k) else { return };
        self.threshold = self.threshold.max(kth);
        let threshold = self.threshold;
        self.rows.retain(|c| c.upper() >= threshold);
    }

    /// One list from those of disjoint parts of the bank, in the order of positions.
    pub(super) fn merge(parts: impl IntoIterator<Item = Self>) -> Option<Vec<Candidate>> {
        parts
            .into_iter()
            .reduce(|mut all, part| {
                all.rows.extend(part.rows);
                all
            })
            .map(|mut all| {
                all.tighten();
                all.rows.sort_unstable_by_key(|c| c.position);
                all.rows
            })
    }
}

/// The k-th largest, if there are so many.
fn kth_largest(mut values: Vec<f64>, k: usize) -> Option<f64> {
    let at = k.checked_sub(1).filter(|&at| at < values.len())?;
    Some(*values.select_nth_unstable_by(at, |a, b| b.total_cmp(a)).1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use aoi_testing::Seeded;

    fn random(n: u32, seed: u64) -> Vec<Candidate> {
        let mut s = Seeded::new(seed);
        // A coarse grid of values makes ties common.
        (0..n)
            .map(|row| Candidate { position: row, value: s.below(40) as f32, error: s.below(4) as f32 / 2.0 })
            .collect()
    }

    /// The definition, with a full sort.
    fn by_sorting(all: &[Candidate], k: usize) -> Vec<u32> {
        let mut lower: Vec<f64> = all.iter().map(Candidate::lower).collect();
        lower.sort_by(|a, b| b.total_cmp(a));
        let threshold = lower.get(k - 1).copied().unwrap_or(f64::NEG_INFINITY);
        all.iter().filter(|c| c.upper() >= threshold).map(|c| c.position).collect()
    }

    #[test]
    fn the_running_selection_keeps_what_a_full_sort_keeps_for_any_split() {
        for (n, k, seed) in [(1, 1, 1), (5, 9, 2), (300, 1, 3), (1000, 7, 4), (1000, 64, 5)] {
            let all = random(n, seed);
            for parts in [1, 2, 3] {
                let lists = (0..parts).map(|part| {
                    let mut list = Shortlist::new(k, &[]);
                    for c in all.iter().skip(part).step_by(parts) {
                        list.offer(*c);
                    }
                    list
                });
                let kept = Shortlist::merge(lists).unwrap();
                let rows: Vec<u32> = kept.iter().map(|c| c.position).collect();
                assert_eq!(rows, by_sorting(&all, k), "n {n}, k {k}, parts {parts}");
            }
        }
    }

    #[test]
    fn a_value_below_the_cut_is_never_kept() {
        let all = random(2000, 6);
        let mut list = Shortlist::new(10, &[]);
        let mut skipped = 0;
        for c in &all {
            if c.value < list.cut(2.0) {
                skipped += 1;
            } else {
                list.offer(*c);
            }
        }
        assert!(skipped > 100, "the cut did nothing");
        let rows: Vec<u32> = Shortlist::merge([list]).unwrap().iter().map(|c| c.position).collect();
        assert_eq!(rows, by_sorting(&all, 10));
    }

    #[test]
    fn what_is_known_of_some_rows_excludes_others_before_any_was_offered() {
        let all = random(2000, 7);
        let known = |n: usize| &all[700..700 + n];
        assert_eq!(Shortlist::new(10, known(9)).cut(0.0), f32::NEG_INFINITY);
        let mut list = Shortlist::new(10, known(500));
        let cut = list.cut(0.0);
        assert!(cut > 30.0, "{cut}");
        let excluded = all.iter().filter(|c| !list.offer(**c) && c.upper() < f64::from(cut)).count();
        assert!(excluded > 1000, "{excluded}");
        let rows: Vec<u32> = Shortlist::merge([list]).unwrap().iter().map(|c| c.position).collect();
        assert_eq!(rows, by_sorting(&all, 10));
    }

    #[test]
    fn an_infinite_error_keeps_its_row_and_proves_nothing() {
        let mut list = Shortlist::new(1, &[]);
        for row in 0..100 {
            list.offer(Candidate {
                position: row,
                value: row as f32,
                error: if row == 3 { f32::INFINITY } else { 0.0 },
            });
        }
        let rows: Vec<u32> = Shortlist::merge([list]).unwrap().iter().map(|c| c.position).collect();
        assert_eq!(rows, [3, 99]);
    }
}

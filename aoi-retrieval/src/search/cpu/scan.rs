//! One tile after another, one comparison per bin, a look at its rows where it is near enough, and a short list per query.

use std::ops::Range;

use super::bound::{TERMS, Terms, bound, widest};
use super::shortlist::{Candidate, Shortlist};
use super::tile::{GROUP, LANES};

/// Pairs of panels whose widest terms decide which bins are looked at closely.
const BLOCK: usize = 32;

/// Approximate scores by tiles of 14 queries and two bins, with bounds on their errors.
pub(super) trait Pass: Sync {
    /// Room that a thread needs, for example for packed panels.
    type Scratch;
    /// Rows of the bank.
    fn rows(&self) -> usize;
    /// Room for one thread.
    fn scratch(&self) -> Self::Scratch;
    /// Prepares bins `2 pair` and `2 pair + 1`.
    fn load(&self, pair: usize, scratch: &mut Self::Scratch);
    /// The best approximate score of each prepared bin for each query of a group; lanes from 14 on mean nothing.
    fn maxima(&self, scratch: &mut Self::Scratch, pair: usize, group: usize) -> [[f32; LANES]; 2];
    /// Approximate scores of the 16 rows of a prepared bin for one query; those beyond the last row mean nothing.
    fn values(&self, scratch: &Self::Scratch, bin: usize, query: usize) -> [f32; LANES];
    /// What the bound needs to know of a bin.
    fn terms(&self, bin: usize) -> &Terms;
    /// What the bound needs to know of a query.
    fn coefficients(&self, query: usize) -> &Terms;
}

/// The short list of every query over the bins of some pairs of panels.
pub(super) fn scan<P: Pass>(pass: &P, queries: usize, k: usize, pairs: Range<usize>) -> Vec<Shortlist> {
    let mut lists = vec![Shortlist::new(k); queries];
    let mut slacks = vec![0.0; queries];
    // Lanes without a query are never reached.
    let mut cuts = vec![[f32::INFINITY; LANES]; queries.div_ceil(GROUP)];
    let mut scratch = pass.scratch();
    let all_bins = pass.rows().div_ceil(LANES);
    for block in pairs.clone().step_by(BLOCK) {
        let block = block..(block + BLOCK).min(pairs.end);
        let bins = 2 * block.start..(2 * block.end).min(all_bins);
        let worst = bins.fold([0.0; TERMS], |worst, bin| widest(worst, pass.terms(bin)));
        for (q, list) in lists.iter().enumerate() {
            slacks[q] = bound(&worst, pass.coefficients(q));
            cuts[q / GROUP][q % GROUP] = list.cut(slacks[q]);
        }
        for pair in block {
            pass.load(pair, &mut scratch);
            for (group, cuts) in cuts.iter_mut().enumerate() {
                let maxima = pass.maxima(&mut scratch, pair, group);
                for (p, maxima) in maxima.iter().enumerate() {
                    let bin = 2 * pair + p;
                    if bin >= all_bins || !any_reaches(maxima, cuts) {
                        continue;
                    }
                    for lane in 0..GROUP {
                        if maxima[lane] < cuts[lane] || cuts[lane] == f32::INFINITY {
                            continue;
                        }
                        let q = group * GROUP + lane;
                        let error = bound(pass.terms(bin), pass.coefficients(q));
                        let values = pass.values(&scratch, bin, q);
                        let mut risen = false;
                        for (row, value) in (bin * LANES..pass.rows()).zip(values) {
                            if value < cuts[lane] {
                                continue;
                            }
                            let row = u32::try_from(row).expect("rows are counted in u32");
                            risen |= lists[q].offer(Candidate { row, value, error });
                        }
                        if risen {
                            cuts[lane] = lists[q].cut(slacks[q]);
                        }
                    }
                }
            }
        }
    }
    lists
}

/// Whether any lane is at or above its cut, without a branch per lane.
#[inline]
fn any_reaches(maxima: &[f32; LANES], cuts: &[f32; LANES]) -> bool {
    let mut any = 0;
    for lane in 0..LANES {
        any |= u32::from(maxima[lane] >= cuts[lane]);
    }
    any != 0
}

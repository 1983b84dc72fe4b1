//! One tile after another, one comparison per bin, a look at its rows where it is near enough, and a short list per query.
//!
//! Where a pass knows bins that may hold neighbours of a query, their rows are bounded first: the k-th best bound is what every row must reach from the
//! start. They are met again in their turn, so that a short list never holds a row twice.
//!
//! Where a pass can stop early, it computes the first part of each sum and adds the most that the rest may come to: a bin that does not
//! reach what a row must reach even so is done with, and the others are computed whole, bin by bin. How much is worth computing first
//! depends on how far the best rows lie ahead of the others, which is tried out from time to time. Scores and bounds of what is kept are
//! the same either way.

use std::ops::Range;

use super::bound::{TERMS, Terms, bound, widest};
use super::isa::Isa;
use super::shortlist::{Candidate, Shortlist};
use super::tile::{GROUP, LANES, Maxima, Scores};
use crate::RetrievalError;
use crate::progress::Steps;

/// Pairs of panels whose widest terms decide which bins are looked at closely.
const BLOCK: usize = 32;
/// Blocks after which stops are chosen anew; sooner at first, when what a row must reach is still rising.
const CHOOSE_AFTER: usize = 16;

/// Approximate scores by tiles of 14 queries and two bins, two groups of queries at a time, with bounds on their errors.
pub(super) trait Pass: Sync {
    /// Room that a thread needs, for example for packed panels.
    type Scratch;
    /// What the scan is compiled for.
    fn isa(&self) -> Isa;
    /// Rows of the bank.
    fn rows(&self) -> usize;
    /// Room for one thread.
    fn scratch(&self) -> Self::Scratch;
    /// Prepares bins `2 pair` and `2 pair + 1`.
    fn load(&self, pair: usize, scratch: &mut Self::Scratch);
    /// Writes the approximate scores of two prepared bins for the queries of groups `2 both` and `2 both + 1`, and tells the best of each bin
    /// and query; those of rows beyond the last, and of queries beyond the last, mean nothing. With a stop sums are left there, and the most that the
    /// rest may come to is added: none is then less than without.
    fn maxima(
        &self,
        scratch: &mut Self::Scratch,
        place: (usize, usize),
        stop: Option<usize>,
        scores: &mut [Scores; 2],
    ) -> [Maxima; 2];
    /// Number of places where sums may be left, the earliest first; none where every score is computed whole.
    fn stops(&self) -> usize {
        0
    }
    /// What `maxima` costs, and `scores` for so many bins, in some unit.
    fn cost(&self, _both: usize, _stop: Option<usize>, _near: usize) -> usize {
        0
    }
    /// The scores of one bin and query that `maxima` writes without a stop.
    fn scores(&self, _bin: usize, _query: usize) -> [f32; LANES] {
        unreachable!("asked for only by passes with stops or first bins")
    }
    /// Bins that may hold neighbours of a query, none twice: looked at first to learn what a row must reach.
    fn first_bins(&self, _query: usize) -> &[usize] {
        &[]
    }
    /// What the bound needs to know of a bin.
    fn terms(&self, bin: usize) -> &Terms;
    /// What the bound needs to know of a query.
    fn coefficients(&self, query: usize) -> &Terms;
}

/// Groups of some queries: an even number, the last perhaps without any query.
pub(super) fn groups(queries: usize) -> usize {
    queries.div_ceil(GROUP).next_multiple_of(2)
}

/// The short list of every query over the bins of some pairs of panels; a step for each query and row.
pub(super) fn scan<P: Pass>(
    pass: &P,
    queries: usize,
    k: usize,
    pairs: Range<usize>,
    steps: &mut Steps<'_>,
) -> Result<Vec<Shortlist>, RetrievalError> {
    let mut state = State {
        lists: pass.isa().run(
            #[inline(always)]
            || (0..queries).map(|q| Shortlist::new(k, &first_rows(pass, q))).collect(),
        ),
        slacks: vec![0.0; queries],
        // Lanes without a query are never reached.
        cuts: vec![[f32::INFINITY; LANES]; groups(queries)],
        stops: vec![None; groups(queries) / 2],
        choose: false,
        scores: Box::new([Scores::EMPTY; 2]),
    };
    let mut scratch = pass.scratch();
    for (index, block) in pairs.clone().step_by(BLOCK).enumerate() {
        let block = block..(block + BLOCK).min(pairs.end);
        state.choose = pass.stops() > 0 && (index.is_power_of_two() || index % CHOOSE_AFTER == 0);
        pass.isa().run(
            #[inline(always)]
            || state.scan_block(pass, block.clone(), &mut scratch),
        );
        let [start, end] = [block.start, block.end].map(|pair| pass.rows().min(2 * LANES * pair));
        steps.advance(queries * (end - start))?;
    }
    Ok(state.lists)
}

/// The rows in a query's first bins.
#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled once per instruction set inside its caller")]
fn first_rows<P: Pass>(pass: &P, query: usize) -> Vec<Candidate> {
    let mut first = Vec::with_capacity(pass.first_bins(query).len() * LANES);
    for &bin in pass.first_bins(query) {
        let error = bound(pass.terms(bin), pass.coefficients(query));
        let rows = (position(bin)..).zip(pass.scores(bin, query)).take(pass.rows() - bin * LANES);
        first.extend(rows.map(|(position, value)| Candidate { position, value, error }));
    }
    first
}

/// Where the first row of a bin stands.
fn position(bin: usize) -> u32 {
    u32::try_from(bin * LANES).expect("rows are counted in u32")
}

/// What one thread knows of its queries.
struct State {
    lists: Vec<Shortlist>,
    /// Largest error in the block of bins at hand.
    slacks: Vec<f32>,
    /// What an approximate score must reach there to matter, by groups.
    cuts: Vec<[f32; LANES]>,
    /// Where sums are left at first, by two groups.
    stops: Vec<Option<usize>>,
    /// Whether that is to be chosen anew.
    choose: bool,
    scores: Box<[Scores; 2]>,
}

impl State {
    /// Looks at a block of bins for every query.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "compiled once per instruction set inside its caller")]
    fn scan_block<P: Pass>(&mut self, pass: &P, pairs: Range<usize>, scratch: &mut P::Scratch) {
        let all_bins = pass.rows().div_ceil(LANES);
        self.loosen(pass, 2 * pairs.start..(2 * pairs.end).min(all_bins));
        for pair in pairs {
            pass.load(pair, scratch);
            for both in 0..self.cuts.len() / 2 {
                if self.choose {
                    self.stops[both] = self.best_stop(pass, (pair, both), scratch);
                }
                let stop = self.stops[both];
                let maxima = pass.maxima(scratch, (pair, both), stop, &mut self.scores);
                for (g, maxima) in maxima.iter().enumerate() {
                    let group = 2 * both + g;
                    for (p, maxima) in maxima.iter().enumerate() {
                        let mut near = reached(maxima, &self.cuts[group]);
                        while near != 0 && 2 * pair + p < all_bins {
                            let lane = near.trailing_zeros() as usize;
                            if stop.is_some() {
                                self.scores[g].0[p][lane] = pass.scores(2 * pair + p, group * GROUP + lane);
                            }
                            self.look(pass, (pair, p), group, lane);
                            near &= near - 1;
                        }
                    }
                }
            }
            self.choose = false;
        }
    }

    /// Where it costs least to leave the sums of two groups, going by the bins at hand.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "compiled once per instruction set inside its caller")]
    fn best_stop<P: Pass>(
        &mut self,
        pass: &P,
        (pair, both): (usize, usize),
        scratch: &mut P::Scratch,
    ) -> Option<usize> {
        let mut best = (pass.cost(both, None, 0), None);
        for stop in 0..pass.stops() {
            let maxima = pass.maxima(scratch, (pair, both), Some(stop), &mut self.scores);
            let groups = maxima.iter().zip(&self.cuts[2 * both..]);
            let near =
                groups.flat_map(|(m, cuts)| m.iter().map(|m| reached(m, cuts).count_ones() as usize)).sum();
            let cost = pass.cost(both, Some(stop), near);
            if cost < best.0 {
                best = (cost, Some(stop));
            }
        }
        best.1
    }

    /// Sets slacks and cuts for a block of bins.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "compiled once per instruction set inside its caller")]
    fn loosen<P: Pass>(&mut self, pass: &P, bins: Range<usize>) {
        let worst = bins.fold([0.0; TERMS], |worst, bin| widest(worst, pass.terms(bin)));
        for (q, list) in self.lists.iter().enumerate() {
            self.slacks[q] = bound(&worst, pass.coefficients(q));
            self.cuts[q / GROUP][q % GROUP] = list.cut(self.slacks[q]);
        }
    }

    /// Offers the rows of a bin that reach the cut of one query.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "compiled once per instruction set inside its caller")]
    fn look<P: Pass>(&mut self, pass: &P, (pair, p): (usize, usize), group: usize, lane: usize) {
        let (bin, q) = (2 * pair + p, group * GROUP + lane);
        let cut = &mut self.cuts[group][lane];
        let values = &self.scores[group % 2].0[p][lane];
        let rows = (pass.rows() - bin * LANES).min(LANES);
        let mut near = reached(values, &[*cut; LANES]) & ((1 << rows) - 1);
        let error = bound(pass.terms(bin), pass.coefficients(q));
        let mut risen = false;
        while near != 0 {
            let i = near.trailing_zeros();
            near &= near - 1;
            let position = position(bin) + i;
            risen |= self.lists[q].offer(Candidate { position, value: values[i as usize], error });
        }
        if risen {
            *cut = self.lists[q].cut(self.slacks[q]);
        }
    }
}

/// Which lanes are at or above their cut, as bits, without a branch per lane; what is not a number is.
#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled once per instruction set inside its callers")]
fn reached(values: &[f32; LANES], cuts: &[f32; LANES]) -> u32 {
    let mut near = 0;
    for lane in 0..LANES {
        let above = values[lane] >= cuts[lane] || values[lane].is_nan();
        near |= u32::from(above && cuts[lane] < f32::INFINITY) << lane;
    }
    near
}

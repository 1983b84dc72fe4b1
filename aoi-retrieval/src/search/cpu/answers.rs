//! The answers to queries: each by the first scan that can decide it.

use super::compact_pass::CompactPass;
use super::float::FloatPass;
use super::scan::{Pass, scan};
use super::shortlist::Shortlist;
use super::tile::{GROUP, LANES};
use super::{CpuSearch, exact};
use crate::search::{Rows, Search, frame, in_parallel};
use crate::{Certificate, Neighbour, Route, metric};

/// Most queries scanned together: their codes stay in the second-level cache.
const BATCH: usize = 80 * GROUP;
/// Fewest queries for which a thread reads the whole compact copy.
const SHARE: usize = 8 * GROUP;

/// The neighbours of one query, best first, and how they were found.
pub(in crate::search) type Answer = (Vec<Neighbour>, Certificate);

/// What a scan cannot exclude for one query: rows, and the bins in which they stand.
struct Left {
    rows: Vec<u32>,
    bins: usize,
}

/// A scan for some queries by some threads, as a method of a search.
type Scan<S> = fn(&S, &Rows<'_>, &[usize], usize, usize) -> Vec<Option<Answer>>;

impl CpuSearch<'_> {
    /// What is left for every chosen query, over the whole bank.
    fn shortlists<P: Pass>(&self, pass: &P, queries: usize, k: usize, threads: usize) -> Vec<Left> {
        let parts = in_parallel(self.bins().div_ceil(2), threads, |pairs| scan(pass, queries, k, pairs));
        let mut parts: Vec<_> = parts.into_iter().map(Vec::into_iter).collect();
        (0..queries)
            .map(|_| {
                let list = Shortlist::merge(parts.iter_mut().filter_map(Iterator::next)).unwrap_or_default();
                let bins =
                    list.chunk_by(|a, b| a.position as usize / LANES == b.position as usize / LANES).count();
                let rows =
                    list.iter().map(|c| self.panels.order.row(c.position as usize)).map(count).collect();
                Left { rows, bins }
            })
            .collect()
    }

    /// Answers the queries that the compact copy can decide; the others are left as `None`.
    fn by_compact_copy(
        &self,
        queries: &Rows<'_>,
        chosen: &[usize],
        k: usize,
        threads: usize,
    ) -> Vec<Option<Answer>> {
        let Some(codes) = &self.panels.codes else { return vec![None; chosen.len()] };
        let (asked, n) = ((queries, chosen), self.bank.count());
        let pass = CompactPass::new((&self.panels, codes), &self.frame, self.isa, n, asked, k);
        let lists = self.shortlists(&pass, chosen.len(), k, threads);
        self.finish(queries, chosen, &lists, k, threads, Route::Compact)
    }

    /// Answers the queries that an f32 scan can decide; the others are left as `None`.
    fn by_float_scan(
        &self,
        queries: &Rows<'_>,
        chosen: &[usize],
        k: usize,
        threads: usize,
    ) -> Vec<Option<Answer>> {
        if self.bank.width() > frame::WIDEST {
            return vec![None; chosen.len()];
        }
        let pass =
            FloatPass::new(&self.bank, &self.norms, &self.frame, &self.panels, self.isa, queries, chosen);
        let lists = self.shortlists(&pass, chosen.len(), k, threads);
        self.finish(queries, chosen, &lists, k, threads, Route::F32)
    }

    /// Scores what is left of each list in f64, unless too much is left.
    fn finish(
        &self,
        queries: &Rows<'_>,
        chosen: &[usize],
        lists: &[Left],
        k: usize,
        threads: usize,
        route: Route,
    ) -> Vec<Option<Answer>> {
        let limit = self.most_rescored(k);
        in_parallel(chosen.len(), threads, |part| {
            let short = |i: &usize| lists[*i].rows.len() <= limit;
            let able: Vec<(&[f32], &[u32])> =
                part.clone().filter(short).map(|i| (queries.row(chosen[i]), &*lists[i].rows)).collect();
            let best = self.isa.run(
                #[inline(always)]
                || exact::best_of_each((&self.bank, &self.norms), self.metric(), &able, k),
            );
            let mut best = best.into_iter();
            part.map(|i| {
                let Left { rows, bins } = &lists[i];
                let best = if short(&i) { best.next() } else { None }?;
                Some((best, Certificate { route, bins: count(*bins), rescored: count(rows.len()) }))
            })
            .collect::<Vec<_>>()
        })
        .concat()
    }

    /// Scans with the threads taking a share of the queries each if that is at least `share`, else a share of the bank each.
    ///
    /// A thread that reads the whole bank learns sooner what a row must reach, and has nothing to merge.
    fn in_shares(
        &self,
        scan: Scan<Self>,
        share: usize,
        queries: &Rows<'_>,
        chosen: &[usize],
        k: usize,
        threads: usize,
    ) -> Vec<Option<Answer>> {
        // Batches of one size: a last batch of a few queries would read the whole bank for them.
        let batches = |chosen: &[usize], threads: usize| -> Vec<Option<Answer>> {
            let size = chosen.len().div_ceil(chosen.len().div_ceil(BATCH).max(1)).max(1);
            chosen.chunks(size).flat_map(|batch| scan(self, queries, batch, k, threads)).collect()
        };
        if chosen.len() / threads < share {
            return batches(chosen, threads);
        }
        in_parallel(chosen.len(), threads, |part| batches(&chosen[part], 1)).concat()
    }

    /// The answers to the queries `chosen`, each by the first scan that can decide it; `k` is at most the number of rows.
    pub(in crate::search) fn answers(
        &self,
        queries: &Rows<'_>,
        chosen: &[usize],
        k: usize,
        threads: usize,
    ) -> Vec<Answer> {
        let mut answers: Vec<Option<Answer>> = vec![None; chosen.len()];
        if k == 0 {
            let none = Certificate { route: Route::Exhaustive, bins: 0, rescored: 0 };
            answers.fill(Some((Vec::new(), none)));
        }
        let mut open: Vec<usize> = (0..answers.len()).filter(|&i| answers[i].is_none()).collect();
        // Queries outside the range of the f32 frame wait for exact scoring.
        let in_range = |i: &usize| self.frame.coefficients(metric::norm(queries.row(chosen[*i]))).is_some();
        // The f32 scan packs what it reads, and does that once for all threads.
        let scans: [(Scan<Self>, usize); 2] =
            [(Self::by_compact_copy, SHARE), (Self::by_float_scan, usize::MAX)];
        for (scan, share) in scans {
            let able: Vec<usize> = open.iter().copied().filter(in_range).collect();
            let asked: Vec<usize> = able.iter().map(|&i| chosen[i]).collect();
            for (&i, answer) in able.iter().zip(self.in_shares(scan, share, queries, &asked, k, threads)) {
                answers[i] = answer;
            }
            open.retain(|&i| answers[i].is_none());
        }
        let asked: Vec<usize> = open.iter().map(|&i| chosen[i]).collect();
        for (&i, answer) in open.iter().zip(self.exhaustively(queries, &asked, k, threads)) {
            answers[i] = Some(answer);
        }
        answers.into_iter().flatten().collect()
    }

    /// The best `k` of `rows` by their f64 scores.
    pub(in crate::search) fn score(
        &self,
        query: &[f32],
        rows: impl Iterator<Item = u32> + Clone,
        k: usize,
    ) -> Vec<Neighbour> {
        self.isa.run(
            #[inline(always)]
            || exact::best_of((&self.bank, &self.norms), (self.metric(), query), rows, k),
        )
    }

    fn exhaustively(&self, queries: &Rows<'_>, chosen: &[usize], k: usize, threads: usize) -> Vec<Answer> {
        let n = count(self.bank.count());
        let certificate = Certificate { route: Route::Exhaustive, bins: count(self.bins()), rescored: n };
        in_parallel(chosen.len(), threads, |part| {
            part.map(|i| (self.score(queries.row(chosen[i]), 0..n, k), certificate)).collect::<Vec<_>>()
        })
        .concat()
    }
}

/// A count as the certificate holds it; rows are counted in u32 throughout.
fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

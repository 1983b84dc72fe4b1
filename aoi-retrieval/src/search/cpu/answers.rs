//! The answers to queries: each by the first scan that can decide it.

use super::compact_pass::CompactPass;
use super::float::FloatPass;
use super::scan::{Pass, scan};
use super::shortlist::Shortlist;
use super::tile::{GROUP, LANES};
use super::{CpuSearch, exact};
use crate::progress::Steps;
use crate::search::{Rows, Search, frame, in_parallel, in_parallel_counted};
use crate::{Certificate, Neighbour, RetrievalError, Route, metric};

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

/// Queries, and which of them are meant.
type Asked<'a, 'q> = (&'a Rows<'q>, &'a [usize]);

/// A scan for some queries by some threads, as a method of a search.
type Scan<S> =
    fn(&S, Asked<'_, '_>, usize, usize, &mut Steps<'_>) -> Result<Vec<Option<Answer>>, RetrievalError>;

impl CpuSearch<'_> {
    /// What is left for every chosen query, over the whole bank.
    fn shortlists<P: Pass>(
        &self,
        pass: &P,
        queries: usize,
        k: usize,
        threads: usize,
        steps: &mut Steps<'_>,
    ) -> Result<Vec<Left>, RetrievalError> {
        let pairs = self.bins().div_ceil(2);
        let parts =
            in_parallel_counted(pairs, threads, steps, |pairs, steps| scan(pass, queries, k, pairs, steps))?;
        let mut parts: Vec<_> = parts.into_iter().map(Vec::into_iter).collect();
        let lists = (0..queries)
            .map(|_| {
                let list = Shortlist::merge(parts.iter_mut().filter_map(Iterator::next)).unwrap_or_default();
                let bins =
                    list.chunk_by(|a, b| a.position as usize / LANES == b.position as usize / LANES).count();
                let rows =
                    list.iter().map(|c| self.panels.order.row(c.position as usize)).map(count).collect();
                Left { rows, bins }
            })
            .collect();
        Ok(lists)
    }

    /// Answers the queries that the compact copy can decide; the others are left as `None`.
    fn by_compact_copy(
        &self,
        asked: Asked<'_, '_>,
        k: usize,
        threads: usize,
        steps: &mut Steps<'_>,
    ) -> Result<Vec<Option<Answer>>, RetrievalError> {
        let Some(codes) = &self.panels.codes else { return Ok(vec![None; asked.1.len()]) };
        let n = self.bank.count();
        let pass = CompactPass::new((&self.panels, codes), &self.frame, self.isa, n, asked, k);
        let lists = self.shortlists(&pass, asked.1.len(), k, threads, steps)?;
        Ok(self.finish(asked, &lists, k, threads, Route::Compact, steps))
    }

    /// Answers the queries that an f32 scan can decide; the others are left as `None`.
    fn by_float_scan(
        &self,
        (queries, chosen): Asked<'_, '_>,
        k: usize,
        threads: usize,
        steps: &mut Steps<'_>,
    ) -> Result<Vec<Option<Answer>>, RetrievalError> {
        if self.bank.width() > frame::WIDEST {
            return Ok(vec![None; chosen.len()]);
        }
        let pass =
            FloatPass::new(&self.bank, &self.norms, &self.frame, &self.panels, self.isa, queries, chosen);
        let lists = self.shortlists(&pass, chosen.len(), k, threads, steps)?;
        Ok(self.finish((queries, chosen), &lists, k, threads, Route::F32, steps))
    }

    /// Scores what is left of each list in f64, unless too much is left: the query then needs another scan.
    fn finish(
        &self,
        (queries, chosen): Asked<'_, '_>,
        lists: &[Left],
        k: usize,
        threads: usize,
        route: Route,
        steps: &Steps<'_>,
    ) -> Vec<Option<Answer>> {
        let limit = self.most_rescored(k);
        let too_long = lists.iter().filter(|list| list.rows.len() > limit).count();
        steps.expect(too_long * self.bank.count());
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
        (queries, chosen): Asked<'_, '_>,
        k: usize,
        threads: usize,
        steps: &mut Steps<'_>,
    ) -> Result<Vec<Option<Answer>>, RetrievalError> {
        // Batches of one size: a last batch of a few queries would read the whole bank for them.
        let batches = |chosen: &[usize], threads: usize, steps: &mut Steps<'_>| {
            let size = chosen.len().div_ceil(chosen.len().div_ceil(BATCH).max(1)).max(1);
            let mut answers = Vec::with_capacity(chosen.len());
            for batch in chosen.chunks(size) {
                answers.extend(scan(self, (queries, batch), k, threads, steps)?);
            }
            Ok(answers)
        };
        if chosen.len() / threads < share {
            return batches(chosen, threads, steps);
        }
        let parts = in_parallel_counted(chosen.len(), threads, steps, |part, steps| {
            batches(&chosen[part], 1, steps)
        })?;
        Ok(parts.concat())
    }

    /// The answers to the queries `chosen`, each by the first scan that can decide it; `k` is at most the number of rows. A step for each
    /// query and row is expected; more are where a query needs another scan.
    pub(in crate::search) fn answers(
        &self,
        queries: &Rows<'_>,
        chosen: &[usize],
        k: usize,
        threads: usize,
        steps: &mut Steps<'_>,
    ) -> Result<Vec<Answer>, RetrievalError> {
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
            let found = self.in_shares(scan, share, (queries, &asked), k, threads, steps)?;
            for (&i, answer) in able.iter().zip(found) {
                answers[i] = answer;
            }
            open.retain(|&i| answers[i].is_none());
        }
        let asked: Vec<usize> = open.iter().map(|&i| chosen[i]).collect();
        for (&i, answer) in open.iter().zip(self.exhaustively((queries, &asked), k, threads, steps)?) {
            answers[i] = Some(answer);
        }
        Ok(answers.into_iter().flatten().collect())
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

    fn exhaustively(
        &self,
        (queries, chosen): Asked<'_, '_>,
        k: usize,
        threads: usize,
        steps: &mut Steps<'_>,
    ) -> Result<Vec<Answer>, RetrievalError> {
        let n = count(self.bank.count());
        let certificate = Certificate { route: Route::Exhaustive, bins: count(self.bins()), rescored: n };
        let parts = in_parallel_counted(chosen.len(), threads, steps, |part, steps| {
            let mut answers = Vec::with_capacity(part.len());
            for i in part {
                answers.push((self.score(queries.row(chosen[i]), 0..n, k), certificate));
                steps.advance(self.bank.count())?;
            }
            Ok(answers)
        })?;
        Ok(parts.concat())
    }
}

/// A count as the certificate holds it; rows are counted in u32 throughout.
fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

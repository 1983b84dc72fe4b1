//! The scan of the compact copy: coded queries, whole sums or the first part of them.

use super::amx::{self, Session};
use super::bound::{TERMS, Terms, up_all};
use super::code::{Coded, STOPS, rests};
use super::compact::{Codes, Panels, REST_LINES};
use super::frame::Frame;
use super::isa::Isa;
use super::scan::{Pass, groups};
use super::tile::{Aligned, GROUP, IntTile, LANES, Maxima, QueryLine, Rest, Scores};
use crate::metric;
use crate::search::Rows;

/// Coded queries against the compact copy.
pub(super) struct CompactPass<'a> {
    isa: Isa,
    rows: usize,
    bias: &'a [[f32; LANES]],
    codes: &'a Codes,
    /// Per group, `[steps, 14]`.
    head_words: Vec<i32>,
    tail_words: Vec<i32>,
    /// Per group, `[blocks, 14]`.
    tail_blocks: Vec<QueryLine>,
    offsets: Vec<[i32; LANES]>,
    /// Where the tail may be left, and what stands for the rest.
    stops: Option<([usize; STOPS], Vec<Stop>)>,
    scale: Vec<[f32; LANES]>,
    coefficients: Vec<Terms>,
    first_bins: Vec<Vec<usize>>,
}

/// A group of queries whose tails are left at one place.
#[derive(Debug, Clone)]
struct Stop {
    /// `-128 x` the sum of the codes before it.
    offsets: [i32; LANES],
    /// The length of the codes after it, beside a zero: a line holds the lengths at two stops.
    rest_words: [i32; GROUP],
}

impl<'a> CompactPass<'a> {
    /// Codes the queries `chosen`, all of them in range, of which `k` neighbours are asked for.
    pub(super) fn new(
        (panels, codes): (&'a Panels, &'a Codes),
        frame: &Frame,
        isa: Isa,
        rows: usize,
        (queries, chosen): (&Rows<'_>, &[usize]),
        k: usize,
    ) -> Self {
        let coder = &codes.coder;
        let (h, t) = coder.words();
        let groups = groups(chosen.len());
        // Whole blocks only: the words that are left go the way of the vectors.
        let blocks = if isa.has_tiles() { coder.width / amx::DEPTH } else { 0 };
        let mut pass = Self {
            isa,
            rows,
            bias: &panels.bias,
            codes,
            head_words: vec![0; groups * h * GROUP],
            tail_words: vec![0; groups * t * GROUP],
            tail_blocks: vec![Aligned([0; amx::DEPTH]); groups * blocks * GROUP],
            offsets: vec![[0; LANES]; groups],
            stops: if isa.has_tiles() { None } else { coder.stops() }.map(|stops| {
                (stops, vec![Stop { offsets: [0; LANES], rest_words: [0; GROUP] }; groups * STOPS])
            }),
            scale: vec![[0.0; LANES]; groups],
            coefficients: Vec::with_capacity(chosen.len()),
            first_bins: Vec::with_capacity(chosen.len()),
        };
        let mut x = vec![0.0; coder.width];
        let mut head = vec![0.0; coder.head];
        let mut head_codes = vec![0_i16; 2 * h];
        let mut tail_codes = vec![0_i8; 4 * t];
        for (i, &q) in chosen.iter().enumerate() {
            let (group, lane) = (i / GROUP, i % GROUP);
            let norm = metric::norm(queries.row(q));
            frame.centred(queries.row(q), norm, &mut x);
            pass.first_bins.push(panels.order.first_bins(&x, k, isa));
            coder.split(&mut x, &mut head, 1);
            let coded = isa.run(
                #[inline(always)]
                || coder.code(&head, &x, (&mut head_codes, &mut tail_codes)),
            );
            for (s, two) in head_codes.as_chunks::<2>().0.iter().enumerate() {
                pass.head_words[(group * h + s) * GROUP + lane] = bytemuck::cast(*two);
            }
            for (s, four) in tail_codes.as_chunks::<4>().0.iter().enumerate() {
                pass.tail_words[(group * t + s) * GROUP + lane] = bytemuck::cast(*four);
            }
            for (s, codes) in tail_codes.as_chunks::<{ amx::DEPTH }>().0.iter().take(blocks).enumerate() {
                pass.tail_blocks[(group * blocks + s) * GROUP + lane] = Aligned(*codes);
            }
            pass.offsets[group][lane] = offset(&tail_codes);
            if let Some((stops, of_groups)) = &mut pass.stops {
                for (at, rest) in rests(&tail_codes, stops).into_iter().enumerate() {
                    let stop = &mut of_groups[group * STOPS + at];
                    stop.offsets[lane] = offset(&tail_codes[..4 * stops[at]]);
                    stop.rest_words[lane] = bytemuck::cast(if at % 2 == 0 { [rest, 0] } else { [0, rest] });
                }
            }
            pass.scale[group][lane] = coded.step;
            let base = frame.coefficients(norm).unwrap_or([f64::INFINITY; TERMS]);
            pass.coefficients.push(query_terms(base, &coded, coder.slack));
        }
        pass
    }

    /// Two panels against a group of queries, the whole tail or up to a stop.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "compiled once per instruction set inside its callers")]
    fn tile(&self, pair: usize, group: usize, stop: Option<usize>) -> IntTile<'_> {
        let (h, t) = self.codes.coder.words();
        let panels = [2 * pair, 2 * pair + 1];
        let blocks = self.tail_blocks.len() / self.offsets.len();
        let stop = self.stops.as_ref().zip(stop).map(|((stops, of_groups), at)| {
            let lines = panels.map(|i| &self.codes.rest[i * REST_LINES + at / 2]);
            (stops[at], &of_groups[group * STOPS + at], lines)
        });
        let (words, offsets) =
            stop.map_or((t, &self.offsets[group]), |(words, stop, _)| (words, &stop.offsets));
        IntTile {
            head: panels.map(|i| &self.codes.head[i * h..(i + 1) * h]),
            tail: panels.map(|i| &self.codes.tail[i * t..i * t + words]),
            // The first group brings the next pair in for all of them: panels that are left early lie further apart than the processor looks ahead.
            ahead: if group == 0 { 2 * t } else { 0 },
            head_words: &self.head_words[group * h * GROUP..(group + 1) * h * GROUP],
            tail_words: &self.tail_words[group * t * GROUP..(group * t + words) * GROUP],
            tail_blocks: &self.tail_blocks[group * blocks..(group + 1) * blocks],
            offsets,
            shift: self.codes.coder.shift(),
            scale: panels.map(|i| &self.codes.scale[i]),
            bias: panels.map(|i| &self.bias[i]),
            query_scale: &self.scale[group],
            rest: stop.map(|(_, stop, lines)| Rest { lines, words: &stop.rest_words }),
        }
    }

    /// Whether the second of two groups has a query.
    fn has_second(&self, both: usize) -> bool {
        (2 * both + 1) * GROUP < self.coefficients.len()
    }

    /// Words of a tile that is left at a stop, or not.
    fn words(&self, stop: Option<usize>) -> usize {
        let (h, t) = self.codes.coder.words();
        match (&self.stops, stop) {
            (Some((stops, _)), Some(at)) => h + stops[at] + 1,
            _ => h + t,
        }
    }
}

/// What takes back that the rows' codes are stored plus 128.
fn offset(tail_codes: &[i8]) -> i32 {
    -128 * tail_codes.iter().map(|&c| i32::from(c)).sum::<i32>()
}

/// Coefficients of a coded query: see [`super::bound::TERMS`] for what each meets.
///
/// `h.g - h~.g~ = g~.dh + h.dg`, the same for the tail; the arithmetic after the integer sum rounds four times by at most 2^-24
/// of the product or of the bias; the shift of the head sum loses less than one unit.
fn query_terms(mut base: [f64; TERMS], coded: &Coded, slack: f64) -> Terms {
    let rounding = 2.0_f64.powi(-20);
    let whole = coded.head_norm + coded.tail_norm;
    base[0] = coded.head_coded_norm * (1.0 + rounding);
    base[1] = coded.head_residual + coded.head_coded_norm * rounding + whole * slack;
    base[2] = coded.tail_coded_norm * (1.0 + rounding);
    base[3] = coded.tail_residual + coded.tail_coded_norm * rounding + whole * slack;
    base[5] = f64::from(coded.step) * (1.0 + rounding);
    up_all(base)
}

impl Pass for CompactPass<'_> {
    type Scratch = Session;

    fn isa(&self) -> Isa {
        self.isa
    }

    fn rows(&self) -> usize {
        self.rows
    }

    fn scratch(&self) -> Session {
        self.isa.session()
    }

    fn load(&self, _pair: usize, _session: &mut Session) {}

    #[inline]
    fn maxima(
        &self,
        session: &mut Session,
        (pair, both): (usize, usize),
        stop: Option<usize>,
        scores: &mut [Scores; 2],
    ) -> [Maxima; 2] {
        let tiles = [self.tile(pair, 2 * both, stop), self.tile(pair, 2 * both + 1, stop)];
        self.isa.int_maxima(session, &tiles, self.has_second(both), scores)
    }

    fn stops(&self) -> usize {
        if self.stops.is_some() { STOPS } else { 0 }
    }

    /// A tile multiplies each word with fourteen queries and two panels; a bin computed for one query alone takes three times as long for a word, since
    /// nothing is used twice, and some more to get there.
    fn cost(&self, both: usize, stop: Option<usize>, near: usize) -> usize {
        let groups = 1 + usize::from(self.has_second(both));
        groups * 2 * GROUP * self.words(stop) + near * (3 * self.words(None) + 200)
    }

    #[inline]
    fn scores(&self, bin: usize, query: usize) -> [f32; LANES] {
        let tile = self.tile(bin / 2, query / GROUP, None);
        self.isa.int_scores(&tile, bin % 2, query % GROUP)
    }

    fn first_bins(&self, query: usize) -> &[usize] {
        &self.first_bins[query]
    }

    fn terms(&self, bin: usize) -> &Terms {
        &self.codes.terms[bin]
    }

    fn coefficients(&self, query: usize) -> &Terms {
        &self.coefficients[query]
    }
}

//! The compact copy of a bank in panels of 16 rows, and its scan.

use std::ops::Range;

use super::amx::{self, Session};
use super::bound::{TERMS, Terms, up, up_all, widest};
use super::code::{Coded, Coder};
use super::frame::{Frame, RowFacts, float_terms};
use super::scan::{Pass, groups};
use super::simd::Isa;
use super::tile::{Aligned, GROUP, HeadLine, IntTile, LANES, Maxima, QueryLine, Scores, TailLine};
use crate::metric;
use crate::search::Rows;

/// Panels coded together, so that the products with the axes are large enough to be fast.
const BATCH: usize = 16;

/// What every scan needs of the bank, and the codes if there are any.
#[derive(Debug, Clone)]
pub(super) struct Panels {
    /// f32 bias of each row; negative infinity for the rows that fill up the last panels.
    pub(super) bias: Vec<[f32; LANES]>,
    /// Terms of each bin for the f32 scan.
    pub(super) float_terms: Vec<Terms>,
    pub(super) codes: Option<Codes>,
}

/// The codes, panel after panel.
#[derive(Debug, Clone)]
pub(super) struct Codes {
    pub(super) coder: Coder,
    head: Vec<HeadLine>,
    tail: Vec<TailLine>,
    scale: Vec<[f32; LANES]>,
    terms: Vec<Terms>,
}

impl Panels {
    /// Reads the bank once. The number of panels is even, since tiles take two.
    pub(super) fn build(
        rows: &Rows<'_>,
        norms: &[f64],
        frame: &Frame,
        coder: Option<Coder>,
        isa: Isa,
        threads: usize,
    ) -> Self {
        let panels = rows.count().div_ceil(LANES).next_multiple_of(2);
        let (h, t) = coder.as_ref().map_or((0, 0), Coder::words);
        let coded = if coder.is_some() { panels } else { 0 };
        let mut bias = vec![[f32::NEG_INFINITY; LANES]; panels];
        let mut float_terms = vec![[0.0; TERMS]; panels];
        let mut head = vec![Aligned([0_i16; 2 * LANES]); coded * h];
        let mut tail = vec![Aligned([0_u8; 4 * LANES]); coded * t];
        let mut scale = vec![[0.0; LANES]; coded];
        let mut terms = vec![[0.0; TERMS]; coded];
        // Batches are handed out in contiguous runs, one run a thread.
        let run = panels.div_ceil(BATCH).div_ceil(threads.max(1)).max(1) * BATCH;
        std::thread::scope(|scope| {
            let mut heads = head.chunks_mut((run * h).max(1));
            let mut tails = tail.chunks_mut((run * t).max(1));
            let mut scales = scale.chunks_mut(run);
            let mut all_terms = terms.chunks_mut(run);
            for (part, (bias, float_terms)) in
                bias.chunks_mut(run).zip(float_terms.chunks_mut(run)).enumerate()
            {
                let mut out = Out {
                    head: heads.next().unwrap_or_default(),
                    tail: tails.next().unwrap_or_default(),
                    scale: scales.next().unwrap_or_default(),
                    terms: all_terms.next().unwrap_or_default(),
                    bias,
                    float_terms,
                };
                let coder = coder.as_ref();
                scope.spawn(move || build_run(rows, norms, frame, coder, isa, part * run, &mut out));
            }
        });
        let codes = coder.map(|coder| Codes { coder, head, tail, scale, terms });
        Self { bias, float_terms, codes }
    }

    /// Bytes held besides the rows themselves.
    pub(super) fn bytes(&self) -> usize {
        let codes = self.codes.as_ref().map_or(0, |c| {
            size_of_val(&*c.head) + size_of_val(&*c.tail) + size_of_val(&*c.scale) + size_of_val(&*c.terms)
        });
        size_of_val(&*self.bias) + size_of_val(&*self.float_terms) + codes
    }
}

/// The part of the output that one thread fills.
struct Out<'a> {
    head: &'a mut [HeadLine],
    tail: &'a mut [TailLine],
    scale: &'a mut [[f32; LANES]],
    terms: &'a mut [Terms],
    bias: &'a mut [[f32; LANES]],
    float_terms: &'a mut [Terms],
}

fn build_run(
    rows: &Rows<'_>,
    norms: &[f64],
    frame: &Frame,
    coder: Option<&Coder>,
    isa: Isa,
    first: usize,
    out: &mut Out<'_>,
) {
    let d = rows.width();
    let axes = coder.map_or(0, |c| c.head);
    let mut x = vec![0.0; BATCH * LANES * d];
    let mut heads = vec![0.0; BATCH * LANES * axes];
    let mut facts = Vec::with_capacity(BATCH * LANES);
    for batch in (0..out.bias.len()).step_by(BATCH) {
        let start = (first + batch) * LANES;
        let end = rows.count().min(start + BATCH * LANES).max(start);
        isa.run(
            #[inline(always)]
            || centre_batch(rows, norms, frame, start..end, (&mut x, &mut facts)),
        );
        for (i, facts) in facts.iter().enumerate() {
            let (panel, lane) = (batch + i / LANES, i % LANES);
            out.bias[panel][lane] = facts.bias;
            out.float_terms[panel] = widest(out.float_terms[panel], &float_terms(facts));
        }
        let Some(coder) = coder else { continue };
        let count = facts.len();
        coder.split(&mut x[..count * d], &mut heads[..count * axes], count);
        isa.run(
            #[inline(always)]
            || code_batch(coder, (&heads, &x), &facts, batch, out),
        );
    }
}

/// Centres some rows and learns what the bounds need to know of them.
#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled once per instruction set inside its caller")]
fn centre_batch(
    rows: &Rows<'_>,
    norms: &[f64],
    frame: &Frame,
    chosen: Range<usize>,
    (x, facts): (&mut [f64], &mut Vec<RowFacts>),
) {
    facts.clear();
    for (i, x) in chosen.zip(x.chunks_exact_mut(rows.width())) {
        let in_range = frame.centred(rows.row(i), norms[i], x);
        facts.push(frame.facts(norms[i], x, in_range));
    }
}

/// Codes split rows into the panels from `batch` on.
#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled once per instruction set inside its caller")]
fn code_batch(
    coder: &Coder,
    (heads, tails): (&[f64], &[f64]),
    facts: &[RowFacts],
    batch: usize,
    out: &mut Out<'_>,
) {
    let (h, t) = coder.words();
    let (axes, d) = (coder.head, coder.width);
    let mut codes = (vec![0_i16; 2 * h], vec![0_i8; 4 * t]);
    for (i, facts) in facts.iter().enumerate() {
        let (panel, lane) = (batch + i / LANES, i % LANES);
        let (head, tail) = (&heads[i * axes..(i + 1) * axes], &tails[i * d..(i + 1) * d]);
        let coded = coder.code(head, tail, (&mut codes.0, &mut codes.1));
        out.scale[panel][lane] = coded.step;
        out.terms[panel] = widest(out.terms[panel], &compact_terms(&coded, facts));
        let lines = &mut out.head[panel * h..(panel + 1) * h];
        for (line, pair) in lines.iter_mut().zip(codes.0.as_chunks::<2>().0) {
            line.0[2 * lane..2 * lane + 2].copy_from_slice(pair);
        }
        let lines = &mut out.tail[panel * t..(panel + 1) * t];
        for (line, four) in lines.iter_mut().zip(codes.1.as_chunks::<4>().0) {
            // i8 + 128 as u8 is the code with its sign bit turned.
            line.0[4 * lane..4 * lane + 4].copy_from_slice(&four.map(|c| c.cast_unsigned() ^ 0x80));
        }
    }
}

fn compact_terms(coded: &Coded, facts: &RowFacts) -> Terms {
    let wider = 1.0 + 2.0_f64.powi(-40);
    [
        up(coded.head_residual * wider),
        up(coded.head_norm * wider),
        up(coded.tail_residual * wider),
        up(coded.tail_norm * wider),
        up(facts.slack),
        coded.step,
        up(facts.bias_error),
        1.0,
    ]
}

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
    scale: Vec<[f32; LANES]>,
    coefficients: Vec<Terms>,
}

impl<'a> CompactPass<'a> {
    /// Codes the queries `chosen`, all of them in range.
    pub(super) fn new(
        panels: &'a Panels,
        codes: &'a Codes,
        frame: &Frame,
        isa: Isa,
        rows: usize,
        queries: &Rows<'_>,
        chosen: &[usize],
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
            scale: vec![[0.0; LANES]; groups],
            coefficients: Vec::with_capacity(chosen.len()),
        };
        let mut x = vec![0.0; coder.width];
        let mut head = vec![0.0; coder.head];
        let mut head_codes = vec![0_i16; 2 * h];
        let mut tail_codes = vec![0_i8; 4 * t];
        for (i, &q) in chosen.iter().enumerate() {
            let (group, lane) = (i / GROUP, i % GROUP);
            let norm = metric::norm(queries.row(q));
            frame.centred(queries.row(q), norm, &mut x);
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
            pass.offsets[group][lane] = -128 * tail_codes.iter().map(|&c| i32::from(c)).sum::<i32>();
            pass.scale[group][lane] = coded.step;
            let base = frame.coefficients(norm).unwrap_or([f64::INFINITY; TERMS]);
            pass.coefficients.push(query_terms(base, &coded, coder.slack));
        }
        pass
    }

    fn panel(&self, i: usize) -> (&[HeadLine], &[TailLine]) {
        let (h, t) = self.codes.coder.words();
        (&self.codes.head[i * h..(i + 1) * h], &self.codes.tail[i * t..(i + 1) * t])
    }
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
        pair: usize,
        both: usize,
        scores: &mut [Scores; 2],
    ) -> [Maxima; 2] {
        let (h, t) = self.codes.coder.words();
        let [a, b] = [2 * pair, 2 * pair + 1].map(|i| self.panel(i));
        let blocks = self.tail_blocks.len() / self.offsets.len();
        let tiles = [2 * both, 2 * both + 1].map(|group| IntTile {
            head: [a.0, b.0],
            tail: [a.1, b.1],
            head_words: &self.head_words[group * h * GROUP..(group + 1) * h * GROUP],
            tail_words: &self.tail_words[group * t * GROUP..(group + 1) * t * GROUP],
            tail_blocks: &self.tail_blocks[group * blocks..(group + 1) * blocks],
            offsets: &self.offsets[group],
            shift: self.codes.coder.shift(),
            scale: [&self.codes.scale[2 * pair], &self.codes.scale[2 * pair + 1]],
            bias: [&self.bias[2 * pair], &self.bias[2 * pair + 1]],
            query_scale: &self.scale[group],
        });
        self.isa.int_maxima(session, &tiles, (2 * both + 1) * GROUP < self.coefficients.len(), scores)
    }

    fn terms(&self, bin: usize) -> &Terms {
        &self.codes.terms[bin]
    }

    fn coefficients(&self, query: usize) -> &Terms {
        &self.coefficients[query]
    }
}

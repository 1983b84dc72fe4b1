//! The compact copy of a bank in panels of 16 rows.

use std::ops::Range;

use super::bound::{TERMS, Terms, up, widest};
use super::code::{Coded, Coder, STOPS, rests};
use super::frame::{Frame, RowFacts, float_terms};
use super::isa::{self, Isa};
use super::order::Order;
use super::tile::{Aligned, HeadLine, LANES, TailLine};
use crate::RetrievalError;
use crate::progress::Steps;
use crate::search::Rows;

/// Rows asked for before they are centred, since those of a group lie apart.
const AHEAD: usize = 2;
/// Panels coded together, so that the products with the axes are large enough to be fast.
const BATCH: usize = 16;
/// Lines of a panel that hold the lengths of what stops leave out, two a line.
pub(super) const REST_LINES: usize = STOPS / 2;

/// What every scan needs of the bank, and the codes if there are any.
#[derive(Debug, Clone)]
pub(super) struct Panels {
    /// Which row stands where.
    pub(super) order: Order,
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
    pub(super) head: Vec<HeadLine>,
    pub(super) tail: Vec<TailLine>,
    /// Two lengths of what is left out a line, `[panels, 4]`; empty where sums are never left early.
    pub(super) rest: Vec<HeadLine>,
    pub(super) scale: Vec<[f32; LANES]>,
    pub(super) terms: Vec<Terms>,
}

impl Panels {
    /// Reads the bank once, in the given order, a step a row. The number of panels is even, since tiles take two.
    pub(super) fn build(
        (rows, norms, frame): (&Rows<'_>, &[f64], &Frame),
        order: Order,
        coder: Option<Coder>,
        isa: Isa,
        threads: usize,
        steps: &mut Steps<'_>,
    ) -> Result<Self, RetrievalError> {
        let panels = rows.count().div_ceil(LANES).next_multiple_of(2);
        let (h, t) = coder.as_ref().map_or((0, 0), Coder::words);
        let coded = if coder.is_some() { panels } else { 0 };
        let mut bias = vec![[f32::NEG_INFINITY; LANES]; panels];
        let mut float_terms = vec![[0.0; TERMS]; panels];
        let mut head = vec![Aligned([0_i16; 2 * LANES]); coded * h];
        let mut tail = vec![Aligned([0_u8; 4 * LANES]); coded * t];
        let r = coder.as_ref().and_then(Coder::stops).map_or(0, |_| REST_LINES);
        let mut rest = vec![Aligned([0_i16; 2 * LANES]); coded * r];
        let mut scale = vec![[0.0; LANES]; coded];
        let mut terms = vec![[0.0; TERMS]; coded];
        // Batches are handed out in contiguous runs, one run a thread.
        let run = panels.div_ceil(BATCH).div_ceil(threads.max(1)).max(1) * BATCH;
        let mut heads = head.chunks_mut((run * h).max(1));
        let mut tails = tail.chunks_mut((run * t).max(1));
        let mut rests = rest.chunks_mut((run * r).max(1));
        let mut scales = scale.chunks_mut(run);
        let mut all_terms = terms.chunks_mut(run);
        let mut outs = bias.chunks_mut(run).zip(float_terms.chunks_mut(run)).map(|(bias, float_terms)| Out {
            head: heads.next().unwrap_or_default(),
            tail: tails.next().unwrap_or_default(),
            rest: rests.next().unwrap_or_default(),
            scale: scales.next().unwrap_or_default(),
            terms: all_terms.next().unwrap_or_default(),
            bias,
            float_terms,
        });
        let tally = steps.tally();
        let build = |part: usize, out: &mut Out<'_>, steps: &mut Steps<'_>| {
            build_run((rows, norms, frame), (&order, coder.as_ref(), isa), part * run, out, steps)
        };
        std::thread::scope(|scope| {
            let first = outs.next();
            let running: Vec<_> = (1..)
                .zip(outs)
                .map(|(part, mut out)| scope.spawn(move || build(part, &mut out, &mut tally.silent())))
                .collect();
            let ended = first.map_or(Ok(()), |mut out| build(0, &mut out, steps));
            running.into_iter().fold(ended, |ended, thread| {
                ended.and(thread.join().unwrap_or_else(|cause| std::panic::resume_unwind(cause)))
            })
        })?;
        let codes = coder.map(|coder| Codes { coder, head, tail, rest, scale, terms });
        Ok(Self { order, bias, float_terms, codes })
    }

    /// Bytes held besides the rows themselves.
    pub(super) fn bytes(&self) -> usize {
        let codes = self.codes.as_ref().map_or(0, |c| {
            let codes = size_of_val(&*c.head) + size_of_val(&*c.tail) + size_of_val(&*c.rest);
            codes + size_of_val(&*c.scale) + size_of_val(&*c.terms)
        });
        self.order.bytes() + size_of_val(&*self.bias) + size_of_val(&*self.float_terms) + codes
    }
}

/// The part of the output that one thread fills.
struct Out<'a> {
    head: &'a mut [HeadLine],
    tail: &'a mut [TailLine],
    rest: &'a mut [HeadLine],
    scale: &'a mut [[f32; LANES]],
    terms: &'a mut [Terms],
    bias: &'a mut [[f32; LANES]],
    float_terms: &'a mut [Terms],
}

fn build_run(
    (rows, norms, frame): (&Rows<'_>, &[f64], &Frame),
    (order, coder, isa): (&Order, Option<&Coder>, Isa),
    first: usize,
    out: &mut Out<'_>,
    steps: &mut Steps<'_>,
) -> Result<(), RetrievalError> {
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
            || centre_batch((rows, norms, frame), order, start..end, (&mut x, &mut facts)),
        );
        for (i, facts) in facts.iter().enumerate() {
            let (panel, lane) = (batch + i / LANES, i % LANES);
            out.bias[panel][lane] = facts.bias;
            out.float_terms[panel] = widest(out.float_terms[panel], &float_terms(facts));
        }
        let count = facts.len();
        if let Some(coder) = coder {
            coder.split(&mut x[..count * d], &mut heads[..count * axes], count);
            isa.run(
                #[inline(always)]
                || code_batch(coder, (&heads, &x), &facts, batch, out),
            );
        }
        steps.advance(count)?;
    }
    Ok(())
}

/// Centres some rows and learns what the bounds need to know of them.
#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled once per instruction set inside its caller")]
fn centre_batch(
    (rows, norms, frame): (&Rows<'_>, &[f64], &Frame),
    order: &Order,
    positions: Range<usize>,
    (x, facts): (&mut [f64], &mut Vec<RowFacts>),
) {
    facts.clear();
    for (position, x) in positions.clone().zip(x.chunks_exact_mut(rows.width())) {
        let soon = position + AHEAD;
        if soon < positions.end {
            isa::fetch(rows.row(order.row(soon)));
        }
        let i = order.row(position);
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
    let (axes, d, stops) = (coder.head, coder.width, coder.stops());
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
        if let Some(stops) = &stops {
            let lines = &mut out.rest[panel * REST_LINES..(panel + 1) * REST_LINES];
            for (line, two) in lines.iter_mut().zip(rests(&codes.1, stops).as_chunks::<2>().0) {
                line.0[2 * lane..2 * lane + 2].copy_from_slice(two);
            }
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

//! The compact code of a row: 16-bit integers along the principal axes of the bank, 8-bit integers for the rest.
//!
//! With the orthonormal principal axes P `[m, d]` a centred row splits into `h = P x'` and `r = x' - P^T h`, and
//! `x'.q' = h.g + r.s` for a query with parts `g` and `s`. Trained features put most of their energy into a few directions;
//! there 16 bits make the error vanish, and what is left is spread evenly over the coordinates, where one step per row for
//! eight bits is as good as one per group. Taking the axes out costs m extra coordinates in the scan, where a full
//! rotation would cost none, but 12 times less work when the bank is built (m = 32, d = 384).
//!
//! `h ~ t 2^-j c`, `r ~ t e` with integers `|c| <= 2^15 - 1`, `|e| <= 127`, a step `t` per row and one `j` per bank, so that
//! `(c.c' >> 2j) + e.e'` is one integer: `x'.q' ~ t t' ((c.c' >> 2j) + e.e')`.

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};

use super::frame::{Frame, dot};
use crate::metric;
use crate::search::Rows;

/// Largest head code; keeps `|c.c'|` below 2^30 through the lengths of the code vectors.
const HEAD_LIMIT: f64 = 32_000.0;
/// Largest tail code.
const TAIL_LIMIT: f64 = 127.0;
/// Widest row that is coded: `2^30 + 255 x 127 d` must stay below 2^31.
pub(super) const WIDEST: usize = 1 << 14;
/// Widest row whose principal axes are looked for; beyond, finding them would take longer than they save.
const WIDEST_AXES: usize = 2048;
/// Axes along which rows are told apart.
const LEADING: usize = 16;
/// Adding and subtracting this rounds to an integer, which then stands in the low bits.
const ROUNDER: f64 = 6_755_399_441_055_744.0; // 1.5 x 2^52

/// Places where a scan may leave the tail, the first of them before it begins.
pub(super) const STOPS: usize = 8;
/// Fewest words of a tail that is worth leaving.
const WORTH_STOPPING: usize = 16;

/// How rows of a bank are coded.
#[derive(Debug, Clone)]
pub(super) struct Coder {
    /// Principal axes, `[m, d]` row-major, m even.
    axes: Vec<f64>,
    pub(super) head: usize,
    pub(super) width: usize,
    /// j: the head's step is `2^-j` of the tail's.
    finer: i32,
    /// How far P P^T is from the identity, and f64 rounding of `h`, relative to `|x'||q'|`.
    pub(super) slack: f64,
}

/// Lengths that the bound needs, and the step.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Coded {
    pub(super) step: f32,
    pub(super) head_norm: f64,
    pub(super) head_residual: f64,
    pub(super) tail_norm: f64,
    pub(super) tail_residual: f64,
    pub(super) head_coded_norm: f64,
    pub(super) tail_coded_norm: f64,
}

impl Coder {
    /// A code fitted to the rows `sample`, with up to `most` principal axes, and the leading axes `[m, d]` that tell rows apart, none of very wide rows.
    pub(super) fn fit(frame: &Frame, rows: &Rows<'_>, sample: &[usize], most: usize) -> (Self, Vec<f64>) {
        let d = rows.width();
        let mut x = vec![0.0; sample.len() * d];
        for (out, &i) in x.chunks_exact_mut(d).zip(sample) {
            frame.centred(rows.row(i), metric::norm(rows.row(i)), out);
        }
        let (mut leading, head) = principal_axes(&x, sample.len(), d, most);
        let axes = leading[..head * d].to_vec();
        leading.truncate(LEADING.min(d) * d);
        let mut gram = vec![0.0; head * head];
        let p = MatRef::from_row_major_slice(&axes, head, d);
        matmul(
            MatMut::from_row_major_slice_mut(&mut gram, head, head),
            Accum::Replace,
            p,
            p.transpose(),
            1.0,
            Par::Seq,
        );
        // A zero axis (padding to an even number) is as good as an orthonormal one.
        let off: f64 = (0..head * head)
            .map(|i| gram[i] - if i % (head + 1) == 0 { gram[i].round() } else { 0.0 })
            .map(|e| e * e)
            .sum();
        let slack = 4.0 * off.sqrt() + (d + head + 16) as f64 * 2.0_f64.powi(-46);
        let mut coder = Self { axes, head, width: d, finer: 0, slack };
        coder.finer = coder.choose_step_ratio(&mut x, sample.len());
        (coder, leading)
    }

    /// The largest j for which few sampled rows need a coarser tail than their own largest entry asks for.
    #[expect(clippy::cast_possible_truncation, reason = "clamped to 0..=7")]
    fn choose_step_ratio(&self, x: &mut [f64], rows: usize) -> i32 {
        let mut head = vec![0.0; rows * self.head];
        self.split(x, &mut head, rows);
        let mut widest: f64 = 0.0;
        for i in 0..rows {
            let h = &head[i * self.head..(i + 1) * self.head];
            let tail = largest(&x[i * self.width..(i + 1) * self.width]);
            if tail > 0.0 {
                widest = widest.max(dot(h, h).sqrt() / HEAD_LIMIT * TAIL_LIMIT / tail);
            }
        }
        if widest > 0.0 { (1.0 / widest).log2().floor().clamp(0.0, 7.0) as i32 } else { 7 }
    }

    /// Twice j, by which head sums are shifted.
    pub(super) fn shift(&self) -> u32 {
        2 * self.finer.unsigned_abs()
    }

    /// Head words of two codes, tail words of four.
    pub(super) fn words(&self) -> (usize, usize) {
        (self.head / 2, self.width.div_ceil(4))
    }

    /// Where a scan may leave the tail, in words: before it, and after every eighth of it. Only long tails are left.
    pub(super) fn stops(&self) -> Option<[usize; STOPS]> {
        let words = self.words().1;
        (words >= WORTH_STOPPING).then(|| std::array::from_fn(|i| words * i / STOPS))
    }

    /// `h = P x'` for each row, and `x'` becomes `r`.
    pub(super) fn split(&self, x: &mut [f64], head: &mut [f64], rows: usize) {
        if self.head == 0 {
            return;
        }
        let p = MatRef::from_row_major_slice(&self.axes, self.head, self.width);
        let mut x = MatMut::from_row_major_slice_mut(x, rows, self.width);
        let mut h = MatMut::from_row_major_slice_mut(head, rows, self.head);
        matmul(h.as_mut(), Accum::Replace, x.as_ref(), p.transpose(), 1.0, Par::Seq);
        matmul(x.as_mut(), Accum::Add, h.as_ref(), p, -1.0, Par::Seq);
    }

    /// Codes one split row; `codes` receives head and tail codes.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "compiled once per instruction set inside its callers")]
    #[expect(clippy::cast_possible_truncation, reason = "codes fit their types by the choice of the step")]
    pub(super) fn code(
        &self,
        head: &[f64],
        tail: &[f64],
        (head_codes, tail_codes): (&mut [i16], &mut [i8]),
    ) -> Coded {
        let ratio = 0.5_f64.powi(self.finer);
        let head_norm = dot(head, head).sqrt();
        let step = f64::max(largest(tail) / TAIL_LIMIT, head_norm / (HEAD_LIMIT * ratio)) as f32;
        let t = f64::from(step);
        // A step that f32 cannot hold as a normal number codes nothing: the residual is then the whole row.
        let usable = step >= f32::MIN_POSITIVE;
        let step = if usable { step } else { 0.0 };
        let (head_residual, head_coded_norm) =
            quantise(head, t * ratio, usable, |i, c| head_codes[i] = c as i16);
        let (tail_residual, tail_coded_norm) = quantise(tail, t, usable, |i, c| tail_codes[i] = c as i8);
        let tail_norm = dot(tail, tail).sqrt();
        Coded { step, head_norm, head_residual, tail_norm, tail_residual, head_coded_norm, tail_coded_norm }
    }
}

/// The lengths of the codes that follow each stop, rounded up: by Cauchy and Schwarz what a row and a query leave out is at most the product of
/// theirs.
#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled once per instruction set inside its callers")]
#[expect(clippy::cast_possible_truncation, reason = "at most 127 sqrt(16384), the root rounded up")]
pub(super) fn rests(tail_codes: &[i8], stops: &[usize; STOPS]) -> [i16; STOPS] {
    let mut rests = [0; STOPS];
    let (mut end, mut squares) = (tail_codes.len(), 0);
    for (rest, stop) in rests.iter_mut().zip(stops).rev() {
        squares += tail_codes[4 * stop..end].iter().map(|&c| i32::from(c) * i32::from(c)).sum::<i32>();
        end = 4 * stop;
        *rest = f64::from(squares).sqrt().ceil() as i16;
    }
    rests
}

/// The largest magnitude.
#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled once per instruction set inside its callers")]
fn largest(values: &[f64]) -> f64 {
    let mut lanes = [0.0_f64; 8];
    let (blocks, rest) = values.as_chunks::<8>();
    for block in blocks {
        for i in 0..8 {
            let v = block[i].abs();
            lanes[i] = if v > lanes[i] { v } else { lanes[i] };
        }
    }
    rest.iter().chain(&lanes).fold(0.0, |m, v| m.max(v.abs()))
}

/// Rounds `values / step` to integers; lengths of the residual and of the coded vector.
#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled once per instruction set inside its callers")]
#[expect(clippy::cast_possible_truncation, reason = "the low 32 bits hold the rounded integer")]
fn quantise(values: &[f64], step: f64, usable: bool, mut put: impl FnMut(usize, i32)) -> (f64, f64) {
    let (step, inverse) = if usable { (step, 1.0 / step) } else { (0.0, 0.0) };
    let mut residual = [0.0_f64; 8];
    let mut coded = [0.0_f64; 8];
    for (b, block) in values.chunks(8).enumerate() {
        for (i, &v) in block.iter().enumerate() {
            let shifted = v * inverse + ROUNDER;
            let value = (shifted - ROUNDER) * step;
            put(8 * b + i, (shifted.to_bits() as u32).cast_signed());
            residual[i] += (v - value) * (v - value);
            coded[i] += value * value;
        }
    }
    (residual.iter().sum::<f64>().sqrt(), coded.iter().sum::<f64>().sqrt())
}

/// The leading principal axes of the rows of `x` about their frame's centre, [`LEADING`] or more, and how many of them pay for themselves in a code.
fn principal_axes(x: &[f64], rows: usize, d: usize, most: usize) -> (Vec<f64>, usize) {
    if d > WIDEST_AXES {
        return (Vec::new(), 0);
    }
    let mut covariance = vec![0.0; d * d];
    let m = MatRef::from_row_major_slice(x, rows, d);
    matmul(
        MatMut::from_row_major_slice_mut(&mut covariance, d, d),
        Accum::Replace,
        m.transpose(),
        m,
        1.0,
        Par::Seq,
    );
    let Ok(eigen) = MatRef::from_row_major_slice(&covariance, d, d).self_adjoint_eigen(faer::Side::Lower)
    else {
        return (Vec::new(), 0); // no axes: every coordinate is coded in eight bits, the bound stays true
    };
    let energy: Vec<f64> = (0..d).map(|i| eigen.S().column_vector()[i].max(0.0)).collect();
    let mut order: Vec<usize> = (0..d).collect();
    order.sort_by(|&a, &b| energy[b].total_cmp(&energy[a]));
    let total: f64 = energy.iter().sum();
    let carried = |m: usize| order.iter().take(m).map(|&i| energy[i]).sum::<f64>() / total;
    // The error bound falls with the energy left over, the scan slows down by 2 m / d: sixteen axes more must take out a
    // quarter of what is left.
    let mut head = 0;
    while head < most.min(d) && total > 0.0 && 1.0 - carried(head + 16) < 0.75 * (1.0 - carried(head)) {
        head += 16;
    }
    let mut axes = vec![0.0; head.max(LEADING) * d];
    for (axis, &i) in axes.chunks_exact_mut(d).zip(&order) {
        for (j, a) in axis.iter_mut().enumerate() {
            *a = eigen.U()[(j, i)];
        }
    }
    (axes, head)
}

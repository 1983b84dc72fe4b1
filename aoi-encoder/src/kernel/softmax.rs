//! Softmax down columns and along rows, and the exponential under it.

#![expect(
    clippy::inline_always,
    reason = "a body must be inlined into the function that has the instructions enabled"
)]

use super::compiled::{dispatch, mul_add, with_avx2, with_avx512};
use super::rows::fold;
use super::{Instructions, TileRows, tiles};

/// Numbers handled together by softmax down columns.
const LANES: usize = 16;

/// Softmax numerators down every column of `panel` \[n, columns\], in place: `exp(s - max)`; `sums` gets each column's sum.
///
/// # Shapes
/// `columns = sums.len()` is 16 or 32.
pub(crate) fn softmax_columns(instructions: Instructions, panel: &mut [f32], sums: &mut [f32]) {
    if sums.len() == LANES {
        dispatch!(instructions, softmax_16(panel, sums));
    } else {
        dispatch!(instructions, softmax_32(panel, sums));
    }
}

#[inline(always)]
fn softmax_16<const FUSED: bool>(panel: &mut [f32], sums: &mut [f32]) {
    softmax::<FUSED, 16>(panel, sums);
}

#[inline(always)]
fn softmax_32<const FUSED: bool>(panel: &mut [f32], sums: &mut [f32]) {
    softmax::<FUSED, 32>(panel, sums);
}

#[inline(always)]
fn softmax<const FUSED: bool, const N: usize>(panel: &mut [f32], sums: &mut [f32]) {
    let rows = panel.as_chunks_mut::<N>().0;
    let mut largest = [f32::MIN; N];
    for row in rows.iter() {
        for (m, &s) in largest.iter_mut().zip(row) {
            *m = if s > *m { s } else { *m };
        }
    }
    let mut totals = [0.0_f32; N];
    for row in rows {
        for ((s, &m), total) in row.iter_mut().zip(&largest).zip(&mut totals) {
            *s = exp::<FUSED, 8>(*s - m);
            *total += *s;
        }
    }
    sums.copy_from_slice(&totals);
}

/// `exp(x)` for x in -87 to 88; smaller x give exp(-87), larger exp(88).
///
/// x = n ln 2 + r with |r| <= ln 2 / 2: adding 1.5 * 2^23 rounds x / ln 2 to the integer n and leaves it in the low bits, which
/// shifted into the exponent are 2^n. exp(r) is its Taylor polynomial of so many terms: within 2e-7 of itself for 8, 4e-5 for 5.
#[inline(always)]
pub(crate) fn exp<const FUSED: bool, const TERMS: usize>(x: f32) -> f32 {
    const SHIFT: f32 = 12_582_912.0;
    // ln 2 = HIGH + LOW, HIGH with few enough digits that n * HIGH is exact.
    const HIGH: f32 = 0.693_359_4;
    const LOW: f32 = -2.121_944_4e-4;
    const TAYLOR: [f32; 8] = [1.0, 1.0, 0.5, 1.0 / 6.0, 1.0 / 24.0, 1.0 / 120.0, 1.0 / 720.0, 1.0 / 5040.0];
    let x = x.clamp(-87.0, 88.0);
    let shifted = mul_add::<FUSED>(x, std::f32::consts::LOG2_E, SHIFT);
    let n = shifted - SHIFT;
    let r = mul_add::<FUSED>(-n, LOW, mul_add::<FUSED>(-n, HIGH, x));
    let power = f32::from_bits((shifted.to_bits() << 23).wrapping_add(127 << 23));
    let series = TAYLOR[..TERMS].iter().rev().fold(0.0, |sum, &c| mul_add::<FUSED>(sum, r, c));
    series * power
}

/// `2^x` for x up to 127; x below -126 give 2^-126.
///
/// As [`exp`], with n the integer nearest to x and r = x - n, exact; the terms are those of `exp(r ln 2)`.
#[inline(always)]
fn power_of_two<const FUSED: bool, const TERMS: usize>(x: f32) -> f32 {
    const SHIFT: f32 = 12_582_912.0;
    // ln(2)^k / k!.
    const TAYLOR: [f32; 8] = [
        1.0,
        std::f32::consts::LN_2,
        0.240_226_5,
        5.550_411e-2,
        9.618_129e-3,
        1.333_355_8e-3,
        1.540_353e-4,
        1.525_273_4e-5,
    ];
    let x = if x < -126.0 { -126.0 } else { x };
    let shifted = x + SHIFT;
    let r = x - (shifted - SHIFT);
    let power = f32::from_bits((shifted.to_bits() << 23).wrapping_add(127 << 23));
    let series = TAYLOR[..TERMS].iter().rev().fold(0.0, |sum, &c| mul_add::<FUSED>(sum, r, c));
    series * power
}

/// Softmax numerators along rows of scores, cut into slices for a tile product: `2^(s - max)`; `sums` gets each row's sum of what was cut.
///
/// # Shapes
/// `scores` \[n, stride\], of which `tokens` a row count -> `out` rows of `tokens`, the rest of the last tile zero.
pub(crate) fn softmax_rows(
    instructions: Instructions,
    (scores, stride, tokens): (&[f32], usize, usize),
    out: &mut TileRows,
    sums: &mut [f32],
) {
    if out.slices() == 1 {
        dispatch!(instructions, rough_softmax_rows(scores, stride, tokens, out, sums));
    } else {
        dispatch!(instructions, fine_softmax_rows(scores, stride, tokens, out, sums));
    }
}

#[inline(always)]
fn rough_softmax_rows<const FUSED: bool>(
    scores: &[f32],
    stride: usize,
    tokens: usize,
    out: &mut TileRows,
    sums: &mut [f32],
) {
    softmax_tile_rows::<FUSED, 5, 1>(scores, stride, tokens, out, sums);
}

#[inline(always)]
fn fine_softmax_rows<const FUSED: bool>(
    scores: &[f32],
    stride: usize,
    tokens: usize,
    out: &mut TileRows,
    sums: &mut [f32],
) {
    softmax_tile_rows::<FUSED, 8, { tiles::SLICES }>(scores, stride, tokens, out, sums);
}

#[inline(always)]
fn softmax_tile_rows<const FUSED: bool, const TERMS: usize, const SLICES: usize>(
    scores: &[f32],
    stride: usize,
    tokens: usize,
    out: &mut TileRows,
    sums: &mut [f32],
) {
    const WIDTH: usize = tiles::DEPTH;
    let larger = |a: f32, b: f32| if b > a { b } else { a };
    for (row, (scores, sum)) in scores.chunks(stride).zip(sums).enumerate() {
        let (chunks, rest) = scores[..tokens].as_chunks::<WIDTH>();
        // What fills the row up is far below every score: its numerators are zero in bf16 and add nothing to a sum of at least one.
        let mut last = [f32::MIN; WIDTH];
        last[..rest.len()].copy_from_slice(rest);
        let mut largest = last;
        for chunk in chunks {
            largest.iter_mut().zip(chunk).for_each(|(m, &s)| *m = larger(*m, s));
        }
        let largest = fold(largest, larger);
        let mut lanes = [0.0_f32; WIDTH];
        for (step, chunk) in chunks.iter().enumerate() {
            let values = exponentials::<FUSED, TERMS>(chunk, largest, &mut lanes);
            out.cut::<SLICES>(row, step, values);
        }
        if !rest.is_empty() {
            let mut values = exponentials::<FUSED, TERMS>(&last, largest, &mut lanes);
            values[rest.len()..].fill(0.0);
            out.cut::<SLICES>(row, chunks.len(), values);
        }
        *sum = fold(lanes, |a, b| a + b);
    }
}

#[inline(always)]
fn exponentials<const FUSED: bool, const TERMS: usize>(
    scores: &[f32; tiles::DEPTH],
    largest: f32,
    lanes: &mut [f32; tiles::DEPTH],
) -> [f32; tiles::DEPTH] {
    let mut values = [0.0; tiles::DEPTH];
    for ((&s, lane), value) in scores.iter().zip(lanes).zip(&mut values) {
        *value = power_of_two::<FUSED, TERMS>(s - largest);
        *lane += *value;
    }
    values
}

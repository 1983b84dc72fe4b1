//! Rows and queries as the kernels read them: panels of 128, interleaved along the width; and their error terms.
//!
//! # Source
//! For a row `x'` scanned as `x~` and a query `q'` scanned as `q~`, the true products differ by
//! `|q~.x~ - q'.x'| <= |q~ - q'||x'| + |q~||x~ - x'|` (Cauchy-Schwarz); f32 rows are scanned as they are.
//! The device's f32 arithmetic is bounded for what WGSL promises and no more. With `u = 2^-23` (WGSL may round either way, where
//! IEEE arithmetic has `2^-24`) and `e = 2^-126` (results and operands below the normal range may become 0), in any order
//! and with or without fused steps, the computed value of `q'.x' + bias` lies within
//! `g |q'||x'| + e sqrt(d) (|q'| + |x'|) + 4 d e` of the true one, `g = 1.05 (d + 8) u` for `d` up to 2^18, besides what
//! [`RowFacts`](crate::search::frame::RowFacts) says of the bias. Products of f16 codes are exact and summed alike. Byte codes are
//! summed in integers, without error while `127^2 d < 2^31`; turning the sum into f32 and scaling it rounds three times.
//! Everything is rounded up.

use std::ops::Range;

use crate::search::bound::{TERMS, Terms, up};
use crate::search::cpu::Prepared;
use crate::search::frame::dot;
use crate::search::{Rows, in_parallel};

use super::code::{Coded, code};
use super::plan::{BankPlan, Form, PANEL, PANEL_BINS, Shard};

/// Rows to a panel, as an index.
#[expect(clippy::cast_possible_truncation, reason = "128")]
const SIDE: usize = PANEL as usize;
/// Bias of the rows that fill up a panel: worse than any score, and finite.
pub(super) const NO_ROW: f32 = -1e36;
/// Error of a bin about which nothing is known: wider than any score, and finite.
const UNKNOWN: f32 = 1e36;
/// Bytes packed before they are handed to the device.
const CHUNK: u64 = 16 << 20;

/// A non-negative bound as the device may hold it: finite, and zero or normal.
pub(super) fn finite(bound: f32) -> f32 {
    if bound == 0.0 { 0.0 } else { bound.clamp(f32::MIN_POSITIVE, UNKNOWN) }
}

/// Where word `word` of a row stands among those of its panels of `words` words a row.
pub(super) fn place(row: usize, word: usize, words: usize) -> usize {
    (row / SIDE * words + word) * SIDE + row % SIDE
}

/// Where the bytes of the code of a column start.
fn code_place(form: Form, row: usize, column: usize, words: usize) -> usize {
    match form {
        Form::Int8 => place(row, column / 4, words) * 4 + column % 4,
        Form::F16 => place(row, column, words) * 2,
        Form::F32 => place(row, column, words) * 4,
    }
}

/// Some panels of rows, ready for the device.
pub(super) struct PackedRows {
    /// First panel of the shard that this holds.
    pub(super) panel: u64,
    /// f32 `[panels, width, 128]`.
    pub(super) rows: Vec<f32>,
    /// Codes of the scan `[panels, words, 128]`; empty for the f32 scan, like the two after it.
    pub(super) codes: Vec<u8>,
    /// Step of each row.
    pub(super) steps: Vec<f32>,
    /// Terms of each bin for the scan.
    pub(super) terms: Vec<[f32; 4]>,
}

/// Hands the rows of `shard` to `put`, some panels at a time.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the error terms count the rounding; sizes fit the address space"
)]
pub(super) fn pack_rows(
    bank: &Prepared<'_, '_>,
    plan: &BankPlan,
    shard: &Shard,
    threads: usize,
    mut put: impl FnMut(&PackedRows) -> Result<(), crate::RetrievalError>,
) -> Result<(), crate::RetrievalError> {
    let at_once = (CHUNK / plan.row_bytes(1)).max(1) as usize;
    let panels = shard.panels as usize;
    let mut done = 0;
    while done < panels {
        let until = panels.min(done + at_once);
        let parts = in_parallel(until - done, threads, |part| {
            pack_panels(bank, plan, shard, done + part.start..done + part.end)
        });
        parts.iter().try_for_each(&mut put)?;
        done = until;
    }
    Ok(())
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the error terms count the rounding; sizes fit the address space"
)]
fn pack_panels(bank: &Prepared<'_, '_>, plan: &BankPlan, shard: &Shard, panels: Range<usize>) -> PackedRows {
    let (width, words, first) = (plan.width as usize, plan.words as usize, shard.first_row as usize);
    let coded = plan.form != Form::F32;
    let count = panels.len() * SIDE;
    let mut out = PackedRows {
        panel: panels.start as u64,
        rows: vec![0.0; count * width],
        codes: vec![0; plan.copy_bytes(panels.len() as u64) as usize],
        steps: if coded { vec![1.0; count] } else { Vec::new() },
        terms: if coded { bin_terms(bank, shard, panels.clone()) } else { Vec::new() },
    };
    let mut x = vec![0.0_f64; bank.rows.width()];
    let start = panels.start * SIDE;
    for row in 0..count.min((shard.rows as usize).saturating_sub(start)) {
        let i = first + start + row;
        bank.frame.centred(bank.rows.row(i), bank.norms[i], &mut x);
        for (column, &x) in x.iter().enumerate() {
            out.rows[place(row, column, width)] = x as f32;
        }
        if coded {
            let code = code(plan.form, &x, |column, bytes| {
                let at = code_place(plan.form, row, column, words);
                out.codes[at..at + bytes.len()].copy_from_slice(bytes);
            });
            out.steps[row] = code.step;
            let residual = &mut out.terms[row / 16][1];
            *residual = residual.max(finite(up(code.residual)));
        }
    }
    out
}

/// The bias of each row of `shard`, panel after panel.
#[expect(clippy::cast_possible_truncation, reason = "sizes fit the address space")]
pub(super) fn pack_bias(bank: &Prepared<'_, '_>, shard: &Shard) -> Vec<f32> {
    let first = shard.first_row as usize;
    let mut bias = vec![NO_ROW; shard.panels as usize * SIDE];
    bias[..shard.rows as usize].copy_from_slice(&bank.bias[first..first + shard.rows as usize]);
    bias
}

/// Spread, residual, slack and absolute error of each bin of some panels of `shard`, for f32 products: there is no residual.
#[expect(clippy::cast_possible_truncation, reason = "sizes fit the address space")]
pub(super) fn bin_terms(bank: &Prepared<'_, '_>, shard: &Shard, panels: Range<usize>) -> Vec<[f32; 4]> {
    let per_panel = PANEL_BINS as usize;
    let first = (shard.first_row / super::plan::BIN) as usize;
    let mut terms = vec![[0.0; 4]; panels.len() * per_panel];
    let bins: &[Terms] = &bank.terms[first..first + shard.bins as usize];
    for (out, bin) in terms.iter_mut().zip(&bins[(panels.start * per_panel).min(bins.len())..]) {
        *out = [bin[0], 0.0, bin[4], bin[6]].map(finite);
    }
    terms
}

/// Queries of a batch, ready for the device.
pub(super) struct PackedQueries {
    /// f32 `[q panels, width, 128]`.
    pub(super) rows: Vec<f32>,
    /// Codes of the scan `[q panels, words, 128]`; empty for the f32 scan, like the steps.
    pub(super) codes: Vec<u8>,
    /// Step of each query.
    pub(super) steps: Vec<f32>,
    /// Two sets of coefficients a query: the scan's, the f32 product's.
    pub(super) coefficients: Vec<[[f32; 4]; 2]>,
}

/// Packs the queries `chosen`, all of them in range.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the coefficients count the rounding; sizes fit the address space"
)]
pub(super) fn pack_queries(
    bank: &Prepared<'_, '_>,
    plan: &BankPlan,
    queries: &Rows<'_>,
    chosen: &[usize],
) -> PackedQueries {
    let (width, words) = (plan.width as usize, plan.words as usize);
    let padded = chosen.len().next_multiple_of(SIDE);
    let panels = padded as u64 / PANEL;
    let coded = plan.form != Form::F32;
    let mut out = PackedQueries {
        rows: vec![0.0; padded * width],
        codes: vec![0; plan.copy_bytes(panels) as usize],
        steps: if coded { vec![1.0; padded] } else { Vec::new() },
        coefficients: Vec::with_capacity(chosen.len()),
    };
    let mut x = vec![0.0; queries.width()];
    for (i, &q) in chosen.iter().enumerate() {
        let norm = crate::metric::norm(queries.row(q));
        bank.frame.centred(queries.row(q), norm, &mut x);
        for (column, &x) in x.iter().enumerate() {
            out.rows[place(i, column, width)] = x as f32;
        }
        let base = bank.frame.coefficients(norm).unwrap_or([f64::INFINITY; TERMS]);
        let float = float_coefficients(&base, &x, width);
        let mut scan = float;
        if coded {
            let code = code(plan.form, &x, |column, bytes| {
                let at = code_place(plan.form, i, column, words);
                out.codes[at..at + bytes.len()].copy_from_slice(bytes);
            });
            out.steps[i] = code.step;
            scan = coded_coefficients(&base, plan.form, &code, width);
        }
        out.coefficients.push([scan, float]);
    }
    out
}

/// WGSL's rounding unit: either neighbour of the true result may come out.
const UNIT: f64 = 1.0 / 8_388_608.0;
/// What may be taken for zero.
const TINY: f64 = 1.2e-38;

/// `(1 + u)^n - 1` for the roundings of a sum of `width` products, slightly enlarged.
fn growth(width: usize) -> f64 {
    1.05 * (width as f64 + 8.0) * UNIT
}

/// What meets spread, residual and slack of a bin in an f32 product with the centred query `x`, and the query's own error.
pub(super) fn float_coefficients(base: &[f64; TERMS], x: &[f64], width: usize) -> [f32; 4] {
    let length = dot(x, x).sqrt() * (1.0 + 1e-9);
    let root = (width as f64).sqrt() * 1.01;
    [
        growth(width) * length + TINY * root,
        0.0,
        base[4],
        base[7] + TINY * (root * length + 4.0 * width as f64),
    ]
    .map(|b| finite(up(b)))
}

/// The same for a product of codes.
fn coded_coefficients(base: &[f64; TERMS], form: Form, query: &Coded, width: usize) -> [f32; 4] {
    // Bytes are summed exactly: what rounds is the conversion and the scaling. Matrix units may round more than WGSL's sums do.
    let grown = if form == Form::Int8 { growth(0) } else { 2.0 * growth(width) };
    // The rounded product is at most (1 + growth) |q~| |x~|, and |x~| <= |x'| + |x~ - x'|.
    let rounding = grown * query.length;
    [
        query.residual + rounding,
        query.length + rounding,
        base[4],
        base[7] + TINY * (4.0 * width as f64 + 2.0 * f64::from(query.step)),
    ]
    .map(|b| finite(up(b)))
}

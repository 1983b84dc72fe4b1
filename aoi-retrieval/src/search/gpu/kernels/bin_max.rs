//! The twins of `bin_max.wgsl` and `bin_max_int8.wgsl`.

use super::Parameters;
use crate::search::gpu::pack::place;

/// Operands of a scan as numbers, and the bias of each row.
pub(in crate::search::gpu) struct Scanned<'a, T> {
    pub(in crate::search::gpu) rows: &'a [T],
    pub(in crate::search::gpu) queries: &'a [T],
    pub(in crate::search::gpu) bias: &'a [f32],
    /// Steps of rows and of queries; empty stands for ones.
    pub(in crate::search::gpu) steps: [&'a [f32]; 2],
}

/// The best score of every bin for every query, `[q, bins]`, from the same panels, with `product` over the words of a pair.
fn maxima<T: Copy>(
    p: &Parameters,
    given: &Scanned<'_, T>,
    product: impl Fn(&mut dyn Iterator<Item = (T, T)>) -> f32,
) -> Vec<f32> {
    let [q, bins, panels, words] = [p.queries, p.bins, p.panels, p.words].map(|n| n as usize);
    let score = |query: usize, row: usize| {
        let mut pairs =
            (0..words).map(|w| (given.rows[place(row, w, words)], given.queries[place(query, w, words)]));
        let [of_row, of_query] =
            [given.steps[0].get(row), given.steps[1].get(query)].map(|s| *s.unwrap_or(&1.0));
        product(&mut pairs) * of_row * of_query + given.bias[row]
    };
    (0..q * bins)
        .map(|i| {
            let (query, bin) = (i / bins, i % bins);
            let members = (bin * 16..bin * 16 + 16).filter(|&row| row < panels * 128);
            members.map(|row| score(query, row)).fold(f32::NEG_INFINITY, f32::max)
        })
        .collect()
}

/// With f32 products of f32 numbers.
pub(in crate::search::gpu) fn bin_max(p: &Parameters, given: &Scanned<'_, f32>) -> Vec<f32> {
    maxima(p, given, |pairs| pairs.map(|(x, y)| x * y).sum())
}

/// With integer products of words of four bytes.
pub(in crate::search::gpu) fn bin_max_int8(p: &Parameters, given: &Scanned<'_, [u8; 4]>) -> Vec<f32> {
    maxima(p, given, |pairs| {
        let number = |byte: u8| i32::from(byte.cast_signed());
        pairs.map(|(x, y)| (0..4).map(|i| number(x[i]) * number(y[i])).sum::<i32>()).sum::<i32>() as f32
    })
}

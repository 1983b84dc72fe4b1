//! The f32 scan: centred rows are packed on the fly, two panels at a time, so that no second f32 copy is kept.

use super::bound::{TERMS, Terms, up_all};
use super::compact::Panels;
use super::frame::Frame;
use super::isa::Isa;
use super::scan::{Pass, groups};
use super::tile::{Aligned, FloatLine, FloatTile, GROUP, LANES, Maxima, Scores, UNASKED};
use crate::metric;
use crate::search::Rows;

/// Centred f32 queries against centred f32 rows.
pub(super) struct FloatPass<'a, 'b> {
    isa: Isa,
    rows: &'a Rows<'b>,
    norms: &'a [f64],
    frame: &'a Frame,
    panels: &'a Panels,
    words: Vec<f32>,
    coefficients: Vec<Terms>,
}

impl<'a, 'b> FloatPass<'a, 'b> {
    /// Prepares the queries `chosen`, all of them in range.
    #[expect(clippy::cast_possible_truncation, reason = "the bound counts this rounding")]
    pub(super) fn new(
        rows: &'a Rows<'b>,
        norms: &'a [f64],
        frame: &'a Frame,
        panels: &'a Panels,
        isa: Isa,
        queries: &Rows<'_>,
        chosen: &[usize],
    ) -> Self {
        let d = rows.width();
        let mut words = vec![0.0; groups(chosen.len()) * d * GROUP];
        let mut coefficients = Vec::with_capacity(chosen.len());
        let mut x = vec![0.0; d];
        // d products and sums, and the roundings of both operands, of the bias and of its sum.
        let unit = (d + 32) as f64 * 2.0_f64.powi(-24);
        for (i, &q) in chosen.iter().enumerate() {
            let norm = metric::norm(queries.row(q));
            frame.centred(queries.row(q), norm, &mut x);
            for (j, &x) in x.iter().enumerate() {
                words[((i / GROUP) * d + j) * GROUP + i % GROUP] = x as f32;
            }
            let mut base = frame.coefficients(norm).unwrap_or([f64::INFINITY; TERMS]);
            // (1 + u)^n - 1 <= n u / (1 - n u), and n u is at most 1/64.
            base[0] = unit * 1.02 * super::frame::dot(&x, &x).sqrt();
            coefficients.push(up_all(base));
        }
        Self { isa, rows, norms, frame, panels, words, coefficients }
    }
}

/// Two packed panels of d lines, and one row in f64.
pub(super) struct Packed([Vec<FloatLine>; 2], Vec<f64>);

impl Pass for FloatPass<'_, '_> {
    type Scratch = Packed;

    fn isa(&self) -> Isa {
        self.isa
    }

    fn rows(&self) -> usize {
        self.rows.count()
    }

    fn scratch(&self) -> Packed {
        let d = self.rows.width();
        Packed([(); 2].map(|()| vec![Aligned([0.0; LANES]); d]), vec![0.0; d])
    }

    #[inline(always)]
    #[expect(clippy::inline_always, reason = "compiled once per instruction set inside its caller")]
    #[expect(clippy::cast_possible_truncation, reason = "the bound counts this rounding")]
    fn load(&self, pair: usize, Packed(packed, x): &mut Packed) {
        for (p, panel) in packed.iter_mut().enumerate() {
            let start = (2 * pair + p) * LANES;
            for lane in 0..LANES {
                let position = start + lane;
                if position >= self.rows.count() {
                    for line in panel.iter_mut() {
                        line.0[lane] = 0.0;
                    }
                    continue;
                }
                let i = self.panels.order.row(position);
                self.frame.centred(self.rows.row(i), self.norms[i], x);
                for (line, &x) in panel.iter_mut().zip(x.iter()) {
                    line.0[lane] = x as f32;
                }
            }
        }
    }

    #[inline]
    fn maxima(
        &self,
        Packed(packed, _): &mut Packed,
        (pair, both): (usize, usize),
        _stop: Option<usize>,
        scores: &mut [Scores; 2],
    ) -> [Maxima; 2] {
        let size = self.rows.width() * GROUP;
        let [s, r] = scores;
        [(2 * both, s), (2 * both + 1, r)].map(|(group, scores)| {
            if group * GROUP >= self.coefficients.len() {
                return UNASKED;
            }
            let tile = FloatTile {
                panel: [&packed[0], &packed[1]],
                words: &self.words[group * size..(group + 1) * size],
                bias: [&self.panels.bias[2 * pair], &self.panels.bias[2 * pair + 1]],
            };
            self.isa.float_maxima(&tile, scores)
        })
    }

    fn terms(&self, bin: usize) -> &Terms {
        &self.panels.float_terms[bin]
    }

    fn coefficients(&self, query: usize) -> &Terms {
        &self.coefficients[query]
    }
}

//! The centres of a greedy choice, and distances to them.

/// Centres measured together.
pub(super) const PANEL: usize = 16;
/// Lanes of [`squared_distance`] that are kept in registers for a panel.
const LANES: usize = 4;
/// Centres whose distances to each other are kept, 64 MiB at most; later ones are measured against every row that gets to them.
const GAPS: usize = 4096;

/// The centres chosen so far, close together in memory.
pub(super) struct Centres {
    width: usize,
    pub(super) count: usize,
    points: Vec<f32>,
    /// The same, [`PANEL`] of them interleaved along the width; what the last panel lacks is zero.
    panels: Vec<[f32; PANEL]>,
    /// Squared distances between the first [`GAPS`] of them, a row for each.
    gaps: Vec<f32>,
    kept: usize,
}

impl Centres {
    pub(super) fn new(width: usize, most: usize) -> Self {
        let kept = most.min(GAPS);
        let points = Vec::with_capacity(width * most);
        Self { width, count: 0, points, panels: Vec::new(), gaps: vec![0.0; kept * kept], kept }
    }

    pub(super) fn point(&self, centre: usize) -> &[f32] {
        &self.points[centre * self.width..(centre + 1) * self.width]
    }

    #[inline(always)]
    #[expect(clippy::inline_always, reason = "compiled once per instruction set inside its caller")]
    pub(super) fn push(&mut self, point: &[f32]) {
        let newest = self.count;
        self.points.extend_from_slice(point);
        self.count += 1;
        self.panels.resize(newest / PANEL * self.width + self.width, [0.0; PANEL]);
        let panel = &mut self.panels[newest / PANEL * self.width..];
        panel.iter_mut().zip(point).for_each(|(panel, x)| panel[newest % PANEL] = *x);
        if newest < self.kept {
            for other in 0..newest {
                let gap = squared_distance(self.point(other), point);
                self.gaps[other * self.kept + newest] = gap;
                self.gaps[newest * self.kept + other] = gap;
            }
        }
    }

    /// The panel that starts with a centre, if it does and is complete.
    pub(super) fn panel(&self, first: usize) -> Option<&[[f32; PANEL]]> {
        let starts = first.is_multiple_of(PANEL) && first + PANEL <= self.count;
        starts.then(|| &self.panels[first / PANEL * self.width..][..self.width])
    }

    /// Squared distances of a centre to the first centres, as far as they are kept.
    pub(super) fn gaps_of(&self, centre: usize) -> &[f32] {
        if centre < self.kept { &self.gaps[centre * self.kept..(centre + 1) * self.kept] } else { &[] }
    }
}

#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled once per instruction set inside its callers")]
pub(super) fn squared_distance(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0.0_f32; 16];
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<16>(), b.as_chunks::<16>());
    for (a, b) in a.iter().zip(b) {
        for i in 0..16 {
            lanes[i] += (a[i] - b[i]) * (a[i] - b[i]);
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| (a - b) * (a - b)).sum();
    // Far beyond the range of f32 everything is equally far.
    (lanes.iter().sum::<f32>() + rest).min(f32::MAX)
}

/// The squared distances of a point to the centres of a panel, each to the bit what [`squared_distance`] gives: the same sums, of many
/// centres at once, instead of one after the other at the end of each.
#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled once per instruction set inside its callers")]
pub(super) fn squared_distances(point: &[f32], panel: &[[f32; PANEL]]) -> [f32; PANEL] {
    let (whole, rest) = point.as_chunks::<16>();
    let (panels, panel_rest) = panel.as_chunks::<16>();
    let mut sums = [0.0_f32; PANEL];
    for first in (0..16).step_by(LANES) {
        let mut lanes = [[0.0_f32; PANEL]; LANES];
        for (point, panel) in whole.iter().zip(panels) {
            for lane in 0..LANES {
                for i in 0..PANEL {
                    let gap = point[first + lane] - panel[first + lane][i];
                    lanes[lane][i] += gap * gap;
                }
            }
        }
        for lane in lanes {
            (0..PANEL).for_each(|i| sums[i] += lane[i]);
        }
    }
    let mut rests = [0.0_f32; PANEL];
    for (x, panel) in rest.iter().zip(panel_rest) {
        for i in 0..PANEL {
            rests[i] += (x - panel[i]) * (x - panel[i]);
        }
    }
    std::array::from_fn(|i| (sums[i] + rests[i]).min(f32::MAX))
}

#[cfg(test)]
#[expect(clippy::cast_possible_truncation, reason = "small numbers made for a test")]
mod tests {
    use super::*;
    use crate::search::cpu::isa::Isa;
    use aoi_testing::Seeded;

    #[test]
    fn distances_to_a_panel_are_those_to_its_centres() {
        let mut s = Seeded::new(5);
        for width in [1, 15, 16, 17, 64, 128, 131] {
            let mut draw = |n: usize| -> Vec<f32> { (0..n).map(|_| (s.unit() - 0.5) as f32 * 1e3).collect() };
            let (point, centres) = (draw(width), draw(PANEL * width));
            let mut all = Centres::new(width, PANEL);
            for centre in centres.chunks(width) {
                assert!(all.panel(0).is_none(), "not before it is complete");
                all.push(centre);
            }
            assert!(all.panel(1).is_none() && all.panel(PANEL).is_none());
            for isa in Isa::available() {
                let together = isa.run(|| squared_distances(&point, all.panel(0).unwrap()));
                let single: Vec<f32> = centres.chunks(width).map(|c| squared_distance(&point, c)).collect();
                assert_eq!(
                    together.map(f32::to_bits).to_vec(),
                    single.iter().map(|d| d.to_bits()).collect::<Vec<_>>()
                );
            }
        }
    }
}

//! Painting with soft edges, and what a camera makes of it.

use aoi_encoder::ndarray::Array3;

use super::surface::Light;
use super::{CLASSES, HEIGHT, UM_PER_PIXEL, WIDTH};
use crate::demo::chance::Chance;

/// What a shape puts on a pixel: how far inside its border the pixel lies (micrometres, negative outside), and its look.
pub(super) struct Paint {
    pub(super) depth_um: f64,
    pub(super) light: Light,
}

/// The picture while it is painted.
pub(super) struct Canvas {
    light: Vec<Light>,
    masks: Array3<u8>,
}

impl Canvas {
    pub(super) fn new() -> Self {
        Self { light: vec![[0.0; 2]; HEIGHT * WIDTH], masks: Array3::zeros((CLASSES.len(), HEIGHT, WIDTH)) }
    }

    /// Paints a shape within `bounds` (left, top, right, bottom in micrometres); pixels inside it get the mask of `class`.
    pub(super) fn paint(
        &mut self,
        bounds: [f64; 4],
        class: Option<usize>,
        shape: impl Fn(f64, f64) -> Option<Paint>,
    ) {
        self.each(bounds, |canvas, (row, column), (x, y)| {
            let Some(Paint { depth_um, light }) = shape(x, y) else { return };
            // A border that crosses a pixel covers a share of it.
            let cover = (depth_um / UM_PER_PIXEL + 0.5).clamp(0.0, 1.0);
            let below = &mut canvas.light[row * WIDTH + column];
            *below = [0, 1].map(|i| below[i] + cover * (light[i] - below[i]));
            if let (Some(class), true) = (class, depth_um >= 0.0) {
                canvas.masks[[class, row, column]] = 1;
            }
        });
    }

    /// Multiplies the light under a shape, such as its shadow.
    pub(super) fn shade(&mut self, bounds: [f64; 4], factor: impl Fn(f64, f64) -> Light) {
        self.each(bounds, |canvas, (row, column), (x, y)| {
            let factor = factor(x, y);
            let below = &mut canvas.light[row * WIDTH + column];
            *below = [0, 1].map(|i| below[i] * factor[i]);
        });
    }

    /// Takes a class away where something hides it.
    pub(super) fn hide(&mut self, class: usize, bounds: [f64; 4], inside: impl Fn(f64, f64) -> bool) {
        self.each(bounds, |canvas, (row, column), (x, y)| {
            if inside(x, y) {
                canvas.masks[[class, row, column]] = 0;
            }
        });
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "held within the picture")]
    fn each(
        &mut self,
        [left, top, right, bottom]: [f64; 4],
        mut work: impl FnMut(&mut Self, (usize, usize), (f64, f64)),
    ) {
        let first = |um: f64| (um / UM_PER_PIXEL - 2.0).max(0.0) as usize;
        let last = |um: f64, side: usize| ((um / UM_PER_PIXEL + 3.0).max(0.0) as usize).min(side);
        for row in first(top)..last(bottom, HEIGHT) {
            for column in first(left)..last(right, WIDTH) {
                let place = ((column as f64 + 0.5) * UM_PER_PIXEL, (row as f64 + 0.5) * UM_PER_PIXEL);
                work(self, (row, column), place);
            }
        }
    }

    /// The picture that the camera takes: gradient, gain, a little blur, shot and read-out noise, eight bits; and the masks.
    #[expect(clippy::cast_possible_truncation, reason = "eight bits as f32")]
    pub(super) fn photograph(self, chance: &mut Chance) -> (Array3<f32>, Array3<u8>) {
        let mut picture = Array3::zeros((2, HEIGHT, WIDTH));
        for lighting in 0..2 {
            let (gain, offset) = (chance.between(0.82, 1.12), chance.between(0.0, 0.05));
            let (across, down) = (chance.between(-0.12, 0.12), chance.between(-0.12, 0.12));
            let softness = chance.between(0.12, 0.25);
            let plane: Vec<f64> = self.light.iter().map(|light| light[lighting]).collect();
            for row in 0..HEIGHT {
                for column in 0..WIDTH {
                    let (u, v) = (column as f64 / WIDTH as f64 - 0.5, row as f64 / HEIGHT as f64 - 0.5);
                    let vignette = 1.0 - 0.22 * (u * u + v * v);
                    let signal = blurred(&plane, (row, column), softness);
                    let lit = offset + gain * signal * vignette * (1.0 + across * u + down * v);
                    let noisy = lit + chance.normal() * (0.006 + 0.018 * lit.max(0.0).sqrt());
                    picture[[lighting, row, column]] =
                        ((noisy * 255.0).round().clamp(0.0, 255.0) / 255.0) as f32;
                }
            }
        }
        (picture, self.masks)
    }
}

/// A pixel with a share of its neighbours: weights `s, 1 - 2 s, s` down and across.
fn blurred(plane: &[f64], (row, column): (usize, usize), s: f64) -> f64 {
    let rows = [row.saturating_sub(1), row, (row + 1).min(HEIGHT - 1)];
    let columns = [column.saturating_sub(1), column, (column + 1).min(WIDTH - 1)];
    let weights = [s, 1.0 - 2.0 * s, s];
    let mut sum = 0.0;
    for (row, wy) in rows.iter().zip(weights) {
        for (column, wx) in columns.iter().zip(weights) {
            sum += wy * wx * plane[row * WIDTH + column];
        }
    }
    sum
}

//! Forward, loss and backward of one portion of images.

use super::{Mae, Mask, target};
use crate::gradient::{Scalar, Tape, Tokens, fit};

/// What one pass keeps for its backward, and its scratch; made once and used again.
#[derive(Debug, Default)]
pub struct MaeTape<T> {
    pixels: Vec<T>,
    x: Vec<T>,
    encoder: Tape<T>,
    normed: Vec<T>,
    embedded: Vec<T>,
    sequence: Vec<T>,
    decoder: Tape<T>,
    gathered: Vec<T>,
    gathered_normed: Vec<T>,
    pub(super) predicted: Vec<T>,
    targets: Vec<T>,
    back: Back<T>,
}

/// Gradients on their way back, by what they belong to.
#[derive(Debug, Default)]
struct Back<T> {
    gathered_normed: Vec<T>,
    gathered: Vec<T>,
    sequence: Vec<T>,
    embedded: Vec<T>,
    normed: Vec<T>,
    x: Vec<T>,
}

impl<T: Scalar> MaeTape<T> {
    /// An empty tape. With `recompute` only every block's input is kept and the rest computed again: less memory for a third more work,
    /// and the same gradient to the bit.
    pub fn new(recompute: bool) -> Self {
        let tape = || Tape::new(recompute);
        Self { encoder: tape(), decoder: tape(), ..Self::default() }
    }
}

impl Mae {
    /// Tokens of an image in encoder and decoder.
    fn token_counts(&self, masks: &[Mask]) -> (usize, usize) {
        let prefix = self.config.prefix();
        (prefix + masks[0].visible().len(), prefix + masks[0].patches())
    }

    /// For every token of the decoder's sequence the row of the encoder's output it comes from, or its mask token; and its patch.
    fn unshuffled<'a>(
        &self,
        masks: &'a [Mask],
    ) -> impl Iterator<Item = (Option<usize>, Option<usize>)> + use<'a> {
        let prefix = self.config.prefix();
        masks.iter().enumerate().flat_map(move |(image, mask)| {
            let first = image * (prefix + mask.visible().len());
            let patches = (0..mask.patches()).map(move |patch| {
                (mask.visible().binary_search(&patch).ok().map(|i| first + prefix + i), Some(patch))
            });
            (0..prefix).map(move |i| (Some(first + i), None)).chain(patches)
        })
    }

    /// Takes the images to the predictions of their masked patches, on the tape.
    pub(super) fn forward<T: Scalar>(&self, p: &[T], images: &[T], masks: &[Mask], tape: &mut MaeTape<T>) {
        let (visible, all) = self.token_counts(masks);
        let shown: Vec<&[usize]> = masks.iter().map(Mask::visible).collect();
        self.tokens.forward(p, images, &shown, (&mut tape.pixels, &mut tape.x));
        self.encoder.forward(p, visible, &tape.x, &mut tape.encoder);
        let encoded = tape.encoder.last();
        let normed = fit(&mut tape.normed, encoded.len());
        self.norm.forward(p, encoded, normed);
        let d = self.embed.outputs();
        let embedded = fit(&mut tape.embedded, masks.len() * visible * d);
        self.embed.forward(p, normed, embedded);
        let sequence = fit(&mut tape.sequence, masks.len() * all * d);
        for (row, (source, patch)) in sequence.chunks_exact_mut(d).zip(self.unshuffled(masks)) {
            row.copy_from_slice(
                source.map_or(&p[self.mask_token.clone()], |i| &embedded[i * d..(i + 1) * d]),
            );
            if let Some(patch) = patch {
                let position = &self.positions[patch * d..(patch + 1) * d];
                row.iter_mut().zip(position).for_each(|(x, &p)| *x += T::of(p));
            }
        }
        self.decoder.forward(p, all, sequence, &mut tape.decoder);
        let decoded = tape.decoder.last();
        tape.gathered.clear();
        for row in self.masked_rows(masks) {
            tape.gathered.extend_from_slice(&decoded[row * d..(row + 1) * d]);
        }
        let normed = fit(&mut tape.gathered_normed, tape.gathered.len());
        self.decoder_norm.forward(p, &tape.gathered, normed);
        let predicted = fit(&mut tape.predicted, normed.len() / d * self.predict.outputs());
        self.predict.forward(p, normed, predicted);
    }

    /// The masked tokens' rows in the decoder's sequence.
    fn masked_rows<'a>(&self, masks: &'a [Mask]) -> impl Iterator<Item = usize> + use<'a> {
        let prefix = self.config.prefix();
        masks.iter().enumerate().flat_map(move |(image, mask)| {
            mask.masked().iter().map(move |&patch| image * (prefix + mask.patches()) + prefix + patch)
        })
    }

    /// The loss of the predictions on the tape; the targets are left there.
    pub(super) fn error<T: Scalar>(&self, images: &[T], masks: &[Mask], tape: &mut MaeTape<T>) -> f64 {
        let (outputs, area) = (self.predict.outputs(), images.len() / masks.len());
        let targets = fit(&mut tape.targets, tape.predicted.len());
        let all = masks.iter().enumerate().flat_map(|(i, m)| m.masked().iter().map(move |&patch| (i, patch)));
        let mut sum = 0.0;
        for (((image, patch), target), predicted) in
            all.zip(targets.chunks_exact_mut(outputs)).zip(tape.predicted.chunks_exact(outputs))
        {
            Tokens::pixels(&self.config, &images[image * area..(image + 1) * area], patch, target);
            if self.normalised_targets {
                target::normalise(target);
            }
            sum += predicted.iter().zip(&*target).map(|(&p, &t)| (p - t).to_f64().powi(2)).sum::<f64>();
        }
        sum / tape.predicted.len() as f64
    }

    /// L = mean (predicted - target)^2 over n numbers gives `dpredicted = 2 (predicted - target) / n`. Rows of the decoder that are not
    /// masked reach no prediction: their gradient behind the last block is zero. Going back through the unshuffling, a row that came
    /// from the encoder hands its gradient to that row; all others add theirs to the mask token. Fixed positions have none.
    pub(super) fn backward<T: Scalar>(
        &self,
        (p, g): (&[T], &mut [T]),
        masks: &[Mask],
        share: f64,
        tape: &mut MaeTape<T>,
    ) {
        let (visible, all) = self.token_counts(masks);
        let d = self.embed.outputs();
        let factor = T::of(2.0 * share / tape.predicted.len() as f64);
        let dpredicted = &mut tape.predicted;
        dpredicted.iter_mut().zip(&tape.targets).for_each(|(p, &t)| *p = factor * (*p - t));
        let Back { gathered_normed, gathered, sequence, embedded, normed, x } = &mut tape.back;
        let dgathered_normed = fit(gathered_normed, tape.gathered.len());
        self.predict.backward(p, g, &tape.gathered_normed, dpredicted, Some(dgathered_normed));
        let dgathered = zeros(gathered, tape.gathered.len());
        self.decoder_norm.backward(p, g, &tape.gathered, dgathered_normed, dgathered);
        let dsequence = zeros(sequence, tape.sequence.len());
        for (row, d_row) in self.masked_rows(masks).zip(dgathered.chunks_exact(d)) {
            dsequence[row * d..(row + 1) * d].copy_from_slice(d_row);
        }
        self.decoder.backward((p, g), all, &mut tape.decoder, (dsequence, &[]));
        let dembedded = zeros(embedded, tape.embedded.len());
        for (row, (source, _)) in dsequence.chunks_exact(d).zip(self.unshuffled(masks)) {
            let target = match source {
                Some(i) => &mut dembedded[i * d..(i + 1) * d],
                None => &mut g[self.mask_token.clone()],
            };
            target.iter_mut().zip(row).for_each(|(t, &r)| *t += r);
        }
        let dnormed = fit(normed, tape.normed.len());
        self.embed.backward(p, g, &tape.normed, dembedded, Some(dnormed));
        let dx = zeros(x, tape.normed.len());
        self.norm.backward(p, g, tape.encoder.last(), dnormed, dx);
        self.encoder.backward((p, g), visible, &mut tape.encoder, (dx, &[]));
        let shown: Vec<&[usize]> = masks.iter().map(Mask::visible).collect();
        self.tokens.backward((p, g), &shown, &tape.pixels, dx);
    }
}

/// So many zeros in a buffer that is used again.
fn zeros<T: Scalar>(buffer: &mut Vec<T>, len: usize) -> &mut [T] {
    let all = fit(buffer, len);
    all.fill(T::default());
    all
}

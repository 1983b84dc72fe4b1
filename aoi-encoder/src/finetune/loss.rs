//! What is minimised: cross-entropy of every pixel and class, and soft Dice.

use crate::gradient::Scalar;
use crate::{Error, Result};

/// `mean over pixels u and classes c of w_c t softplus(-z) + (1 - t) softplus(z)`, plus `dice` times
/// `mean over classes of 1 - (2 sum_u p t + 1) / (sum_u p + sum_u t + 1)`, with logits z, truth t of 0 or 1 and p = 1 / (1 + exp(-z)).
///
/// Classes are independent: a pixel may have several or none. Dice is taken image by image, so that the loss of a batch is the mean of its images'.
#[derive(Debug, Clone, PartialEq)]
pub struct Loss {
    /// w: how much a pixel of the class counts against one without it.
    weights: Vec<f64>,
    dice: f64,
}

/// The largest weight of a class: rarer ones are noise rather than signal.
const MOST: f64 = 100.0;

impl Loss {
    /// One weight a class, from its share f of the training pixels: `((1 - f) / f)^balance`, at most 100. Balance 0 weighs nothing, 1 makes the pixels with
    /// and without a class count alike.
    ///
    /// # Errors
    /// [`Error::Config`] when a number is out of its range, or a class has no pixel or every pixel.
    pub fn new(shares: &[f64], balance: f64, dice: f64) -> Result<Self> {
        if !(0.0..=1.0).contains(&balance) {
            return Err(Error::config("loss.balance", "0 to 1", &balance));
        }
        if !(dice >= 0.0 && dice.is_finite()) {
            return Err(Error::config("loss.dice", "0 or more", &dice));
        }
        if let Some(class) = shares.iter().position(|&f| !(f > 0.0 && f < 1.0)) {
            let expected = "some pixels with every class and some without it, on the pictures trained on";
            let found = format!("class {} on a share of {} of them", class + 1, shares[class]);
            return Err(Error::config("masks", expected, &found));
        }
        let weights = shares.iter().map(|f| ((1.0 - f) / f).powf(balance).min(MOST)).collect();
        Ok(Self { weights, dice })
    }

    /// The weights of the classes.
    pub fn weights(&self) -> &[f64] {
        &self.weights
    }

    /// The loss of one image.
    ///
    /// With s = 1 - p: `d softplus(z) / dz = p` and `d softplus(-z) / dz = -s`, so the cross-entropy hands back `(1 - t) p - w t s`. For
    /// `D = (2 I + 1) / (S + 1)`, I = sum p t, S = sum p + sum t: `dD / dp_u = (2 t_u - D) / (S + 1)`, and `dp / dz = p s`.
    ///
    /// # Shapes
    /// `logits`, `dlogits` \[n, c\], the latter `share` times the gradient, replaced; `truth` \[n, c\] of 0 and 1.
    pub fn image<T: Scalar>(&self, logits: &[T], truth: &[u8], share: f64, dlogits: &mut [T]) -> f64 {
        let (c, count) = (self.weights.len(), logits.len() as f64);
        let mut sums = vec![[0.0_f64; 2]; c];
        let mut entropy = 0.0;
        let mut odds = Vec::with_capacity(logits.len());
        for (z, t) in logits.chunks_exact(c).zip(truth.chunks_exact(c)) {
            for ((z, &t), (w, [both, all])) in z.iter().zip(t).zip(self.weights.iter().zip(&mut sums)) {
                let (z, t) = (z.to_f64(), f64::from(t));
                let pixel = Odds::of(z);
                // softplus(z) = max(z, 0) + ln(1 + exp(-|z|)).
                entropy += w * t * ((-z).max(0.0) + pixel.ln) + (1.0 - t) * (z.max(0.0) + pixel.ln);
                *both += pixel.p * t;
                *all += pixel.p + t;
                odds.push((pixel.p, pixel.s));
            }
        }
        let overlaps: Vec<f64> = sums.iter().map(|[both, all]| (2.0 * both + 1.0) / (all + 1.0)).collect();
        let rows = odds.chunks_exact(c).zip(truth.chunks_exact(c)).zip(dlogits.chunks_exact_mut(c));
        for ((odds, t), dz) in rows {
            for (i, ((&(p, s), &t), dz)) in odds.iter().zip(t).zip(dz).enumerate() {
                let t = f64::from(t);
                let of_entropy = ((1.0 - t) * p - self.weights[i] * t * s) / count;
                let of_overlap = (2.0 * t - overlaps[i]) / (sums[i][1] + 1.0);
                *dz = T::of(share * (of_entropy - self.dice / c as f64 * of_overlap * p * s));
            }
        }
        let missed = overlaps.iter().map(|d| 1.0 - d).sum::<f64>() / c as f64;
        entropy / count + self.dice * missed
    }
}

/// What a logit says of its pixel; all of it from one exponential, which is most of the work of a loss.
struct Odds {
    /// `p = 1 / (1 + exp(-z))`.
    p: f64,
    /// `1 - p`, to full precision where p is near 1.
    s: f64,
    /// `ln(1 + exp(-|z|))`.
    ln: f64,
}

impl Odds {
    /// Of large |z| too: the exponential is of `-|z|`.
    fn of(z: f64) -> Self {
        let e = (-z.abs()).exp();
        let (near, far) = (1.0 / (1.0 + e), e / (1.0 + e));
        let (p, s) = if z < 0.0 { (far, near) } else { (near, far) };
        Self { p, s, ln: e.ln_1p() }
    }
}

/// `1 / (1 + exp(-z))`; a large |z| gives 0 or 1, not a quotient of infinities.
pub(super) fn sigmoid(z: f64) -> f64 {
    1.0 / (1.0 + (-z).exp())
}

#[cfg(test)]
mod tests {
    use super::*;
    use aoi_testing::{Seeded, assert_close, check_gradient};

    #[test]
    fn the_gradient_agrees_with_central_differences() {
        let mut seeded = Seeded::new(1);
        let logits: Vec<f64> = (0..21).map(|_| 2.0 * seeded.normal()).collect();
        let truth: Vec<u8> = (0..21).map(|_| u8::from(seeded.unit() < 0.4)).collect();
        for dice in [0.0, 0.7] {
            let loss = Loss::new(&[0.01, 0.3, 0.6], 0.5, dice).unwrap();
            let mut gradient = vec![0.0; 21];
            let mut unused = gradient.clone();
            loss.image(&logits, &truth, 1.0, &mut gradient);
            let at = |z: &[f64]| loss.image(z, &truth, 1.0, &mut unused);
            // Rounding of the differences: 2e-16 / 1e-5.
            let compared = check_gradient(&[("logits", 21)], &logits, &gradient, 1e-5, (1e-9, 1e-6), at);
            assert_eq!(compared.unwrap(), 21);
        }
    }

    #[test]
    fn rare_classes_weigh_more_and_the_weight_is_bounded() {
        let weights = |balance| Loss::new(&[0.5, 0.1, 1e-6], balance, 0.0).unwrap().weights;
        assert_eq!(weights(0.0), [1.0, 1.0, 1.0]);
        let root = weights(0.5);
        assert_close(root[1], 3.0, 0.0, 1e-12);
        assert_eq!((root[0], weights(1.0)[2]), (1.0, MOST));
    }

    #[test]
    fn a_sure_answer_costs_nothing_when_right_and_its_logit_when_wrong() {
        let loss = Loss::new(&[0.5], 0.0, 1.0).unwrap();
        let mut d = [0.0; 2];
        assert!(loss.image(&[800.0, -800.0], &[1, 0], 1.0, &mut d) < 1e-12);
        assert_eq!(d, [0.0, 0.0]);
        let wrong = loss.image(&[-800.0, 800.0], &[1, 0], 1.0, &mut d);
        // Cross-entropy 800; Dice misses all but the 1 in its numerator: 1 - 1 / 3.
        assert_close(wrong, 800.0 + 2.0 / 3.0, 0.0, 1e-12);
        assert!(d.iter().all(|d: &f64| d.is_finite()));
    }

    #[test]
    fn what_cannot_be_weighed_is_refused() {
        for (shares, balance, dice) in
            [(0.0, 0.5, 0.0), (1.0, 0.5, 0.0), (f64::NAN, 0.5, 0.0), (0.5, 1.5, 0.0), (0.5, 0.5, -1.0)]
        {
            assert!(Loss::new(&[shares], balance, dice).is_err(), "{shares} {balance} {dice}");
        }
    }
}

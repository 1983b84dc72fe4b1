//! Central differences over a whole parameter table, so that no tensor can be forgotten.

use std::fmt;

/// The worst disagreement between an analytic and a numeric gradient.
#[derive(Debug, Clone, PartialEq)]
pub struct GradientMismatch {
    /// Name of the tensor that holds the entry.
    pub tensor: String,
    /// Index of the entry inside its tensor.
    pub entry: usize,
    /// What the backward pass gave.
    pub analytic: f64,
    /// What central differences gave.
    pub numeric: f64,
}

impl fmt::Display for GradientMismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "gradient of {}[{}]: analytic {:e}, numeric {:e}",
            self.tensor, self.entry, self.analytic, self.numeric
        )
    }
}

impl std::error::Error for GradientMismatch {}

/// Compares `gradient` with central differences of `loss` at `parameters`, entry by entry, in f64.
///
/// `tensors` lists (name, length) in storage order and must cover `parameters` entirely. An entry agrees when
/// `|analytic - numeric| <= atol + rtol * max |numeric|`, the maximum taken over its tensor; `step` is the half-width h of
/// `(f(x + h) - f(x - h)) / 2h`.
///
/// Returns the number of entries compared.
///
/// # Errors
/// The first entry that disagrees; an entry that is NaN on either side disagrees.
///
/// # Panics
/// When the table does not cover the parameters or the gradient has another length.
pub fn check_gradient(
    tensors: &[(&str, usize)],
    parameters: &[f64],
    gradient: &[f64],
    step: f64,
    (atol, rtol): (f64, f64),
    mut loss: impl FnMut(&[f64]) -> f64,
) -> Result<usize, GradientMismatch> {
    let total: usize = tensors.iter().map(|t| t.1).sum();
    assert_eq!(total, parameters.len(), "the table must cover every parameter");
    assert_eq!(gradient.len(), parameters.len(), "one gradient entry per parameter");
    let mut at = parameters.to_vec();
    let mut offset = 0;
    for &(name, length) in tensors {
        let numeric: Vec<f64> = (offset..offset + length)
            .map(|i| {
                let x = at[i];
                at[i] = x + step;
                let above = loss(&at);
                at[i] = x - step;
                let below = loss(&at);
                at[i] = x;
                (above - below) / (2.0 * step)
            })
            .collect();
        let largest = numeric.iter().fold(0.0_f64, |m, n| m.max(n.abs()));
        for (entry, (&numeric, &analytic)) in numeric.iter().zip(&gradient[offset..]).enumerate() {
            let agrees = (analytic - numeric).abs() <= atol + rtol * largest;
            if !agrees {
                return Err(GradientMismatch { tensor: name.to_owned(), entry, analytic, numeric });
            }
        }
        offset += length;
    }
    Ok(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// f(a, b) = a0^2 a1 + sin(b0), with its true gradient.
    fn quadratic(p: &[f64]) -> f64 {
        p[0] * p[0] * p[1] + p[2].sin()
    }

    #[test]
    fn a_true_gradient_passes_and_every_entry_is_counted() {
        let p: [f64; 3] = [0.7, -1.3, 0.4];
        let g = [2.0 * p[0] * p[1], p[0] * p[0], p[2].cos()];
        let n = check_gradient(&[("a", 2), ("b", 1)], &p, &g, 1e-5, (1e-9, 1e-6), quadratic);
        assert_eq!(n, Ok(3));
    }

    #[test]
    fn one_wrong_entry_is_found_and_named() {
        let p: [f64; 3] = [0.7, -1.3, 0.4];
        let g = [2.0 * p[0] * p[1], p[0] * p[0], p[2].sin()];
        let e = check_gradient(&[("a", 2), ("b", 1)], &p, &g, 1e-5, (1e-9, 1e-6), quadratic).unwrap_err();
        assert_eq!((e.tensor.as_str(), e.entry), ("b", 0));
    }

    #[test]
    fn a_nan_gradient_is_found() {
        let g = [0.0, f64::NAN];
        assert!(check_gradient(&[("a", 2)], &[1.0, 1.0], &g, 1e-5, (1.0, 1.0), |_| 0.0).is_err());
    }

    #[test]
    #[should_panic(expected = "cover every parameter")]
    fn a_forgotten_tensor_fails() {
        let _ = check_gradient(&[("a", 1)], &[1.0, 1.0], &[0.0, 0.0], 1e-5, (1.0, 1.0), |_| 0.0);
    }
}

//! The tensors of a [`Whitening`] in our own format.

use ndarray::Array2;

use super::{Tensors, numbers};
use crate::{Error, Result, Whitening};

/// Their names.
pub(super) const NAMES: [&str; 2] = [MEAN, MATRIX];
const MEAN: &str = "whitening.mean";
const MATRIX: &str = "whitening.matrix";

/// Name, shape and numbers of each.
pub(super) fn arrays(whitening: &Whitening) -> [(String, Vec<usize>, &[f32]); 2] {
    let d = whitening.mean().len();
    let matrix = whitening.matrix().as_slice().expect("a whitening's own arrays are contiguous");
    [(MEAN.to_owned(), vec![d], whitening.mean()), (MATRIX.to_owned(), vec![d, d], matrix)]
}

/// Whether it is one for features of `width` numbers.
pub(super) fn check(whitening: &Whitening, width: usize) -> Result<()> {
    let found = whitening.mean().len();
    if found == width {
        return Ok(());
    }
    Err(Error::Shape { what: MEAN, expected: format!("[{width}], the width"), found: vec![found] })
}

/// What is wrong with those of a file, for features of `width` numbers.
pub(super) fn problems(tensors: &Tensors<'_>, width: usize) -> Vec<String> {
    let wanted = [(MEAN, vec![width]), (MATRIX, vec![width, width])];
    if wanted.iter().all(|(name, _)| !tensors.contains_key(*name)) {
        return Vec::new();
    }
    let problem = |(name, shape): &(&str, Vec<usize>)| match tensors.get(*name) {
        None => Some(format!("missing {name} {shape:?}")),
        Some(view) => super::misfit(name, view, shape),
    };
    wanted.iter().filter_map(problem).collect()
}

/// The whitening of a file without [`problems`], if it holds one.
///
/// # Errors
/// [`Error::NotFinite`].
pub(super) fn read(tensors: &Tensors<'_>, width: usize) -> Result<Option<Whitening>> {
    let (Some(mean), Some(matrix)) = (tensors.get(MEAN), tensors.get(MATRIX)) else { return Ok(None) };
    let (mut m, mut w) = (vec![0.0; width], vec![0.0; width * width]);
    numbers(MEAN, mean, &mut m)?;
    numbers(MATRIX, matrix, &mut w)?;
    let matrix = Array2::from_shape_vec((width, width), w).expect("as many numbers as the shape has");
    Whitening::new(m, &matrix).map(Some)
}

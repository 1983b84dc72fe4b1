//! Connected components: pixels that touch, corners included.

use aoi_encoder::ndarray::{Array2, ArrayView2};

/// The pixels of one component as (row, column), in the order in which they were reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Component {
    /// At least one pixel.
    pub pixels: Vec<(usize, usize)>,
}

/// The components of what is not 0, ordered by their first pixel in reading order.
///
/// # Examples
/// ```
/// use aoi::measure::components;
/// use aoi_encoder::ndarray::array;
/// let plane = array![[1_u8, 0, 0, 1], [0, 1, 0, 1]];
/// let sizes: Vec<usize> = components(plane.view()).iter().map(|c| c.pixels.len()).collect();
/// assert_eq!(sizes, [2, 2]);
/// ```
#[expect(clippy::needless_pass_by_value, reason = "array views are handed over by value, like slices")]
pub fn components(plane: ArrayView2<'_, u8>) -> Vec<Component> {
    let (height, width) = plane.dim();
    let mut seen = Array2::from_elem(plane.dim(), false);
    let mut found = Vec::new();
    for (start, &value) in plane.indexed_iter() {
        if value == 0 || seen[start] {
            continue;
        }
        seen[start] = true;
        let mut pixels = vec![start];
        let mut next = 0;
        while let Some(&(row, column)) = pixels.get(next) {
            next += 1;
            for y in row.saturating_sub(1)..(row + 2).min(height) {
                for x in column.saturating_sub(1)..(column + 2).min(width) {
                    if plane[[y, x]] != 0 && !seen[[y, x]] {
                        seen[[y, x]] = true;
                        pixels.push((y, x));
                    }
                }
            }
        }
        found.push(Component { pixels });
    }
    found
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use aoi_encoder::ndarray::array;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_ring_is_one_component_and_its_core_another() {
        let plane =
            array![[1, 1, 1, 1, 1], [1, 0, 0, 0, 1], [1, 0, 9, 0, 1], [1, 0, 0, 0, 1], [1, 1, 1, 1, 1]];
        let sizes: Vec<usize> = components(plane.view()).iter().map(|c| c.pixels.len()).collect();
        assert_eq!(sizes, [16, 1]);
        assert!(components(Array2::<u8>::zeros((3, 4)).view()).is_empty());
        assert!(components(Array2::<u8>::zeros((0, 4)).view()).is_empty());
    }

    proptest! {
        /// Merging labels of neighbours until nothing changes shares no code with the flood.
        #[test]
        fn flooding_agrees_with_merging_labels(bits in proptest::collection::vec(any::<bool>(), 77)) {
            let plane = Array2::from_shape_fn((7, 11), |(y, x)| u8::from(bits[11 * y + x]));
            let mut label = Array2::from_shape_fn((7, 11), |(y, x)| 11 * y + x);
            let near = |a: (usize, usize), b: (usize, usize)| a.0.abs_diff(b.0) <= 1 && a.1.abs_diff(b.1) <= 1;
            let set: Vec<(usize, usize)> = plane.indexed_iter().filter(|(_, v)| **v != 0).map(|(at, _)| at).collect();
            loop {
                let before = label.clone();
                for &a in &set {
                    for &b in &set {
                        if near(a, b) {
                            label[a] = label[a].min(label[b]);
                        }
                    }
                }
                if label == before { break; }
            }
            let expected: BTreeSet<BTreeSet<(usize, usize)>> = set
                .iter()
                .map(|&a| set.iter().copied().filter(|&b| label[a] == label[b]).collect())
                .collect();
            let found: BTreeSet<BTreeSet<(usize, usize)>> =
                components(plane.view()).into_iter().map(|c| c.pixels.into_iter().collect()).collect();
            prop_assert_eq!(found, expected);
        }
    }
}

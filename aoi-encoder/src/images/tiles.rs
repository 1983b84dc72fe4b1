//! Pictures larger than the encoder's crop: overlapping tiles on the grid of patches, and their tokens put together again.

use ndarray::{Array2, ArrayRef2};

use crate::{Error, Grid, Result};

/// A tile's place on the picture's grid, in patches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tile {
    /// First row.
    pub row: usize,
    /// First column.
    pub column: usize,
    /// Its own size.
    pub grid: Grid,
}

/// Tiles of at most `crop` that cover `whole`, neighbours sharing at least `overlap` patches where there is more than one; as few as
/// possible, evenly spread, row by row.
///
/// # Errors
/// [`Error::Config`] when a grid is empty or the overlap is not below the crop.
pub fn tiles(whole: Grid, crop: Grid, overlap: usize) -> Result<Vec<Tile>> {
    for (what, grid) in [("picture grid", whole), ("crop grid", crop)] {
        if grid.is_empty() {
            return Err(Error::config(what, "at least one patch", &format!("{grid:?}")));
        }
    }
    let rows = starts(whole.rows, crop.rows, overlap)?;
    let columns = starts(whole.columns, crop.columns, overlap)?;
    let grid = Grid { rows: crop.rows.min(whole.rows), columns: crop.columns.min(whole.columns) };
    let row_of =
        |&row: &usize| columns.iter().map(move |&column| Tile { row, column, grid }).collect::<Vec<_>>();
    Ok(rows.iter().flat_map(row_of).collect())
}

/// First places of pieces of length `piece` that cover `whole`.
fn starts(whole: usize, piece: usize, overlap: usize) -> Result<Vec<usize>> {
    if whole <= piece {
        return Ok(vec![0]);
    }
    if overlap >= piece {
        return Err(Error::config("overlap", format!("below the crop of {piece} patches"), &overlap));
    }
    let steps = (whole - piece).div_ceil(piece - overlap);
    Ok((0..=steps).map(|i| i * (whole - piece) / steps).collect())
}

/// Puts the patch tokens of tiles together: where tiles overlap, their mean, a tile's token weighing the more the further it
/// lies from the tile's border.
#[derive(Debug, Clone)]
pub struct Stitch {
    whole: Grid,
    sums: Array2<f64>,
    weights: Vec<f64>,
}

impl Stitch {
    /// An empty picture of `whole` patches of `d` numbers.
    pub fn new(whole: Grid, d: usize) -> Self {
        Self { whole, sums: Array2::zeros((whole.len(), d)), weights: vec![0.0; whole.len()] }
    }

    /// Adds the tokens of a tile.
    ///
    /// # Shapes
    /// `tokens` \[t, d\], the tile's patches in reading order.
    ///
    /// # Errors
    /// [`Error::Shape`] when the tile does not lie in the picture or the tokens are not its own.
    pub fn add(&mut self, tile: Tile, tokens: &ArrayRef2<f32>) -> Result<()> {
        let Tile { row, column, grid } = tile;
        let inside = row + grid.rows <= self.whole.rows && column + grid.columns <= self.whole.columns;
        if !inside || tokens.dim() != (grid.len(), self.sums.ncols()) {
            let expected =
                format!("[{}, {}] of a tile inside {:?}", grid.len(), self.sums.ncols(), self.whole);
            return Err(Error::Shape { what: "tokens of a tile", expected, found: tokens.shape().to_vec() });
        }
        for (index, token) in tokens.outer_iter().enumerate() {
            let (y, x) = (index / grid.columns, index % grid.columns);
            let depth = |i: usize, n: usize| i.min(n - 1 - i) + 1;
            let weight = (depth(y, grid.rows) * depth(x, grid.columns)) as f64;
            let place = (row + y) * self.whole.columns + column + x;
            self.weights[place] += weight;
            self.sums.row_mut(place).zip_mut_with(&token, |sum, &t| *sum += weight * f64::from(t));
        }
        Ok(())
    }

    /// The whole picture's tokens, \[t, d\].
    ///
    /// # Errors
    /// [`Error::Config`] when a patch was covered by no tile.
    #[expect(clippy::cast_possible_truncation, reason = "back to the tokens' own f32")]
    pub fn finish(self) -> Result<Array2<f32>> {
        if let Some(hole) = self.weights.iter().position(|&w| w == 0.0) {
            return Err(Error::config(
                "tiles",
                "a tile over every patch",
                &format!("none over patch {hole}"),
            ));
        }
        let mean =
            |(place, column): (usize, usize)| (self.sums[[place, column]] / self.weights[place]) as f32;
        Ok(Array2::from_shape_fn(self.sums.dim(), mean))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn grid(rows: usize, columns: usize) -> Grid {
        Grid { rows, columns }
    }

    proptest! {
        #[test]
        fn tiles_cover_the_picture_and_stitching_undoes_them(
            (rows, columns) in (1_usize..40, 1_usize..40),
            (crop_rows, crop_columns) in (3_usize..12, 3_usize..12),
            overlap in 0_usize..3,
        ) {
            let (whole, crop) = (grid(rows, columns), grid(crop_rows, crop_columns));
            let tiles = tiles(whole, crop, overlap).unwrap();
            let value = |place: usize| place as f32;
            let mut stitch = Stitch::new(whole, 2);
            for tile in &tiles {
                let place = |i: usize| (tile.row + i / tile.grid.columns) * columns + tile.column + i % tile.grid.columns;
                let tokens = Array2::from_shape_fn((tile.grid.len(), 2), |(i, k)| value(place(i)) + k as f32);
                stitch.add(*tile, &tokens).unwrap();
            }
            let whole = stitch.finish().unwrap();
            for (place, token) in whole.outer_iter().enumerate() {
                prop_assert_eq!((token[0], token[1]), (value(place), value(place) + 1.0));
            }
            for pair in tiles.windows(2).filter(|p| p[0].row == p[1].row) {
                prop_assert!(pair[0].column + crop_columns >= pair[1].column + overlap);
            }
        }
    }

    #[test]
    fn a_picture_within_the_crop_is_one_tile() {
        let one = tiles(grid(4, 7), grid(4, 8), 2).unwrap();
        assert_eq!(one, [Tile { row: 0, column: 0, grid: grid(4, 7) }]);
    }

    #[test]
    fn overlapping_tokens_are_weighed_by_their_distance_from_the_border() {
        let (whole, crop) = (grid(1, 5), grid(1, 3));
        let tiles = tiles(whole, crop, 1).unwrap();
        assert_eq!(tiles.iter().map(|t| t.column).collect::<Vec<_>>(), [0, 2]);
        let mut stitch = Stitch::new(whole, 1);
        stitch.add(tiles[0], &Array2::zeros((3, 1))).unwrap();
        assert!(stitch.clone().finish().unwrap_err().to_string().contains("patch 3"));
        stitch.add(tiles[1], &Array2::ones((3, 1))).unwrap();
        assert_eq!(stitch.finish().unwrap().into_raw_vec_and_offset().0, [0.0, 0.0, 0.5, 1.0, 1.0]);
    }

    #[test]
    fn tiles_that_cannot_be_are_refused() {
        assert!(tiles(grid(9, 9), grid(3, 3), 3).is_err());
        assert!(tiles(grid(0, 9), grid(3, 3), 0).is_err());
        assert!(tiles(grid(9, 9), grid(3, 0), 0).is_err());
        let outside = Tile { row: 8, column: 0, grid: grid(2, 2) };
        assert!(Stitch::new(grid(9, 9), 1).add(outside, &Array2::zeros((4, 1))).is_err());
        let inside = Tile { row: 7, ..outside };
        assert!(Stitch::new(grid(9, 9), 1).add(inside, &Array2::zeros((5, 1))).is_err());
    }
}

//! How many tokens a thread takes at once.

use crate::Config;
use crate::kernel::{Arithmetic, BLOCK, Instructions, stride};

/// As many tokens as the second-level cache holds what products read of them. Every chunk reads the weights once: fewer would wait for memory,
/// and more for their own rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Chunk {
    /// Tokens taken through attention and the products at its ends.
    pub(crate) rows: usize,
    /// Tokens taken through the hidden layer; no more than through attention.
    pub(crate) hidden: usize,
    /// Rows that products compute together, or in the time of as many.
    pub(crate) block: usize,
}

impl Chunk {
    /// Three quarters of a megabyte of norms; of hidden layers a megabyte in f32 and two in tiles.
    pub(crate) fn new(arithmetic: Arithmetic, config: &Config) -> Self {
        let Config { width, hidden, .. } = *config;
        match arithmetic.slices() {
            None => {
                let hidden = (262_144 / stride(config.hidden_rows())).clamp(28, 224);
                Self { rows: (196_608 / stride(width)).max(hidden), hidden, block: 1 }
            }
            Some(slices) => {
                let hidden = (1_048_576 / (slices * hidden)).clamp(1, 512).next_multiple_of(BLOCK);
                let rows = (393_216 / (slices * width)).next_multiple_of(BLOCK);
                // Only the matrix unit computes whole blocks where there are fewer rows.
                let block = if arithmetic.instructions == Instructions::Amx { BLOCK } else { 1 };
                Self { rows: rows.max(hidden), hidden, block }
            }
        }
    }

    /// How many images of `tokens` tokens one thread takes through all blocks at a time, at least one: enough rows that weights are not waited for, and no
    /// more, since the rows of the image at work, their queries, keys and values stay in the cache. Where rows are computed in whole blocks, as many as a chunk holds.
    pub(crate) fn images(&self, tokens: usize) -> usize {
        let rows = if self.block > 1 { self.rows } else { self.rows.min(256) };
        (rows / tokens).max(1)
    }

    /// How many of the next `left` rows, the first of which is token `first` of an image of `tokens`, to take at once: all if they fit, or up
    /// to the end of an image, or a piece of one.
    pub(crate) fn take(&self, tokens: usize, first: usize, left: usize) -> usize {
        let image = tokens - first;
        if left <= self.rows {
            left
        } else if image <= self.rows {
            image + (self.rows - image) / tokens * tokens
        } else {
            self.even(image.min(left), self.rows)
        }
    }

    /// How many of n tokens to take through the hidden layer at once.
    pub(crate) fn hidden(&self, n: usize) -> usize {
        self.even(n, self.hidden)
    }

    /// Pieces of n rows, at most `most` each, that are about equally long in whole blocks, rather than full ones and a rest.
    fn even(&self, n: usize, most: usize) -> usize {
        n.div_ceil(n.div_ceil(most)).next_multiple_of(self.block).min(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_taken_by_whole_images_where_they_fit() {
        let chunk = Chunk { rows: 500, hidden: 160, block: 32 };
        // Token and rows that are left, and what is taken of them.
        for (first, left, taken) in
            [(0, 500, 500), (0, 501, 394), (100, 1_000, 97 + 394), (196, 1_000, 1 + 394)]
        {
            assert_eq!(chunk.take(197, first, left), taken, "{first} of {left}");
        }
        // Images that do not fit: three even pieces, in whole blocks, then what is left.
        assert_eq!((chunk.take(1_025, 0, 2_050), chunk.take(1_025, 704, 2_050)), (352, 321));
        assert_eq!((chunk.hidden(394), chunk.hidden(160), chunk.hidden(7)), (160, 160, 7));
    }

    #[test]
    fn taken_rows_fit_and_make_up_the_batch() {
        for (tokens, images) in [(1, 9), (17, 40), (197, 8), (500, 3), (1_025, 2)] {
            let chunk = Chunk { rows: 320, hidden: 160, block: 32 };
            let mut row = 0;
            while row < tokens * images {
                let n = chunk.take(tokens, row % tokens, tokens * images - row);
                assert!((1..=chunk.rows).contains(&n), "{n} rows at {row} of images of {tokens}");
                row += n;
            }
            assert_eq!(row, tokens * images);
        }
    }
}

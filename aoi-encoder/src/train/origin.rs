//! What a run is made from, so that it does not go on with something else.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::images::Stack;
use crate::{Error, Result};

/// Classes, and digests of pictures and masks, kept in a run's checkpoint.
///
/// A digest tells one folder from another; it is no defence against somebody who wants two to look alike.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Origin {
    /// Names of the classes, in the order of the masks' planes; none in pre-training.
    classes: Vec<String>,
    /// Number of pictures.
    pictures: usize,
    /// Of the pictures' names, in their order.
    names: Digest,
    /// Of the pictures' files or numbers.
    contents: Digest,
    /// Of the masks.
    masks: Digest,
}

impl Origin {
    /// Of pictures with masks, in memory: a quarter of a second for 10^8 numbers.
    pub(crate) fn of_examples<'a>(
        classes: &[String],
        examples: impl ExactSizeIterator<Item = (&'a str, &'a ndarray::Array3<f32>, &'a ndarray::Array3<u8>)>,
    ) -> Self {
        let mut origin = Self { classes: classes.to_vec(), pictures: examples.len(), ..Self::empty() };
        for (name, picture, mask) in examples {
            origin.names.add_bytes(name.as_bytes());
            picture.shape().iter().chain(mask.shape()).for_each(|&side| origin.contents.add(side as u64));
            picture.iter().for_each(|v| origin.contents.add(v.to_bits().into()));
            mask.iter().for_each(|&v| origin.masks.add(v.into()));
        }
        origin
    }

    /// Of the files of pictures, each read once; besides the reading, a third of a second a gigabyte.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub(crate) fn of_files(stacks: &[Stack]) -> Result<Self> {
        let mut origin = Self { pictures: stacks.len(), ..Self::empty() };
        for stack in stacks {
            origin.names.add_bytes(stack.name.as_bytes());
            origin.contents.add(stack.files.len() as u64);
            for file in &stack.files {
                origin.contents.add_bytes(&std::fs::read(file).map_err(Error::io(file))?);
            }
        }
        Ok(origin)
    }

    fn empty() -> Self {
        let [names, contents, masks] = [Digest::EMPTY; 3];
        Self { classes: Vec::new(), pictures: 0, names, contents, masks }
    }

    /// Refuses to go on with `given` in place of these, which the checkpoint at `path` holds.
    ///
    /// # Errors
    /// [`Error::Origin`] for the first that differs.
    pub(crate) fn check_same(&self, path: &Path, given: &Self) -> Result<()> {
        let words = |origin: &Self| {
            [
                ("the classes", format!("{:?}", origin.classes)),
                ("the number of pictures", origin.pictures.to_string()),
                ("names of the pictures with the digest", origin.names.to_string()),
                ("pictures with the digest", origin.contents.to_string()),
                ("masks with the digest", origin.masks.to_string()),
            ]
        };
        match words(self).into_iter().zip(words(given)).find(|(then, now)| then != now) {
            None => Ok(()),
            Some(((what, expected), (_, found))) => {
                Err(Error::Origin { path: path.to_owned(), what, expected, found })
            }
        }
    }
}

/// 64 bits that tell what was added from anything else, but for one chance in 2^64. No word can be changed alone without changing them: every step is
/// one to one in the word and in what came before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Digest(u64);

impl Digest {
    /// FNV's start.
    const EMPTY: Self = Self(0xcbf2_9ce4_8422_2325);

    /// FNV's product on words, turned so that high bits reach low ones.
    fn add(&mut self, word: u64) {
        self.0 = (self.0 ^ word).wrapping_mul(0x0100_0000_01b3).rotate_left(29);
    }

    /// Adds bytes by words of eight, and their number.
    fn add_bytes(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for &word in words {
            self.add(u64::from_le_bytes(word));
        }
        for &byte in rest {
            self.add(byte.into());
        }
        self.add(bytes.len() as u64);
    }
}

impl std::fmt::Display for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(parts: &[&[u8]]) -> Digest {
        let mut digest = Digest::EMPTY;
        for part in parts {
            digest.add_bytes(part);
        }
        digest
    }

    #[test]
    fn every_bit_the_length_and_the_borders_count() {
        let bytes: Vec<u8> = (0..37).collect();
        let whole = of(&[&bytes]);
        for bit in 0..8 * bytes.len() {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_ne!(of(&[&changed]), whole, "bit {bit}");
        }
        assert_ne!(of(&[&bytes[..36]]), whole);
        assert_ne!(of(&[&[0; 8]]), of(&[&[0; 16]]));
        assert_ne!(of(&[b"ab", b"c"]), of(&[b"a", b"bc"]));
        assert_ne!(of(&[b"a", b"b"]), of(&[b"b", b"a"]));
    }
}

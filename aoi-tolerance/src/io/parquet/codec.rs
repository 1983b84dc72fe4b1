//! Bytes of pages out of their compression.
//!
//! A header says how long they become; memory is taken as they come out, or where the compressed bytes could become as many, and never on
//! the header's word alone.

use std::io::Read;

use ::parquet::basic::Compression;

/// How a column is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Codec {
    Nothing,
    Snappy,
    Gzip,
    Zstd,
}

/// Bytes that one byte of snappy becomes at most: three name a copy of 64.
const SNAPPY_GROWTH: usize = 22;

impl Codec {
    /// The codec of a column; none for one that is not read.
    pub(super) fn of(compression: Compression) -> Option<Self> {
        match compression {
            Compression::UNCOMPRESSED => Some(Self::Nothing),
            Compression::SNAPPY => Some(Self::Snappy),
            Compression::GZIP(_) => Some(Self::Gzip),
            Compression::ZSTD(_) => Some(Self::Zstd),
            _ => None,
        }
    }

    /// Appends what `stored` becomes, which must be `length` bytes; the error says what came instead.
    pub(super) fn expand(self, stored: &[u8], length: usize, expanded: &mut Vec<u8>) -> Result<(), String> {
        // Pages without a value may leave out what their codec would write for nothing.
        if length == 0 {
            return Ok(());
        }
        let before = expanded.len();
        match self {
            Self::Nothing => expanded.extend_from_slice(stored),
            Self::Snappy => snappy(stored, length, expanded)?,
            Self::Gzip => stream(flate2::bufread::MultiGzDecoder::new(stored), stored, length, expanded)?,
            Self::Zstd => {
                let decoder = zstd::stream::read::Decoder::with_buffer(stored).map_err(|e| e.to_string())?;
                stream(decoder, stored, length, expanded)?;
            }
        }
        let came = expanded.len() - before;
        if came > length {
            return Err(format!("a page becomes more than the {length} bytes that its header says"));
        }
        if came < length {
            return Err(format!("a page becomes {came} bytes, its header says {length}"));
        }
        Ok(())
    }
}

fn snappy(stored: &[u8], length: usize, expanded: &mut Vec<u8>) -> Result<(), String> {
    let says = snap::raw::decompress_len(stored).map_err(|e| e.to_string())?;
    if says != length || length / SNAPPY_GROWTH > stored.len() {
        return Err(format!(
            "a page of {} bytes says that it becomes {says}, its header says {length}",
            stored.len()
        ));
    }
    let before = expanded.len();
    expanded.resize(before + length, 0);
    snap::raw::Decoder::new().decompress(stored, &mut expanded[before..]).map_err(|e| e.to_string())?;
    Ok(())
}

/// Reads to the end, or to one byte more than are expected.
fn stream(decoder: impl Read, stored: &[u8], length: usize, expanded: &mut Vec<u8>) -> Result<(), String> {
    // Texts shrink to an eighth or so; what shrinks more grows here.
    expanded.reserve(length.min(stored.len().saturating_mul(8)));
    decoder.take(length as u64 + 1).read_to_end(expanded).map(drop).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn compressed(codec: Codec, bytes: &[u8]) -> Vec<u8> {
        match codec {
            Codec::Nothing => bytes.to_vec(),
            Codec::Snappy => snap::raw::Encoder::new().compress_vec(bytes).unwrap(),
            Codec::Gzip => {
                let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                gzip.write_all(bytes).unwrap();
                gzip.finish().unwrap()
            }
            Codec::Zstd => zstd::encode_all(bytes, 1).unwrap(),
        }
    }

    const ALL: [Codec; 4] = [Codec::Nothing, Codec::Snappy, Codec::Gzip, Codec::Zstd];

    #[test]
    fn every_codec_gives_back_what_was_compressed_behind_what_was_there() {
        for codec in ALL {
            for bytes in [&b"flagged, and found good on review"[..], &[7; 10_000], b"x"] {
                let mut expanded = b"levels".to_vec();
                codec.expand(&compressed(codec, bytes), bytes.len(), &mut expanded).unwrap();
                assert_eq!(expanded, [b"levels", bytes].concat(), "{codec:?}");
            }
            codec.expand(&[], 0, &mut Vec::new()).unwrap();
        }
    }

    #[test]
    fn another_length_than_the_header_says_is_an_error_and_takes_no_memory() {
        for codec in ALL {
            let stored = compressed(codec, &[7; 1000]);
            for length in [1, 999, 1001, usize::try_from(i32::MAX).unwrap()] {
                let mut expanded = Vec::new();
                assert!(codec.expand(&stored, length, &mut expanded).is_err(), "{codec:?} {length}");
                assert!(expanded.capacity() < 16_384, "{codec:?} {length}: {}", expanded.capacity());
            }
        }
    }

    #[test]
    fn a_page_that_lies_about_itself_as_its_header_does_takes_no_memory() {
        // Snappy's own length, 2^31 - 1, then one literal byte.
        let mut expanded = Vec::new();
        let length = usize::try_from(i32::MAX).unwrap();
        let lying = [0xff, 0xff, 0xff, 0xff, 0x07, 0x00, 0x61];
        assert_eq!(snap::raw::decompress_len(&lying).unwrap(), length);
        assert!(Codec::Snappy.expand(&lying, length, &mut expanded).is_err());
        assert_eq!(expanded.capacity(), 0);
    }
}

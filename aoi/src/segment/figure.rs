//! Pictures inside a page: a PNG as text.

use aoi_encoder::ndarray::{ArrayRef3, ArrayView3};

use super::overlay;
use crate::masks::encode_rgb;
use crate::{Error, Result};

/// One picture of an evaluation, as the page shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Figure {
    /// Its name.
    pub name: String,
    /// The prediction over the picture, as a `data:` address.
    pub predicted: String,
    /// The truth over the picture.
    pub truth: String,
}

impl Figure {
    /// Draws both masks.
    ///
    /// # Errors
    /// When a picture is too large for a PNG file.
    #[expect(clippy::needless_pass_by_value, reason = "array views are handed over by value, like slices")]
    pub fn new(
        name: &str,
        picture: &ArrayRef3<f32>,
        predicted: ArrayView3<'_, u8>,
        truth: ArrayView3<'_, u8>,
        classes: &[String],
    ) -> Result<Self> {
        let address = |mask| -> Result<String> {
            let png = encode_rgb(&overlay(picture, mask, classes)).map_err(Error::io(name.as_ref()))?;
            Ok(format!("data:image/png;base64,{}", base64(&png)))
        };
        Ok(Self {
            name: name.to_owned(),
            predicted: address(predicted.view())?,
            truth: address(truth.view())?,
        })
    }
}

/// Base 64 with the standard alphabet and padding (RFC 4648).
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let three = group.iter().fold(0_u32, |word, &b| word << 8 | u32::from(b)) << (8 * (3 - group.len()));
        for digit in 0..4 {
            if digit <= group.len() {
                text.push(char::from(ALPHABET[(three >> (18 - 6 * digit) & 63) as usize]));
            } else {
                text.push('=');
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_that_of_the_standard() {
        // The examples of RFC 4648, section 10.
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
        assert_eq!(base64(&[255, 239, 190]), "/+++");
    }
}

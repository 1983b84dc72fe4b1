//! `.npy` files of f32 images.

use std::path::Path;

use ndarray::Array4;

use crate::{Error, Result};

/// Reads f32 \[b, c, height, width\] in C order from a `.npy` file of version 1 to 3.
///
/// Memory is taken for bytes that are in the file, never for the shape it claims.
///
/// # Errors
/// [`Error::Io`], or [`Error::Format`] for another number type, order or number of axes, or a length that is not the shape's.
pub fn read_npy(path: &Path) -> Result<Array4<f32>> {
    let bytes = std::fs::read(path).map_err(Error::io(path))?;
    let bad = |found: String| Error::Format {
        path: path.to_owned(),
        expected: "a .npy file of f32 [b, c, height, width] in C order",
        found,
    };
    parse(&bytes).map_err(bad)
}

fn parse(bytes: &[u8]) -> std::result::Result<Array4<f32>, String> {
    let rest = bytes.strip_prefix(b"\x93NUMPY").ok_or("no .npy magic")?;
    let (version, rest) = rest.split_at_checked(2).ok_or("a header cut short")?;
    let length_bytes = if version[0] == 1 { 2 } else { 4 };
    let (length, rest) = rest.split_at_checked(length_bytes).ok_or("a header cut short")?;
    let length = length.iter().rev().fold(0_usize, |n, &b| n << 8 | usize::from(b));
    let (header, data) = rest.split_at_checked(length).ok_or("a header cut short")?;
    let header = std::str::from_utf8(header).map_err(|_| "a header that is not text")?;
    let after = |key: &str| {
        let (_, value) = header.split_once(&format!("'{key}':")).ok_or(format!("no {key} in the header"))?;
        Ok::<_, String>(value.trim_start())
    };
    let kind = after("descr")?;
    if !kind.starts_with("'<f4'") {
        return Err(format!("numbers of type {}", kind.split(',').next().unwrap_or_default()));
    }
    if !after("fortran_order")?.starts_with("False") {
        return Err("Fortran order".to_owned());
    }
    let shape = after("shape")?.strip_prefix('(').and_then(|s| s.split_once(')')).ok_or("no shape")?.0;
    let sides: Vec<&str> = shape.split(',').map(str::trim).filter(|s| !s.is_empty()).collect();
    let sides = sides.iter().map(|s| s.parse::<usize>()).collect::<Result<Vec<_>, _>>();
    let sides = sides.map_err(|_| format!("the shape ({shape})"))?;
    let &[b, c, height, width] = &sides[..] else { return Err(format!("{} axes", sides.len())) };
    let bytes_claimed = sides.iter().try_fold(4_usize, |n, &s| n.checked_mul(s));
    if bytes_claimed != Some(data.len()) {
        return Err(format!("shape ({shape}) and {} bytes of numbers", data.len()));
    }
    let values = data.as_chunks::<4>().0.iter().map(|&b| f32::from_le_bytes(b)).collect();
    Array4::from_shape_vec((b, c, height, width), values).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A version 1 file as numpy writes it.
    fn npy(kind: &str, order: &str, shape: &str, data: &[u8]) -> Vec<u8> {
        let mut header = format!("{{'descr': '{kind}', 'fortran_order': {order}, 'shape': {shape}, }}");
        while (10 + header.len() + 1) % 64 != 0 {
            header.push(' ');
        }
        header.push('\n');
        let length = u16::try_from(header.len()).unwrap().to_le_bytes();
        [&b"\x93NUMPY\x01\x00"[..], &length, header.as_bytes(), data].concat()
    }

    #[test]
    fn numbers_come_back_in_order() {
        let data: Vec<u8> = (0..12_u8).flat_map(|i| f32::from(i).to_le_bytes()).collect();
        let array = parse(&npy("<f4", "False", "(1, 2, 2, 3)", &data)).unwrap();
        assert_eq!(array.dim(), (1, 2, 2, 3));
        assert_eq!(array[[0, 1, 0, 2]], 8.0);
    }

    #[test]
    fn other_types_orders_and_shapes_are_named() {
        for (bytes, said) in [
            (npy("<f8", "False", "(1, 1, 1, 1)", &[0; 8]), "<f8"),
            (npy("<f4", "True", "(1, 1, 1, 1)", &[0; 4]), "Fortran"),
            (npy("<f4", "False", "(2, 2)", &[0; 16]), "2 axes"),
            (npy("<f4", "False", "(1, 1, 1, 2)", &[0; 4]), "4 bytes"),
            (npy("<f4", "False", "(-1, 1, 1, 1)", &[0; 4]), "-1"),
            (npy("<f4", "False", "(4294967296, 4294967296, 4294967296, 4294967296)", &[]), "0 bytes"),
            (npy("<f4", "False", "(9999999999, 1, 1, 1)", &[0; 4]), "4 bytes"),
        ] {
            let message = parse(&bytes).unwrap_err();
            assert!(message.contains(said), "{message}");
        }
    }

    #[test]
    fn a_file_cut_anywhere_is_refused() {
        let whole = npy("<f4", "False", "(1, 1, 2, 2)", &[0; 16]);
        for cut in 0..whole.len() {
            assert!(parse(&whole[..cut]).is_err(), "cut at {cut}");
        }
        assert!(parse(&whole).is_ok());
    }
}

//! Safetensors files as a failing disk or a hostile hand leaves them.

use aoi_testing::Seeded;

/// What stands in a header: bytes that keep it readable and change what it says.
const SPEECH: &[u8] = b"0123456789-.eE,:[]{}\"ntf";

/// A file with some bytes changed, mostly in the header, where sizes and names are, and now and then its end cut off.
pub(crate) fn damaged(whole: &[u8], seed: u64, count: usize) -> Vec<u8> {
    let (mut bytes, mut chance) = (whole.to_vec(), Seeded::new(seed));
    let (length, _) = whole.split_first_chunk::<8>().expect("a safetensors file");
    let header = 8 + usize::try_from(u64::from_le_bytes(*length)).expect("a header in memory");
    for _ in 0..count {
        let within = if chance.unit() < 0.8 { header } else { bytes.len() };
        let at = chance.below(within);
        let any = u8::try_from(chance.below(256)).expect("a byte");
        bytes[at] = if chance.unit() < 0.5 { any } else { SPEECH[chance.below(SPEECH.len())] };
    }
    if chance.unit() < 0.1 {
        bytes.truncate(chance.below(bytes.len()));
    }
    bytes
}

//! Weights and networks damaged at random: refused or loaded, never a panic, and what loads keeps the laws.

mod damage;
#[path = "networks/laws.rs"]
mod laws;
#[path = "networks/small.rs"]
mod small;

use std::sync::LazyLock;

use aoi_encoder::weights::{LoadOptions, load};
use proptest::prelude::*;

/// Files that are whole.
static FILES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    let other = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/timm_plain/weights.safetensors");
    let networks = small::HEADS.map(|head| {
        let path = folder.path().join(head);
        small::write(&path, head);
        path
    });
    networks.into_iter().chain([other.into()]).map(|path| std::fs::read(path).unwrap()).collect()
});

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn flipped_bytes_break_no_law(seed: u64, count in 1_usize..8) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.safetensors");
        for whole in FILES.iter() {
            std::fs::write(&path, damage::damaged(whole, seed, count)).unwrap();
            laws::hold(&path);
        }
    }
}

#[test]
fn an_error_names_tensors_in_the_same_order_every_time() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    small::write(&path, "upernet");
    // Without its metadata nothing in the file is known.
    let bytes = std::fs::read(&path).unwrap();
    let text = String::from_utf8_lossy(&bytes).find("aoi_encoder_config").unwrap();
    let mut unknown = bytes;
    unknown[text] = b'b';
    std::fs::write(&path, unknown).unwrap();
    let said = || load(&path, &LoadOptions::default()).unwrap_err().to_string();
    let first = said();
    assert!(first.contains("no patch projection") && first.contains("more"), "{first}");
    assert!((0..5).all(|_| said() == first));
}

//! Writes the small networks that the target `weights` starts from: `seeds FOLDER`.

// The instrumentation asks for its functions.
use libfuzzer_sys as _;

#[path = "../../../aoi-encoder/tests/networks/small.rs"]
#[allow(dead_code, reason = "the tests of network files alone change its configuration")]
mod small;

fn main() {
    let folder = std::env::args_os().nth(1).map(std::path::PathBuf::from).expect("a folder");
    std::fs::create_dir_all(&folder).expect("a folder that can be made");
    for head in small::HEADS {
        small::write(&folder.join(format!("{head}.safetensors")), head);
    }
}

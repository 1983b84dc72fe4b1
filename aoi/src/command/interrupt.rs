//! Ctrl-C: the first asks the command to stop and clean up, the second stops it at once.

use std::sync::atomic::{AtomicBool, Ordering};

static ASKED: AtomicBool = AtomicBool::new(false);

/// Watches for Ctrl-C from now on.
pub(crate) fn watch() {
    // Where no handler can be set, Ctrl-C ends the process at once; a file is still written whole or not at all.
    let _ = ctrlc::set_handler(|| {
        if ASKED.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
    });
}

/// Whether somebody has asked the command to stop.
pub(crate) fn asked() -> bool {
    ASKED.load(Ordering::Relaxed)
}

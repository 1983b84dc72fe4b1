//! Without files there is no table of limits to look up: the page has no such part, though its template names one.

/// Never made.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) last: usize,
    pub(super) start: usize,
    pub(super) percentile: String,
    pub(super) simultaneous: bool,
    pub(super) script_sha256: String,
}

//! How long work reports and is stopped.

use std::ops::ControlFlow;

use crate::{Error, Result};

/// Called with (done, total), first with none done; [`ControlFlow::Break`] stops the work, which then returns [`Error::Cancelled`].
pub type Progress<'a> = dyn FnMut(usize, usize) -> ControlFlow<()> + 'a;

/// A callback that never stops the work, for callers without a display.
pub fn silent() -> impl FnMut(usize, usize) -> ControlFlow<()> {
    |_, _| ControlFlow::Continue(())
}

/// Reports and turns a request to stop into the error.
pub(crate) fn report(
    progress: &mut Progress<'_>,
    what: &'static str,
    done: usize,
    total: usize,
) -> Result<()> {
    match progress(done, total) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(Error::Cancelled { what, done, total }),
    }
}

//! How long work reports and is stopped.

use std::ops::ControlFlow;

use crate::RetrievalError;

/// How far some work has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Steps done.
    pub done: usize,
    /// Steps there are.
    pub total: usize,
}

/// Called now and then; [`ControlFlow::Break`] cancels the work, which then returns [`RetrievalError::Cancelled`].
pub type ProgressFn<'a> = dyn FnMut(Progress) -> ControlFlow<()> + 'a;

/// Reports and turns a request to stop into the error.
pub(crate) fn report(progress: &mut ProgressFn<'_>, done: usize, total: usize) -> Result<(), RetrievalError> {
    match progress(Progress { done, total }) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(RetrievalError::Cancelled { done, total }),
    }
}

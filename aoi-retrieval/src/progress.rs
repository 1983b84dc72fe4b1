//! How long work reports and is stopped.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

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

/// A callback that never stops the work.
pub(crate) fn silent() -> impl FnMut(Progress) -> ControlFlow<()> {
    |_| ControlFlow::Continue(())
}

/// The steps of work that threads share.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    done: AtomicUsize,
    total: AtomicUsize,
    stopped: AtomicBool,
}

impl Tally {
    /// So many steps, none done.
    pub(crate) fn of(total: usize) -> Self {
        Self { total: total.into(), ..Self::default() }
    }

    /// What counts for the thread that was called, and reports.
    pub(crate) fn reporting<'a>(&'a self, progress: &'a mut ProgressFn<'_>) -> Steps<'a> {
        Steps { tally: self, progress: Some(progress) }
    }

    /// Steps done so far.
    #[cfg(feature = "gpu")]
    pub(crate) fn done(&self) -> usize {
        self.done.load(Ordering::Relaxed)
    }

    /// What counts for another thread.
    pub(crate) fn silent(&self) -> Steps<'_> {
        Steps { tally: self, progress: None }
    }
}

/// What one thread counts its steps with. A callback stays on the thread that was called: it need not be `Send`.
pub(crate) struct Steps<'a> {
    tally: &'a Tally,
    progress: Option<&'a mut ProgressFn<'a>>,
}

impl<'a> Steps<'a> {
    /// What the threads share.
    pub(crate) fn tally(&self) -> &'a Tally {
        self.tally
    }

    /// There are more steps than was known.
    pub(crate) fn expect(&self, steps: usize) {
        self.tally.total.fetch_add(steps, Ordering::Relaxed);
    }

    /// More steps are done.
    ///
    /// # Errors
    /// When the work is to stop: every thread learns it at its next step.
    pub(crate) fn advance(&mut self, steps: usize) -> Result<(), RetrievalError> {
        let tally = self.tally;
        let done = tally.done.fetch_add(steps, Ordering::Relaxed) + steps;
        let total = tally.total.load(Ordering::Relaxed);
        if let Some(progress) = &mut self.progress
            && progress(Progress { done, total }).is_break()
        {
            tally.stopped.store(true, Ordering::Relaxed);
        }
        if tally.stopped.load(Ordering::Relaxed) {
            return Err(RetrievalError::Cancelled { done, total });
        }
        Ok(())
    }
}

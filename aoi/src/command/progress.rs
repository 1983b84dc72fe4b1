//! Progress on the terminal, and rejects on their way to a file.

use std::ops::ControlFlow;
use std::path::Path;

use aoi_tolerance::Error;
use aoi_tolerance::io::{Progress, ReadObserver, Reject, RejectsFile};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::interrupt;

/// Shows how many of something are done, and stops on Ctrl-C.
pub(crate) struct Counter(ProgressBar);

impl Counter {
    /// A bar on standard error if that is a terminal; `what` is counted.
    pub(crate) fn new(what: &str) -> Self {
        interrupt::watch();
        let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr_with_hz(10));
        let style = format!("{{bar:32}} {{pos}}/{{len}} {what}  {{per_sec}}  {{eta}} left");
        bar.set_style(ProgressStyle::with_template(&style).unwrap_or_else(|_| ProgressStyle::default_bar()));
        Self(bar)
    }

    /// The callback to hand to the library.
    pub(crate) fn on(&self) -> impl FnMut(usize, usize) -> ControlFlow<()> + use<> {
        let bar = self.0.clone();
        move |done, total| {
            bar.set_length(total as u64);
            bar.set_position(done as u64);
            if interrupt::asked() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        }
    }
}

impl Drop for Counter {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// Shows how far the reading is, keeps the rejects, and stops on Ctrl-C.
pub(crate) struct Watcher {
    bar: ProgressBar,
    rejects: Option<RejectsFile>,
}

impl Watcher {
    /// A bar on standard error if that is a terminal, and a rejects file if one is wanted.
    pub(crate) fn new(rejects: Option<&Path>) -> Result<Self, Error> {
        interrupt::watch();
        let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr_with_hz(10));
        let style = "{bar:32} {bytes}/{total_bytes}  {msg} rows  {eta} left";
        bar.set_style(ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar()));
        Ok(Self { bar, rejects: rejects.map(RejectsFile::create).transpose()? })
    }

    /// Takes the bar away and gives the rejects file its name.
    pub(crate) fn finish(self) -> Result<(), Error> {
        self.bar.finish_and_clear();
        self.rejects.map_or(Ok(()), RejectsFile::finish)
    }
}

impl ReadObserver for Watcher {
    fn reject(&mut self, path: &Path, reject: &Reject) -> Result<(), Error> {
        self.rejects.as_mut().map_or(Ok(()), |file| file.add(path, reject))
    }

    fn progress(&mut self, progress: Progress) -> ControlFlow<()> {
        self.bar.set_length(progress.bytes_total.max(progress.bytes));
        self.bar.set_position(progress.bytes);
        self.bar.set_message(progress.rows.to_string());
        if interrupt::asked() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

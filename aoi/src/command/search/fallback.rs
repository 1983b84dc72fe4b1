//! A search on a GPU that goes on with the CPU when the GPU fails.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use aoi_retrieval::ndarray::ArrayView2;
use aoi_retrieval::{
    CpuOptions, CpuSearch, Metric, Neighbours, Progress, ProgressFn, RetrievalError, Search, SearchOptions,
};

/// Whether the GPU is at fault, not the bank or the question.
pub(super) fn is_of_the_device(error: &RetrievalError) -> bool {
    use RetrievalError::{Device, DeviceLimit, DeviceLost, DeviceMemory};
    matches!(error, Device { .. } | DeviceLimit { .. } | DeviceLost { .. } | DeviceMemory { .. })
}

/// Says that the GPU is given up.
pub(super) fn warn(error: &RetrievalError) {
    eprintln!("aoi: {error}; going on with the CPU");
}

/// A search that gives its device up for good at the device's first failure; the answers are the same.
pub(super) struct WithFallback<'a, G> {
    gpu: G,
    bank: ArrayView2<'a, f32>,
    threads: usize,
    /// Made when it is first needed.
    cpu: OnceLock<CpuSearch<'a>>,
    gave_up: Arc<AtomicBool>,
}

impl<'a, G: Search> WithFallback<'a, G> {
    /// `gpu`, made over `bank`; `gave_up` is set when it has failed.
    pub(super) fn new(gpu: G, bank: &ArrayView2<'a, f32>, threads: usize, gave_up: Arc<AtomicBool>) -> Self {
        Self { gpu, bank: *bank, threads, cpu: OnceLock::new(), gave_up }
    }
}

impl<G: Search> Search for WithFallback<'_, G> {
    fn metric(&self) -> Metric {
        self.gpu.metric()
    }

    fn rows(&self) -> usize {
        self.gpu.rows()
    }

    fn width(&self) -> usize {
        self.gpu.width()
    }

    /// What the GPU has done counts, though the CPU begins anew.
    fn search_with_progress(
        &self,
        queries: ArrayView2<'_, f32>,
        options: &SearchOptions,
        progress: &mut ProgressFn<'_>,
    ) -> Result<Neighbours, RetrievalError> {
        let mut in_vain = 0;
        if self.cpu.get().is_none() {
            let mut on_gpu = |p: Progress| {
                in_vain = p.done;
                progress(p)
            };
            match self.gpu.search_with_progress(queries, options, &mut on_gpu) {
                Err(e) if is_of_the_device(&e) => {
                    warn(&e);
                    self.gave_up.store(true, Ordering::Release);
                    let build = CpuOptions { threads: self.threads, ..CpuOptions::default() };
                    // Another thread may have been first; its search is the same.
                    drop(self.cpu.set(CpuSearch::new(self.bank, self.metric(), &build)?));
                }
                answered => return answered,
            }
        }
        self.cpu.get().expect("set above").search_with_progress(queries, options, &mut |p| {
            progress(Progress { done: p.done + in_vain, total: p.total.saturating_add(in_vain) })
        })
    }
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;

    use aoi_retrieval::Reference;
    use aoi_retrieval::ndarray::Array2;

    use super::*;

    /// A device that is lost at its second search.
    struct Failing<'a>(Reference<'a>, AtomicBool);

    impl Search for Failing<'_> {
        fn metric(&self) -> Metric {
            self.0.metric()
        }
        fn rows(&self) -> usize {
            self.0.rows()
        }
        fn width(&self) -> usize {
            self.0.width()
        }
        fn search_with_progress(
            &self,
            q: ArrayView2<'_, f32>,
            o: &SearchOptions,
            progress: &mut ProgressFn<'_>,
        ) -> Result<Neighbours, RetrievalError> {
            let found = self.0.search_with_progress(q, o, progress)?;
            if self.1.swap(true, Ordering::Relaxed) {
                return Err(RetrievalError::DeviceLost {
                    device: "a GPU".into(),
                    reason: "unplugged".into(),
                });
            }
            Ok(found)
        }
    }

    #[test]
    fn a_device_lost_between_searches_is_given_up_and_the_answers_stay() {
        let bank = Array2::from_shape_vec((40, 6), aoi_testing::lattice_f32(240, 1)).unwrap();
        let reference = || Reference::new(bank.view(), Metric::L2).unwrap();
        let gave_up = Arc::new(AtomicBool::new(false));
        let failing = Failing(reference(), AtomicBool::new(false));
        let search = WithFallback::new(failing, &bank.view(), 1, Arc::clone(&gave_up));
        let options = SearchOptions { k: 5, threads: 1 };
        let expected = reference().search(bank.view(), &options).unwrap();
        for lost in [false, true, true] {
            let mut last = Progress { done: 0, total: 0 };
            let mut watch = |p: Progress| {
                assert!(p.done >= last.done && p.total >= last.total, "{p:?} after {last:?}");
                last = p;
                ControlFlow::Continue(())
            };
            let found = search.search_with_progress(bank.view(), &options, &mut watch).unwrap();
            assert!(last.done == last.total && last.total >= 1600, "{last:?}");
            assert_eq!((&found.indices, &found.scores), (&expected.indices, &expected.scores));
            assert_eq!(gave_up.load(Ordering::Acquire), lost);
        }
    }

    #[test]
    fn a_question_that_no_device_answers_is_an_error_and_gives_nothing_up() {
        let bank = Array2::<f32>::ones((4, 3));
        let gave_up = Arc::new(AtomicBool::new(false));
        let failing = Failing(Reference::new(bank.view(), Metric::L2).unwrap(), AtomicBool::new(true));
        let search = WithFallback::new(failing, &bank.view(), 1, Arc::clone(&gave_up));
        let error = search.search(bank.view(), &SearchOptions { k: 0, threads: 1 }).unwrap_err();
        assert!(matches!(error, RetrievalError::BadOption { option: "k", .. }), "{error}");
        assert!(!gave_up.load(Ordering::Acquire));
    }
}

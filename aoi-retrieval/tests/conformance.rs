//! One body of tests that every implementation of `Search` runs: those that need no device.

mod support;

use aoi_retrieval::ndarray::{Array2, ArrayView2};
use aoi_retrieval::{CompactCopy, CpuOptions, CpuSearch};
use aoi_retrieval::{Metric, Neighbours, ProgressFn, Reference, RetrievalError, Search, SearchOptions};
use support::conformance::{self, Build, conformance_tests};

fn implementations() -> Vec<(&'static str, Build)> {
    vec![
        ("reference", |bank, metric| Ok(Box::new(Reference::new(bank, metric)?))),
        ("cpu, f32 scan", |bank, metric| {
            let options = CpuOptions { copy: CompactCopy::Never, ..CpuOptions::default() };
            Ok(Box::new(CpuSearch::new(bank, metric, &options)?))
        }),
        ("cpu, compact copy", |bank, metric| {
            let options = CpuOptions { copy: CompactCopy::Always, ..CpuOptions::default() };
            Ok(Box::new(CpuSearch::new(bank, metric, &options)?))
        }),
        ("cpu, compact copy without axes", |bank, metric| {
            let options = CpuOptions { copy: CompactCopy::Always, axes: 0, threads: 3 };
            Ok(Box::new(CpuSearch::new(bank, metric, &options)?))
        }),
    ]
}

conformance_tests!(implementations, []);

#[test]
#[should_panic(expected = "assertion")]
fn the_body_fails_for_an_implementation_that_breaks_ties_the_other_way() {
    struct Backwards<'a>(Reference<'a>);
    impl Search for Backwards<'_> {
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
            let mut found = self.0.search_with_progress(q, o, progress)?;
            found.indices.swap([0, 0], [0, 1]);
            Ok(found)
        }
    }
    let bank = Array2::ones((5, 3));
    conformance::check(
        |b, m| Ok(Box::new(Backwards(Reference::new(b, m)?))),
        &bank,
        &Array2::ones((1, 3)),
        2,
        true,
    );
}

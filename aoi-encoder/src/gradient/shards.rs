//! Images shared out to threads so that the sum does not depend on how many there are.

use rayon::prelude::*;

use super::Scalar;
use crate::{Error, Result};

/// A thread's own gradient and whatever else it works with.
#[derive(Debug)]
struct Worker<T, S> {
    gradient: Vec<T>,
    state: S,
}

/// Threads with a gradient each.
///
/// A batch is cut into shards of a fixed number of images. As many shards as there are threads run at once, each into a gradient of its own;
/// then these are added to the total in the order of the shards. So the total is the same, bit for bit, for every number of threads, memory
/// depends on the shard and the threads but not on the batch, and a batch may be as large as one likes.
#[derive(Debug)]
pub(crate) struct Shards<T, S> {
    pool: rayon::ThreadPool,
    workers: Vec<Worker<T, S>>,
}

/// Parameters of a total that one thread adds up at a time.
const PIECE: usize = 1 << 16;

impl<T: Scalar, S: Send> Shards<T, S> {
    /// `threads` threads, each with its own `state()`.
    ///
    /// # Errors
    /// [`Error::Config`] when `threads` is zero or above 1024, or they cannot be started.
    pub(crate) fn new(threads: usize, state: impl Fn() -> S) -> Result<Self> {
        if threads == 0 || threads > 1024 {
            return Err(Error::config("threads", "1 to 1024", &threads));
        }
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        let pool = pool.map_err(|e| Error::config("threads", "threads that start", &e))?;
        let worker = |_| Worker { gradient: Vec::new(), state: state() };
        Ok(Self { pool, workers: (0..threads).map(worker).collect() })
    }

    /// Runs `work` for every shard and returns what it returned, in the order of the shards; `total` becomes the sum of the gradients.
    ///
    /// # Errors
    /// The first shard's that failed.
    pub(crate) fn sum<R: Send>(
        &mut self,
        shards: usize,
        total: &mut [T],
        work: impl Fn(usize, &mut S, &mut [T]) -> Result<R> + Sync,
    ) -> Result<Vec<R>> {
        let Self { pool, workers } = self;
        let mut results = Vec::with_capacity(shards);
        pool.install(|| {
            total.par_chunks_mut(PIECE).for_each(|piece| piece.fill(T::default()));
            for first in (0..shards).step_by(workers.len()) {
                let wave = workers.len().min(shards - first);
                let done: Vec<Result<R>> = workers[..wave]
                    .par_iter_mut()
                    .enumerate()
                    .map(|(i, Worker { gradient, state })| {
                        gradient.clear();
                        gradient.resize(total.len(), T::default());
                        work(first + i, state, gradient)
                    })
                    .collect();
                let gradients: Vec<&[T]> = workers[..wave].iter().map(|w| &*w.gradient).collect();
                total.par_chunks_mut(PIECE).enumerate().for_each(|(piece, total)| {
                    for gradient in &gradients {
                        let gradient = &gradient[piece * PIECE..][..total.len()];
                        total.iter_mut().zip(gradient).for_each(|(t, &g)| *t += g);
                    }
                });
                for result in done {
                    results.push(result?);
                }
            }
            Ok(results)
        })
    }

    /// Runs `work` for `count` items, each on one thread with that thread's state, and returns the results in order.
    ///
    /// # Errors
    /// The first item's that failed.
    pub(crate) fn map<R: Send>(
        &mut self,
        count: usize,
        work: impl Fn(usize, &mut S) -> Result<R> + Sync,
    ) -> Result<Vec<R>> {
        self.sum(count, &mut [], |index, state, _| work(index, state))
    }

    /// Runs `work` where parallel iterators use these threads.
    pub(crate) fn install<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        self.pool.install(work)
    }
}

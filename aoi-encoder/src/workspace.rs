//! Buffers and threads of forward passes.

use std::sync::{Arc, Mutex};

use crate::kernel::{Arithmetic, Buffer, stride};
use crate::layers::block::Scratch;
use crate::layers::projected::Projected;
use crate::{Config, Error, PositionTable, Result};

/// Memory and threads for one forward pass at a time; made once and used again.
///
/// Buffers grow to the largest pass seen and stay.
#[derive(Debug)]
pub struct Workspace {
    pub(crate) threads: usize,
    /// Absent with one thread: work then stays on the caller's.
    pub(crate) pool: Option<rayon::ThreadPool>,
    /// Images that do not lie in one piece.
    pub(crate) images: Buffer,
    /// Positions of the last grid, and the encoder they belong to.
    pub(crate) positions: Option<(Arc<Vec<f64>>, PositionTable)>,
    /// Of the images that threads work on together.
    pub(crate) shared: Tokens,
    /// One a thread.
    pub(crate) own: Vec<Mutex<Own>>,
}

/// What a thread has for itself.
#[derive(Debug, Default)]
pub(crate) struct Own {
    /// Of the images that it was dealt.
    pub(crate) tokens: Tokens,
    pub(crate) scratch: Scratch,
}

/// Tokens of some images on their way through the blocks.
#[derive(Debug, Default)]
pub(crate) struct Tokens {
    /// \[n, d\].
    pub(crate) x: Buffer,
    /// Queries, keys and values of the block at work and of the next one, n rows each.
    pub(crate) qkv: [Projected; 2],
}

impl Tokens {
    /// Makes room for n of them.
    pub(crate) fn resize(&mut self, arithmetic: Arithmetic, config: &Config, n: usize) {
        self.x.resize(n * stride(config.width));
        self.qkv.iter_mut().for_each(|qkv| qkv.resize(arithmetic, config, n));
    }
}

impl Workspace {
    /// A workspace of `threads` threads, the caller's included in none of them when there is more than one.
    ///
    /// # Errors
    /// [`Error::Config`] when `threads` is zero or above 1024, or the threads cannot be started.
    pub fn new(threads: usize) -> Result<Self> {
        if threads == 0 || threads > 1024 {
            return Err(Error::config("threads", "1 to 1024", &threads));
        }
        let pool = if threads > 1 {
            let built = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
            Some(built.map_err(|e| Error::config("threads", "threads that start", &e))?)
        } else {
            None
        };
        let own = (0..threads).map(|_| Mutex::default()).collect();
        let (images, positions, shared) = Default::default();
        Ok(Self { threads, pool, images, positions, shared, own })
    }

    /// Number of threads.
    pub fn threads(&self) -> usize {
        self.threads
    }
}

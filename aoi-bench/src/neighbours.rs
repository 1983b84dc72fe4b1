//! Exact search over a bank in memory, one request a line, so that peers can take turns with it without reading the bank again.
//!
//! | request | work that is timed | answer |
//! |---|---|---|
//! | `build` | preparing the bank for searching | `seconds`, `extra_mib`; where the system tells, `held_mib` (resident after it, the bank included) and `peak_mib` (while building) |
//! | `search QUERIES.npy OUT.npy` | finding the neighbours | `seconds`, `routes`, `bins`, `rescored` (means per query), on a GPU also `kernels` (seconds of each), `on_host`, `bytes_back`; indices in OUT |
//! | `coreset COUNT OUT.npy` | choosing rows by greedy k-centre | `seconds`; the rows in OUT |

use std::io::{BufRead, Write};
use std::path::Path;
use std::time::Instant;

#[cfg(feature = "gpu")]
use aoi_retrieval::gpu::{Gpu, GpuOptions, GpuReport, GpuSearch, Scan};
use aoi_retrieval::ndarray::{Array1, Array2};
use aoi_retrieval::{
    Certificate, CompactCopy, CpuOptions, CpuSearch, Metric, Neighbours, RetrievalError, Search,
    SearchOptions, coreset,
};
use ndarray_npy::WriteNpyExt;
use serde_json::{Value, json};

use crate::error::Error;
use crate::{features, resident};

/// A bank and how to search it.
#[derive(Debug)]
pub struct Server {
    /// Rows `[n, d]`.
    pub bank: Array2<f32>,
    /// What "near" means.
    pub metric: Metric,
    /// Neighbours per query.
    pub k: usize,
    /// Threads of every request.
    pub threads: usize,
    /// Where the search runs, and how.
    pub engine: Engine,
}

/// Where a search runs, and what its first scan reads.
#[derive(Debug, Clone)]
pub enum Engine {
    /// The processor.
    Cpu(CompactCopy),
    /// A GPU.
    #[cfg(feature = "gpu")]
    Gpu(Gpu, Scan),
}

/// A prepared search.
#[derive(Debug)]
enum Prepared<'a> {
    Cpu(Box<CpuSearch<'a>>),
    #[cfg(feature = "gpu")]
    Gpu(Box<GpuSearch<'a>>),
}

impl Prepared<'_> {
    /// Bytes that it holds beside the rows in memory.
    fn extra_bytes(&self) -> u64 {
        match self {
            Self::Cpu(search) => search.extra_bytes() as u64,
            #[cfg(feature = "gpu")]
            Self::Gpu(search) => search.device_bytes(),
        }
    }

    /// The neighbours, and what else there is to say.
    fn search(
        &self,
        queries: &Array2<f32>,
        options: &SearchOptions,
    ) -> Result<(Neighbours, Value), RetrievalError> {
        match self {
            Self::Cpu(search) => search.search(queries.view(), options).map(|found| (found, json!({}))),
            #[cfg(feature = "gpu")]
            Self::Gpu(search) => {
                let (found, report) = search.search_with_report(queries.view(), options)?;
                Ok((found, described(&report)))
            }
        }
    }
}

#[cfg(feature = "gpu")]
fn described(report: &GpuReport) -> Value {
    let kernels = report.kernels.map(|t| {
        json!({
            "scan": t.scan.as_secs_f64(),
            "select": t.select.as_secs_f64(),
            "rescore": t.rescore.as_secs_f64(),
            "merge": t.merge.as_secs_f64(),
        })
    });
    json!({"kernels": kernels, "on_host": report.on_host, "bytes_back": report.bytes_back})
}

impl Server {
    /// Answers requests until the input ends.
    ///
    /// # Errors
    /// When a request is not understood, cannot be answered, or a stream fails.
    pub fn serve(&self, requests: impl BufRead, mut answers: impl Write) -> Result<(), Error> {
        let mut search = None;
        for line in requests.lines() {
            let line = line.map_err(Error::file(Path::new("requests")))?;
            let words: Vec<&str> = line.split_whitespace().collect();
            let answer = match words[..] {
                ["build"] => {
                    // The old copy goes first: two would need memory that no user needs.
                    drop(search.take());
                    let peak = resident::Peak::start();
                    let start = Instant::now();
                    let built = self.build()?;
                    let seconds = start.elapsed().as_secs_f64();
                    let answer = json!({
                        "seconds": seconds,
                        "extra_mib": built.extra_bytes() as f64 / 1_048_576.0,
                        "held_mib": resident::mib(),
                        "peak_mib": peak.and_then(|peak| peak.mib()),
                    });
                    search = Some(built);
                    answer
                }
                ["search", queries, out] => {
                    if search.is_none() {
                        search = Some(self.build()?);
                    }
                    let search = search.as_ref().ok_or_else(|| unknown(&line))?;
                    self.search(search, Path::new(queries), Path::new(out))?
                }
                ["coreset", count, out] => self.coreset(count.parse().map_err(|_| unknown(&line))?, out)?,
                _ => return Err(unknown(&line)),
            };
            writeln!(answers, "{answer}").map_err(Error::file(Path::new("answers")))?;
            answers.flush().map_err(Error::file(Path::new("answers")))?;
        }
        Ok(())
    }

    fn build(&self) -> Result<Prepared<'_>, Error> {
        let (bank, threads) = (self.bank.view(), self.threads);
        Ok(match &self.engine {
            Engine::Cpu(copy) => {
                let options = CpuOptions { copy: *copy, threads, ..CpuOptions::default() };
                Prepared::Cpu(Box::new(CpuSearch::new(bank, self.metric, &options)?))
            }
            #[cfg(feature = "gpu")]
            Engine::Gpu(gpu, scan) => {
                let options = GpuOptions { scan: *scan, threads, ..GpuOptions::default() };
                Prepared::Gpu(Box::new(GpuSearch::new(gpu, bank, self.metric, &options)?))
            }
        })
    }

    fn search(&self, search: &Prepared<'_>, queries: &Path, out: &Path) -> Result<Value, Error> {
        let queries = features::read(queries)?;
        let options = SearchOptions { k: self.k, threads: self.threads };
        let start = Instant::now();
        let (found, mut answer) = search.search(&queries, &options)?;
        answer["seconds"] = start.elapsed().as_secs_f64().into();
        write_npy(&found.indices, out)?;
        answer["routes"] = json!(found.route_counts());
        answer["bins"] = mean(&found, |c| c.bins).into();
        answer["rescored"] = mean(&found, |c| c.rescored).into();
        Ok(answer)
    }

    fn coreset(&self, count: usize, out: &str) -> Result<Value, Error> {
        let start = Instant::now();
        let chosen = coreset::k_centre(self.bank.view(), count, 1, self.threads, &mut |_| {
            std::ops::ControlFlow::Continue(())
        })?;
        let seconds = start.elapsed().as_secs_f64();
        write_npy(&Array1::from_iter(chosen.into_iter().map(|row| row as u64)), Path::new(out))?;
        Ok(json!({"seconds": seconds}))
    }
}

fn unknown(line: &str) -> Error {
    let expected = "build, search QUERIES OUT, or coreset COUNT OUT";
    Error::Answer { what: "a request".to_owned(), expected: expected.to_owned(), got: line.to_owned() }
}

fn mean(found: &Neighbours, of: impl Fn(&Certificate) -> u32) -> f64 {
    let sum: f64 = found.certificates.iter().map(|c| f64::from(of(c))).sum();
    sum / found.certificates.len().max(1) as f64
}

fn write_npy(array: &impl WriteNpyExt, path: &Path) -> Result<(), Error> {
    let file = std::fs::File::create(path).map_err(Error::file(path))?;
    array.write_npy(file).map_err(std::io::Error::other).map_err(Error::file(path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::FeaturesOptions;

    #[test]
    fn requests_are_answered_in_order_and_indices_are_the_references() {
        let options = FeaturesOptions { rows: 300, queries: 5, width: 12, seed: 8 };
        let (bank, queries) = features::draw(&options);
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        features::write(&queries, Path::new(&path("q.npy"))).unwrap();
        let expected = aoi_retrieval::Reference::new(bank.view(), Metric::Cosine)
            .unwrap()
            .search(queries.view(), &SearchOptions { k: 4, threads: 1 })
            .unwrap();
        let server = Server {
            bank,
            metric: Metric::Cosine,
            k: 4,
            threads: 1,
            engine: Engine::Cpu(CompactCopy::Always),
        };
        let requests =
            format!("build\nsearch {} {}\ncoreset 7 {}\n", path("q.npy"), path("i.npy"), path("c.npy"));
        let mut answers = Vec::new();
        server.serve(requests.as_bytes(), &mut answers).unwrap();

        let answers: Vec<Value> =
            String::from_utf8(answers).unwrap().lines().map(|l| serde_json::from_str(l).unwrap()).collect();
        assert_eq!(answers.len(), 3);
        assert!(answers.iter().all(|a| a["seconds"].as_f64().unwrap() > 0.0), "{answers:?}");
        if cfg!(target_os = "linux") {
            let [held, peak] = ["held_mib", "peak_mib"].map(|key| answers[0][key].as_f64().unwrap());
            assert!(held > 0.0 && peak >= held, "{held} of {peak}");
        }
        assert_eq!(answers[1]["routes"].as_array().unwrap().iter().filter_map(Value::as_u64).sum::<u64>(), 5);
        let found: Array2<u32> = ndarray_npy::read_npy(path("i.npy")).unwrap();
        assert_eq!(found, expected.indices);
        let chosen: Array1<u64> = ndarray_npy::read_npy(path("c.npy")).unwrap();
        assert_eq!(chosen.iter().collect::<std::collections::BTreeSet<_>>().len(), 7);
    }

    #[test]
    fn an_unknown_request_is_an_error() {
        let (bank, _) = features::draw(&FeaturesOptions { rows: 9, queries: 1, width: 4, seed: 8 });
        let server =
            Server { bank, metric: Metric::L2, k: 1, threads: 1, engine: Engine::Cpu(CompactCopy::Never) };
        assert!(server.serve("find\n".as_bytes(), Vec::new()).unwrap_err().to_string().contains("find"));
    }
}

//! The command line of `aoi-bench`.

use std::path::PathBuf;

#[cfg(feature = "gpu")]
use aoi_bench::device::{DeviceArguments, GpuSearchArguments};
use aoi_bench::features::FeaturesOptions;
use aoi_bench::generate::RecordsOptions;
use aoi_bench::training_steps::Work;
use aoi_encoder::Precision;
use aoi_retrieval::Metric;
use clap::{Parser, Subcommand};

use crate::{compare_adaptation, compare_copies};

#[derive(Parser)]
#[command(about = "Benchmarks of the aoi workspace", version)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Make an input
    #[command(subcommand)]
    Generate(Generate),
    /// Measure what this machine could do at best, and write ceilings.json
    Ceilings {
        /// Folder of results; the file goes to FOLDER/<machine>/<date>
        #[arg(long, value_name = "FOLDER")]
        results: Option<PathBuf>,
    },
    /// Measure what a GPU could do at best; the file as above
    #[cfg(feature = "gpu")]
    GpuCeilings {
        /// Folder of results; the file goes to FOLDER/<GPU>/<date>
        #[arg(long, value_name = "FOLDER")]
        results: Option<PathBuf>,
        #[command(flatten)]
        device: DeviceArguments,
    },
    /// Describe this machine as JSON
    Machine {
        /// With its GPU
        #[cfg(feature = "gpu")]
        #[arg(long)]
        gpu: bool,
        #[cfg(feature = "gpu")]
        #[command(flatten)]
        device: DeviceArguments,
    },
    /// Time limits from flagged values in memory; prints seconds as JSON
    InMemory {
        /// Folder made by `generate flagged`
        folder: PathBuf,
        /// Threads
        #[arg(long, default_value_t = 2)]
        threads: usize,
        /// Rounds
        #[arg(long, default_value_t = 1)]
        rounds: usize,
        /// Where the new limits go, one per line
        #[arg(long, value_name = "FILE")]
        limits: Option<PathBuf>,
    },
    /// Time forward passes on request, one `SETTING MODEL BATCH RUNS OUT` a line
    Forward {
        /// Folder made by `tools/peers/encoder_peers.py prepare`
        folder: PathBuf,
        /// Threads
        #[arg(long, default_value_t = 2)]
        threads: usize,
    },
    /// Time a stream into memory, onto the disk and back after a restart; prints a comparison as JSON
    Live {
        /// Records
        #[arg(long, default_value_t = 10_000_000)]
        records: usize,
        /// Limits that they are spread over
        #[arg(long, default_value_t = 1_000)]
        limits: usize,
        /// Share of values that the limits flag
        #[arg(long, default_value_t = 0.015)]
        flagged: f64,
        /// Rounds
        #[arg(long, default_value_t = 1)]
        rounds: usize,
        /// Folder in which stores are made and removed
        #[arg(long, default_value = ".")]
        folder: PathBuf,
    },
    /// Search a bank in memory: one request a line, one JSON answer a line
    Neighbours {
        /// Bank: f32 [n, d]
        bank: PathBuf,
        /// Neighbours per query
        #[arg(long, default_value_t = 30)]
        k: usize,
        /// cosine, inner-product or l2
        #[arg(long, default_value_t = Metric::InnerProduct)]
        metric: Metric,
        /// Threads
        #[arg(long, default_value_t = 2)]
        threads: usize,
        /// Scan the f32 rows only
        #[arg(long)]
        no_copy: bool,
        #[cfg(feature = "gpu")]
        #[command(flatten)]
        gpu: GpuSearchArguments,
    },
    /// Take steps of masked-autoencoder pre-training, one a line on standard input; answers with seconds and loss as JSON
    MaeSteps {
        /// Weights, images and visible patches as `tools/peers/mae_steps.py` writes them
        inputs: PathBuf,
        /// Architecture by name
        #[arg(long)]
        preset: String,
        /// Width, depth and heads of the decoder
        #[arg(long, value_delimiter = ',', num_args = 3)]
        decoder: Vec<usize>,
        #[command(flatten)]
        work: WorkArguments,
    },
    /// The same for fine-tuning with a linear head
    FinetuneSteps {
        /// Weights, images and truth as `tools/peers/finetune_steps.py` writes them
        inputs: PathBuf,
        /// Architecture by name
        #[arg(long)]
        preset: String,
        #[command(flatten)]
        work: WorkArguments,
    },
    /// Make masks of a drawn picture from a bank of drawn patches: `mask OUT`, one a line, one JSON answer a line
    Pipeline {
        /// Encoder weights
        weights: PathBuf,
        /// Architecture by name
        #[arg(long, default_value = "paper")]
        preset: String,
        /// Multiply bf16 numbers
        #[arg(long)]
        bf16: bool,
        /// Patches of the bank, at least
        #[arg(long, default_value_t = 100_000)]
        rows: usize,
        /// Pixels along the picture
        #[arg(long, default_value_t = 512)]
        side: usize,
        /// Threads
        #[arg(long, default_value_t = 2)]
        threads: usize,
        /// Folder for the bank, its labels and the picture, as peers read them
        #[arg(long)]
        out: PathBuf,
    },
    /// Compare fine-tuning with retrieval, pre-trained or not: accuracies, costs, and which claims hold
    CompareAdaptation(Box<compare_adaptation::Arguments>),
    /// Compare compact copies of banks: error bounds, rows that they leave, and the time of those that the search has
    CompareCopies(compare_copies::Arguments),
    /// Keep what criterion found: one criterion.json with every benchmark's median and its interval
    Estimates {
        /// Criterion's folder
        #[arg(default_value = "target/criterion")]
        criterion: PathBuf,
        /// Folder of results; the file goes to FOLDER/<machine>/<date>
        #[arg(long, value_name = "FOLDER")]
        results: Option<PathBuf>,
        /// The command that they came from
        #[arg(long, value_name = "COMMAND", default_value = "cargo bench -p aoi-bench")]
        by: String,
    },
    /// Turn results into Markdown and plots
    Report {
        /// Folder of results
        results: PathBuf,
        /// Where report.md and the plots go [default: the folder of results]
        #[arg(long)]
        out: Option<PathBuf>,
        /// Write nothing; fail if what is there is not what the results say
        #[arg(long)]
        check: bool,
    },
    /// Check that the numbers a text quotes are those of the results
    Quoted {
        /// Folder of results
        results: PathBuf,
        /// Texts to check
        #[arg(required = true)]
        texts: Vec<PathBuf>,
    },
}

/// How training steps are worked on.
#[derive(clap::Args)]
pub(crate) struct WorkArguments {
    /// Threads
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// Images that a thread works on at once
    #[arg(long, default_value_t = 8)]
    at_once: usize,
    /// Round the factors of products to bf16
    #[arg(long)]
    bf16: bool,
}

impl WorkArguments {
    pub(crate) fn work(&self) -> Work {
        Work { threads: self.threads, at_once: self.at_once, precision: precision(self.bf16) }
    }
}

/// What products are made of.
pub(crate) fn precision(bf16: bool) -> Precision {
    if bf16 { Precision::Bf16 } else { Precision::F32 }
}

#[derive(Subcommand)]
pub(crate) enum Generate {
    /// A records CSV
    Records {
        /// Data rows
        #[arg(long, default_value_t = 1_000_000)]
        rows: u64,
        /// Part numbers
        #[arg(long, default_value_t = 1_000)]
        parts: usize,
        /// Decides everything else
        #[arg(long, default_value_t = RecordsOptions::default().seed)]
        seed: u64,
        /// The file
        #[arg(long)]
        out: PathBuf,
    },
    /// Features around centres, as bank.npy and queries.npy
    Features {
        /// Rows of the bank
        #[arg(long, default_value_t = FeaturesOptions::default().rows)]
        rows: usize,
        /// Queries
        #[arg(long, default_value_t = FeaturesOptions::default().queries)]
        queries: usize,
        /// Numbers per row
        #[arg(long, default_value_t = FeaturesOptions::default().width)]
        width: usize,
        /// Decides everything else
        #[arg(long, default_value_t = FeaturesOptions::default().seed)]
        seed: u64,
        /// The folder
        #[arg(long)]
        out: PathBuf,
    },
    /// Pictures of good wire bonds of three devices, to pre-train the encoder of `aoi demo` on; masks beside them are not for that
    Bonds {
        /// Pictures of each device
        #[arg(long, default_value_t = 100)]
        of_each: usize,
        /// Decides everything else; `aoi demo` draws with the one it is given, 7 without
        #[arg(long, default_value_t = 1000)]
        seed: u64,
        /// The folder
        #[arg(long)]
        out: PathBuf,
    },
    /// Flagged values as flat columns
    Flagged {
        /// Values
        #[arg(long, default_value_t = 10_000_000)]
        values: usize,
        /// Limits
        #[arg(long, default_value_t = 10_000)]
        limits: u32,
        /// Decides everything else
        #[arg(long, default_value_t = RecordsOptions::default().seed)]
        seed: u64,
        /// The folder
        #[arg(long)]
        out: PathBuf,
    },
}

//! `aoi-bench`: inputs, ceilings, in-memory rounds, the comparison of adaptations and the report of results.

mod compare_adaptation;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use aoi_bench::Error;
use aoi_bench::ceilings::{Ceiling, Ceilings, Effort, measure};
#[cfg(feature = "gpu")]
use aoi_bench::device::{DeviceArguments, GpuSearchArguments};
use aoi_bench::features::{self, FeaturesOptions};
use aoi_bench::flagged::{Flagged, FlaggedOptions};
use aoi_bench::generate::{RecordsOptions, write_records};
use aoi_bench::in_memory;
use aoi_bench::live::StreamOptions;
use aoi_bench::live_store;
use aoi_bench::machine::Machine;
use aoi_bench::mae_steps;
use aoi_bench::neighbours::{Engine, Server};
use aoi_bench::{forward, pipeline, quoted, report};
use aoi_encoder::Precision;
use aoi_encoder::mae::Decoder;
use aoi_retrieval::{CompactCopy, Metric};
use aoi_tolerance::options::Options;
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(about = "Benchmarks of the aoi workspace", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
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
        /// Threads
        #[arg(long, default_value_t = 2)]
        threads: usize,
        /// Images that a thread works on at once
        #[arg(long, default_value_t = 8)]
        at_once: usize,
        /// Round the factors of products to bf16
        #[arg(long)]
        bf16: bool,
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

#[derive(Subcommand)]
enum Generate {
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

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<ExitCode, Error> {
    match command {
        Command::Generate(Generate::Records { rows, parts, seed, out }) => {
            let fail = |source| Error::File { path: out.clone(), source };
            let mut file = File::create(&out).map_err(fail)?;
            let written = write_records(&mut file, &RecordsOptions { rows, parts, seed }).map_err(fail)?;
            eprintln!("{} rows, {} flagged, {} defects", written.rows, written.flagged, written.defects);
        }
        Command::Generate(Generate::Flagged { values, limits, seed, out }) => {
            Flagged::draw(&FlaggedOptions { values, limits, seed }).write(&out)?;
        }
        Command::Generate(Generate::Features { rows, queries, width, seed, out }) => {
            std::fs::create_dir_all(&out).map_err(|source| Error::File { path: out.clone(), source })?;
            let (bank, asked) = features::draw(&FeaturesOptions { rows, queries, width, seed });
            features::write(&bank, &out.join("bank.npy"))?;
            features::write(&asked, &out.join("queries.npy"))?;
        }
        Command::Neighbours {
            bank,
            k,
            metric,
            threads,
            no_copy,
            #[cfg(feature = "gpu")]
            gpu,
        } => {
            let copy = if no_copy { CompactCopy::Never } else { CompactCopy::Auto };
            let engine = Engine::Cpu(copy);
            #[cfg(feature = "gpu")]
            let engine = gpu.engine()?.unwrap_or(engine);
            let server = Server { bank: features::read(&bank)?, metric, k, threads, engine };
            server.serve(std::io::stdin().lock(), std::io::stdout().lock())?;
        }
        Command::MaeSteps { inputs, preset, decoder, threads, at_once, bf16 } => {
            let decoder = Decoder { width: decoder[0], depth: decoder[1], heads: decoder[2] };
            let precision = if bf16 { Precision::Bf16 } else { Precision::F32 };
            let options = (threads, at_once, precision);
            let mut server = mae_steps::Server::read(&inputs, &preset, decoder, options)?;
            server.serve(std::io::stdin().lock(), std::io::stdout().lock())?;
        }
        Command::Pipeline { weights, preset, bf16, rows, side, threads, out } => {
            let precision = if bf16 { Precision::Bf16 } else { Precision::F32 };
            let inputs = pipeline::Inputs::draw(&weights, (&preset, precision), (rows, side), threads)?;
            inputs.write(&out)?;
            inputs.serve(std::io::stdin().lock(), std::io::stdout().lock())?;
        }
        Command::Ceilings { results } => {
            write_ceilings(results.as_deref(), Machine::describe(), "ceilings", measure(Effort::FULL)?)?;
        }
        #[cfg(feature = "gpu")]
        Command::GpuCeilings { results, device } => {
            let gpu = device.open()?;
            let found = aoi_bench::ceilings::gpu::measure(&gpu, Effort::FULL)?;
            write_ceilings(results.as_deref(), with_gpu(&gpu), "gpu-ceilings", found)?;
        }
        #[cfg(not(feature = "gpu"))]
        Command::Machine {} => print_json(&described(&Machine::describe())),
        #[cfg(feature = "gpu")]
        Command::Machine { gpu: false, .. } => print_json(&described(&Machine::describe())),
        #[cfg(feature = "gpu")]
        Command::Machine { gpu: true, device } => print_json(&described(&with_gpu(&device.open()?))),
        Command::InMemory { folder, threads, rounds, limits } => {
            let columns = Flagged::read(&folder)?;
            let options = Options { threads, ..Options::default() };
            for _ in 0..rounds {
                let round = in_memory::round(&columns, &options)?;
                if let Some(path) = &limits {
                    let lines = round.proposals.iter().map(|p| format!("{:?}\n", p.new_limit));
                    write(path, &lines.collect::<String>())?;
                }
                println!("{}", serde_json::to_string(&round.seconds).unwrap_or_default());
            }
        }
        Command::Forward { folder, threads } => {
            forward::serve(&folder, threads, &mut std::io::stdin().lock(), &mut std::io::stdout().lock())?;
        }
        Command::Live { records, limits, flagged, rounds, folder } => {
            for round in 0..rounds {
                let options = StreamOptions { records, limits, flagged, ..StreamOptions::default() };
                let store = folder.join(format!("live-store-{}-{round}", std::process::id()));
                let seconds = live_store::round(&options, &store);
                std::fs::remove_dir_all(&store).map_err(|source| Error::File { path: store, source })?;
                println!("{}", serde_json::to_string(&seconds?).unwrap_or_default());
            }
        }
        Command::CompareAdaptation(arguments) => arguments.run()?,
        Command::Report { results, out, check: false } => {
            report::write(&results, out.as_deref().unwrap_or(&results))?;
        }
        Command::Report { results, out, check: true } => {
            return check_report(&results, out.as_deref().unwrap_or(&results));
        }
        Command::Quoted { results, texts } => return check_quotes(&results, &texts),
    }
    Ok(ExitCode::SUCCESS)
}

/// A machine with the name of its results folder.
fn described(machine: &Machine) -> serde_json::Value {
    serde_json::json!({ "folder": machine.folder(), "machine": machine })
}

/// This machine, when its GPU is measured.
#[cfg(feature = "gpu")]
fn with_gpu(gpu: &aoi_retrieval::gpu::Gpu) -> Machine {
    Machine::describe().with_gpu(&gpu.info().name, &gpu.info().driver)
}

fn write_ceilings(
    results: Option<&Path>,
    machine: Machine,
    command: &str,
    ceilings: Vec<Ceiling>,
) -> Result<(), Error> {
    let now = jiff::Timestamp::now();
    let folder = results.map(|r| r.join(machine.folder()).join(now.strftime("%Y-%m-%d").to_string()));
    let ceilings = Ceilings {
        date: now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        machine,
        command: format!("aoi-bench {command}"),
        ceilings,
    };
    for c in &ceilings.ceilings {
        let (name, path) = (&c.name, &c.path);
        println!(
            "{name:12} {path:10} {} threads {:8.1} {} (median {:.1})",
            c.threads, c.best, c.unit, c.median
        );
    }
    let Some(folder) = folder else { return Ok(()) };
    std::fs::create_dir_all(&folder).map_err(|source| Error::File { path: folder.clone(), source })?;
    write(&folder.join("ceilings.json"), &pretty(&ceilings))
}

fn check_quotes(results: &Path, texts: &[PathBuf]) -> Result<ExitCode, Error> {
    let mut wrong = 0;
    for path in texts {
        let text =
            std::fs::read_to_string(path).map_err(|source| Error::File { path: path.clone(), source })?;
        let checked = quoted::check(&text, results)?;
        for fault in &checked.faults {
            eprintln!("{}:{fault}", path.display());
        }
        wrong += checked.faults.len();
        println!("{}: {} numbers quoted, {} wrong", path.display(), checked.quotes, checked.faults.len());
    }
    Ok(if wrong == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn check_report(results: &Path, out: &Path) -> Result<ExitCode, Error> {
    let outdated = report::outdated(results, out)?;
    for file in &outdated {
        eprintln!(
            "{}: not what the results say; run `aoi-bench report {}`",
            file.display(),
            results.display()
        );
    }
    Ok(if outdated.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn pretty(value: &impl serde::Serialize) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default() + "\n"
}

fn print_json(value: &impl serde::Serialize) {
    print!("{}", pretty(value));
}

fn write(path: &Path, text: &str) -> Result<(), Error> {
    std::fs::write(path, text).map_err(|source| Error::File { path: path.to_owned(), source })
}

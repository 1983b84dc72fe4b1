//! `aoi-bench compare-adaptation`: what it is told.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Instant;

use aoi::LoadArguments;
use aoi::masks::{MaskFolder, MaskValues};
use aoi::measure::Parts;
use aoi_bench::adaptation::{Given, Measured, Rates};
use aoi_bench::{Error, adaptation};

#[derive(clap::Args)]
#[command(
    after_help = "Without --images, wire bonds are generated. Writes adaptation.md, adaptation.json and plots, from the second draw on after every draw; what was trained stays in OUT/runs.\n\n\
    Examples:\n  aoi-bench compare-adaptation --out adaptation\n  \
    aoi-bench compare-adaptation --out resistors --images image --masks GT --classes resistor --mask-values dark:128 --labelled 5 --tested 60"
)]
pub(crate) struct Arguments {
    /// Folder of the results
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// A size that takes seconds and shows only that everything works
    #[arg(long)]
    quick: bool,
    /// Folder of labelled images
    #[arg(long, value_name = "DIR", requires = "masks", requires = "classes")]
    images: Option<PathBuf>,
    /// Folder of their masks
    #[arg(long, value_name = "DIR", requires = "images")]
    masks: Option<PathBuf>,
    /// Classes, in the order of the label maps
    #[arg(long, value_name = "A,B", value_delimiter = ',', requires = "images")]
    classes: Vec<String>,
    /// What mask files hold: index, dark:LEVEL or bright:LEVEL
    #[arg(long, value_name = "VALUES", default_value = "index")]
    mask_values: MaskValues,
    /// Table `image,part`: which device an image shows [default: all the same]
    #[arg(long, value_name = "CSV", requires = "images")]
    parts: Option<PathBuf>,
    /// Another encoder to compare
    #[arg(long, value_name = "W")]
    weights: Option<PathBuf>,
    #[command(flatten)]
    load: LoadArguments,
    /// Draws
    #[arg(long, value_name = "N")]
    seeds: Option<u64>,
    /// The first of them, to add draws to those of an earlier comparison
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    first_seed: u64,
    /// Labelled images of every device
    #[arg(long, value_name = "N")]
    labelled: Option<usize>,
    /// Tested images of every device
    #[arg(long, value_name = "N")]
    tested: Option<usize>,
    /// Generated images of every device without masks
    #[arg(long, value_name = "N", conflicts_with = "images")]
    unlabelled: Option<usize>,
    /// Epochs of pre-training
    #[arg(long, value_name = "N")]
    pretrain_epochs: Option<u64>,
    /// Highest learning rate of pre-training
    #[arg(long, value_name = "RATE")]
    pretrain_rate: Option<f64>,
    /// Pictures a step of pre-training
    #[arg(long, value_name = "N")]
    pretrain_batch: Option<usize>,
    /// Crops of one fine-tuning
    #[arg(long, value_name = "N")]
    finetune_crops: Option<usize>,
    /// Side of a patch of the encoder
    #[arg(long, value_name = "PIXELS")]
    patch: Option<usize>,
    /// Side of its crops
    #[arg(long, value_name = "PIXELS")]
    crop: Option<usize>,
    /// Width, depth and heads of the decoder in pre-training
    #[arg(long, value_name = "W,D,H", value_parser = numbers::<usize, 3>)]
    decoder: Option<[usize; 3]>,
    /// Share of the patches hidden in pre-training
    #[arg(long, value_name = "SHARE")]
    mask_ratio: Option<f64>,
    /// Predict pixels as they are, not relative to their patch
    #[arg(long)]
    plain_targets: bool,
    /// Rate of the head in fine-tuning a trained encoder, and the factor from a block to the one before it
    #[arg(long, value_name = "RATE,FACTOR", value_parser = rates)]
    trained_rates: Option<Rates>,
    /// The same for an encoder drawn at random
    #[arg(long, value_name = "RATE,FACTOR", value_parser = rates)]
    scratch_rates: Option<Rates>,
    /// Leave the other half out
    #[arg(long, value_name = "HALF")]
    only: Option<Measured>,
    /// Leave encoders drawn at random out: for trying settings of pre-training, which do not concern them
    #[arg(long)]
    no_scratch: bool,
    /// Threads
    #[arg(long, default_value_t = 2)]
    threads: usize,
}

/// So many numbers with commas between them.
fn numbers<T: FromStr + Copy, const N: usize>(text: &str) -> Result<[T; N], String> {
    let found: Option<Vec<T>> = text.split(',').map(|n| n.trim().parse().ok()).collect();
    let found = found.and_then(|found| <[T; N]>::try_from(found).ok());
    found
        .ok_or_else(|| format!("expected {N} numbers with commas between them, as in {}", ["1"; N].join(",")))
}

/// Rate and factor.
fn rates(text: &str) -> Result<Rates, String> {
    numbers(text).map(|[head, layer_decay]| Rates { head, layer_decay })
}

impl Arguments {
    /// What is asked for; weights are read here, before anything takes long.
    fn options(&self) -> Result<adaptation::Options, Error> {
        let load = self.load.options();
        if self.weights.is_none() && self.load.is_any() {
            return Err(Error::Option {
                what: "how weights are understood".into(),
                expected: "--weights beside it".into(),
                got: "none".into(),
            });
        }
        let weights = self.weights.as_ref().map(|path| Given::open(path, &load)).transpose()?;
        let from = if self.quick {
            adaptation::Options::quick(self.threads)
        } else {
            adaptation::Options::full(self.threads)
        };
        Ok(adaptation::Options {
            seeds: self.seeds.unwrap_or(from.seeds),
            first_seed: self.first_seed,
            labelled: self.labelled.unwrap_or(from.labelled),
            tested: self.tested.unwrap_or(from.tested),
            unlabelled: self.unlabelled.unwrap_or(from.unlabelled),
            pretrain_epochs: self.pretrain_epochs.unwrap_or(from.pretrain_epochs),
            pretrain_rate: self.pretrain_rate.unwrap_or(from.pretrain_rate),
            pretrain_batch: self.pretrain_batch.unwrap_or(from.pretrain_batch),
            finetune_crops: self.finetune_crops.unwrap_or(from.finetune_crops),
            patch: self.patch.unwrap_or(from.patch),
            crop: self.crop.unwrap_or(from.crop),
            decoder: self.decoder.unwrap_or(from.decoder),
            trained_rates: self.trained_rates.unwrap_or(from.trained_rates),
            scratch_rates: self.scratch_rates.unwrap_or(from.scratch_rates),
            measured: self.only.unwrap_or(from.measured),
            scratch: !self.no_scratch,
            mask_ratio: self.mask_ratio.unwrap_or(from.mask_ratio),
            normalised_targets: !self.plain_targets,
            weights,
            ..from
        })
    }

    /// Runs the command.
    pub(crate) fn run(&self) -> Result<(), Error> {
        let options = self.options()?;
        for note in options.weights.iter().flat_map(Given::notes) {
            eprintln!("note: {note}");
        }
        let pool = if let (Some(images), Some(masks)) = (&self.images, &self.masks) {
            let parts = match &self.parts {
                Some(path) => Parts::read(path)?,
                None => Parts::One("all".to_owned()),
            };
            let masks = MaskFolder::new(masks, self.classes.clone())?.with_values(self.mask_values);
            adaptation::Pool::read(images, masks, &parts, images.display().to_string())?
        } else {
            let of_each = options.labelled + options.tested + options.unlabelled;
            adaptation::Pool::generate(&self.out.join("bonds"), of_each, 7)?
        };
        let start = Instant::now();
        let mut say = |what: &str| eprintln!("{:7.1} s  {what}", start.elapsed().as_secs_f64());
        let comparison = adaptation::compare(&pool, &options, &self.out, &mut say)?;
        for judged in adaptation::claims::judge(&comparison) {
            println!("{}", judged.sentence());
        }
        println!("written: {}", self.out.join("adaptation.md").display());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use aoi_encoder::weights::save;
    use aoi_encoder::{Config, Params, Table};
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        arguments: Arguments,
    }

    fn parsed(words: &str) -> Result<adaptation::Options, String> {
        let words = ["compare", "--out", "x"].into_iter().chain(words.split_whitespace());
        Command::try_parse_from(words)
            .map_err(|e| e.to_string())
            .and_then(|c| c.arguments.options().map_err(|e| e.to_string()))
    }

    #[test]
    fn weights_are_read_before_anything_else_as_the_options_say() {
        let folder = tempfile::tempdir().unwrap();
        let [torn, missing] =
            ["torn.safetensors", "missing.safetensors"].map(|name| folder.path().join(name));
        std::fs::write(&torn, b"no weights").unwrap();
        for (words, expected) in [
            (format!("--weights {}", missing.display()), "missing.safetensors"),
            (format!("--weights {} --channels 2", torn.display()), "torn.safetensors"),
            ("--heads 3".to_owned(), "--weights beside it"),
        ] {
            let error = parsed(&words).unwrap_err();
            assert!(error.contains(expected), "{words}: {error}");
        }
        let plain = Config { channels: 3, width: 24, heads: 2, hidden: 8, depth: 1, ..Config::paper() };
        let (own, params) = (folder.path().join("own.safetensors"), Table::new(&plain).unwrap());
        save(&own, &plain, &Params::zeros(params.into())).unwrap();
        let given =
            |more: &str| parsed(&format!("--weights {}{more}", own.display())).unwrap().weights.unwrap();
        assert_eq!(given("").notes(), [""; 0]);
        let notes = given(" --channels 2 --heads 3").notes().join("; ");
        assert!(notes.contains("from 3 to 2 channels"), "{notes}");
        assert_ne!(given(" --heads 3"), given(""));
    }

    #[test]
    fn sizes_and_rates_are_numbers_with_commas() {
        let options = parsed("--decoder 96,2,3 --trained-rates 1e-2,0.5 --first-seed 3").unwrap();
        assert_eq!(options.first_seed, 3);
        assert_eq!(options.decoder, [96, 2, 3]);
        assert_eq!(options.trained_rates, Rates { head: 1e-2, layer_decay: 0.5 });
        assert_eq!(options.scratch_rates, adaptation::Options::full(2).scratch_rates);
        for wrong in ["--decoder 96", "--decoder 96,2", "--decoder 96,2,3,4", "--scratch-rates 1,x"] {
            let Err(error) = parsed(wrong) else { panic!("{wrong} was taken") };
            assert!(error.contains("numbers with commas between them"), "{error}");
        }
    }
}

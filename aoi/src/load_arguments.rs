//! What a weights file does not say, as arguments of every program of the workspace that loads one.

use aoi_encoder::weights::{ChannelRule, LoadOptions};
use aoi_encoder::{Config, Resampling, preset_names};
use clap::{Args, ValueEnum};

/// How weights are understood; to be flattened into a command's arguments.
///
/// # Examples
/// ```
/// use aoi::LoadArguments;
/// use clap::Parser;
///
/// #[derive(Parser)]
/// struct Command {
///     #[command(flatten)]
///     load: LoadArguments,
/// }
///
/// let command = Command::parse_from(["command", "--heads", "3", "--channels", "2", "--prefix", "teacher."]);
/// let options = command.load.options();
/// assert_eq!((options.heads, options.prefix.as_deref()), (Some(3), Some("teacher.")));
/// ```
#[derive(Debug, Args)]
pub struct LoadArguments {
    /// Attention heads, where neither file nor config.json says them
    #[arg(long, value_name = "N")]
    heads: Option<usize>,
    /// Architecture by name; a wrong name lists them
    #[arg(long, value_name = "NAME", value_parser = preset)]
    preset: Option<Config>,
    /// Adapt the patch projection to this many channels
    #[arg(long, value_name = "N")]
    channels: Option<usize>,
    /// How it is adapted
    #[arg(long, value_enum, default_value = "average", requires = "channels")]
    channel_rule: ChannelRuleName,
    /// How learned positions are fitted to other image sizes [default: as the family of the weights does it]
    #[arg(long, value_enum)]
    resampling: Option<ResamplingName>,
    /// Which network of a file that holds several: what the names of its tensors start with, such as `teacher.`
    #[arg(long, value_name = "PREFIX")]
    prefix: Option<String>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum ResamplingName {
    /// Antialiased bicubic (timm)
    Antialiased,
    /// Plain bicubic (Hugging Face, MAE)
    Plain,
    /// Plain bicubic with the offset of the DINO and `DINOv2` code
    Offset,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum ChannelRuleName {
    /// Every new channel gets the mean of the old ones
    Average,
    /// Old channels are repeated
    Repeat,
}

fn preset(name: &str) -> Result<Config, String> {
    Config::preset(name).map_err(|_| format!("known are {}", preset_names().join(", ")))
}

impl LoadArguments {
    /// Whether anything was given that the file does not say.
    pub fn is_any(&self) -> bool {
        let Self { heads, preset, channels, resampling, prefix, .. } = self;
        heads.is_some() || preset.is_some() || channels.is_some() || resampling.is_some() || prefix.is_some()
    }

    /// The library's options.
    pub fn options(&self) -> LoadOptions {
        let rule = match self.channel_rule {
            ChannelRuleName::Average => ChannelRule::Average,
            ChannelRuleName::Repeat => ChannelRule::Repeat,
        };
        LoadOptions {
            heads: self.heads,
            channels: self.channels.map(|n| (n, rule)),
            config: self.preset.clone(),
            prefix: self.prefix.clone(),
            resampling: self.resampling.map(|name| match name {
                ResamplingName::Antialiased => Resampling::Antialiased,
                ResamplingName::Plain => Resampling::Plain,
                ResamplingName::Offset => Resampling::Offset,
            }),
        }
    }
}

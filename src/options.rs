//! What was typed → what is meant. Options that only make sense together are checked together.

use std::path::PathBuf;

use clap::{CommandFactory, Parser, ValueEnum, error::ErrorKind};

/// A desktop companion that talks English and Japanese, and remembers.
///
/// Without an option it is the mascot on the desktop; where no display can be opened, the companion in this terminal.
#[derive(Debug, Parser)]
#[command(name = "companion", version)]
pub struct RawOptions {
    /// Talk in this terminal.
    #[arg(long, group = "mode")]
    chat: bool,
    /// Say one line, print the reply, save, end.
    #[arg(long, value_name = "TEXT", group = "mode")]
    say: Option<String>,
    /// Train a brain from text.
    #[arg(long, group = "mode")]
    train: bool,
    /// Measure a brain: bits per byte, recall, replies to fixed lines.
    #[arg(long, group = "mode")]
    eval: bool,
    /// Measure the speed of this machine.
    #[arg(long, group = "mode")]
    bench: bool,

    /// With --chat: one JSON object a line in and out.
    #[arg(long)]
    jsonl: bool,
    /// With --eval or --bench: print JSON.
    #[arg(long)]
    json: bool,

    /// Folder of the saves.
    #[arg(long, value_name = "DIR")]
    saves: Option<PathBuf>,
    /// Persona slot; made when missing.
    #[arg(long, value_name = "NAME")]
    persona: Option<String>,
    /// Model folder.
    #[arg(long, value_name = "DIR")]
    model: Option<PathBuf>,
    /// Start of the random numbers. Default: 0 for --train and --eval, else the clock.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// How freely words are chosen: 0 (always the likeliest) to 2. Default 0.7.
    #[arg(long, value_name = "X")]
    temperature: Option<f32>,
    /// Compute threads. Default: processor cores less one, at least one; all of them with --train.
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Where the model runs.
    #[arg(long, value_enum, default_value = "auto")]
    device: DeviceOption,

    /// With --train: nano, small, base or large.
    #[arg(long, value_name = "P", value_parser = ["nano", "small", "base", "large"])]
    preset: Option<String>,
    /// With --train or --eval: a folder of text (.jsonl, .jsonl.zst, .txt); may be given several times.
    #[arg(long, value_name = "DIR")]
    data: Vec<PathBuf>,
    /// With --eval: score only what training keeps out of --data, and compare with n-grams counted on the rest.
    #[arg(long)]
    held_out: bool,
    /// With --eval: tokens of talk between telling and asking. Default 1000.
    #[arg(long, value_name = "N")]
    distance: Option<usize>,
    /// With --train: folder of the run.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// With --train: steps of the whole run.
    #[arg(long, value_name = "N", conflicts_with = "hours")]
    steps: Option<u64>,
    /// With --train: hours of the whole run. Default 1, if --steps is not given.
    #[arg(long, value_name = "H")]
    hours: Option<f64>,
    /// With --train: go on from the checkpoint in --out.
    #[arg(long)]
    resume: bool,
    /// With --train: start with the weights of this checkpoint file or model folder.
    #[arg(long, value_name = "PATH", conflicts_with = "resume")]
    init: Option<PathBuf>,
    /// With --train: rows of a batch. Default 8.
    #[arg(long, value_name = "N")]
    batch: Option<usize>,
    /// With --train: share of the run for short, dense lives, 0 to 1. Default 0.25; 0 goes on with a brain that remembers.
    #[arg(long, value_name = "P")]
    dense_share: Option<f64>,
}

/// Where the model runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DeviceOption {
    /// The fastest there is.
    Auto,
    /// The processor.
    Cpu,
    /// An NVIDIA GPU.
    Cuda,
}

/// What the program is asked to be.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "the options say it")]
pub enum Mode {
    Window,
    Chat,
    Jsonl,
    Say(String),
    Train(TrainMode),
    Eval(EvalMode),
    Bench { json: bool },
}

/// Options of `--eval`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "the options say it")]
pub struct EvalMode {
    pub data: Vec<PathBuf>,
    pub held_out: bool,
    pub distance: usize,
    pub json: bool,
}

/// Options of `--train`.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "the options say it")]
pub struct TrainMode {
    pub preset: String,
    pub data: Vec<PathBuf>,
    pub out: PathBuf,
    pub steps: Option<u64>,
    pub hours: Option<f64>,
    pub resume: bool,
    pub init: Option<PathBuf>,
    pub batch: usize,
    pub dense_share: Option<f64>,
    pub threads: Option<usize>,
}

/// Checked options.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "the options say it")]
pub struct Options {
    pub mode: Mode,
    pub saves: Option<PathBuf>,
    pub persona: Option<String>,
    pub model: Option<PathBuf>,
    pub seed: Option<u64>,
    pub temperature: f32,
    pub threads: usize,
    pub device: DeviceOption,
}

impl Options {
    /// Reads the command line; ends the program with code 2 and a sentence when it cannot be followed.
    pub fn from_command_line() -> Self {
        match Self::check(RawOptions::parse()) {
            Ok(options) => options,
            Err(text) => RawOptions::command().error(ErrorKind::ArgumentConflict, text).exit(),
        }
    }

    /// Checks what belongs together.
    ///
    /// # Errors
    /// A sentence for the person.
    pub fn check(raw: RawOptions) -> Result<Self, String> {
        let rule = |ok: bool, text: &str| if ok { Ok(()) } else { Err(text.to_owned()) };
        let train_only =
            raw.preset.is_some() || raw.out.is_some() || raw.steps.is_some() || raw.hours.is_some();
        let train_only = train_only || raw.resume || raw.init.is_some() || raw.batch.is_some();
        let train_only = train_only || raw.dense_share.is_some();
        rule(
            raw.train || !train_only,
            "--preset, --out, --steps, --hours, --resume, --init, --batch and --dense-share go with --train",
        )?;
        rule(
            raw.dense_share.is_none_or(|p| (0.0..=1.0).contains(&p)),
            "--dense-share must be 0 to 1",
        )?;
        rule(raw.train || raw.eval || raw.data.is_empty(), "--data goes with --train or --eval")?;
        rule(
            raw.eval || !(raw.held_out || raw.distance.is_some()),
            "--held-out and --distance go with --eval",
        )?;
        rule(!raw.held_out || !raw.data.is_empty(), "--held-out needs --data DIR")?;
        rule(raw.distance.is_none_or(|n| n <= 10_000_000), "--distance must be at most 10000000")?;
        rule(raw.chat || !raw.jsonl, "--jsonl goes with --chat")?;
        rule(raw.eval || raw.bench || !raw.json, "--json goes with --eval or --bench")?;
        let temperature = raw.temperature.unwrap_or(0.7);
        rule((0.0..=2.0).contains(&temperature), "--temperature must be 0 to 2")?;
        rule(raw.threads.is_none_or(|t| (1..=256).contains(&t)), "--threads must be 1 to 256")?;
        rule(raw.hours.is_none_or(|h| h > 0.0 && h.is_finite()), "--hours must be more than 0")?;
        let mode = if let Some(text) = raw.say {
            Mode::Say(text)
        } else if raw.chat {
            if raw.jsonl { Mode::Jsonl } else { Mode::Chat }
        } else if raw.train {
            rule(raw.steps != Some(0), "--steps must be more than 0")?;
            Mode::Train(TrainMode {
                preset: raw.preset.unwrap_or_else(|| "small".into()),
                data: raw.data,
                out: raw.out.ok_or("--train needs --out DIR")?,
                steps: raw.steps,
                hours: raw.hours.or(raw.steps.is_none().then_some(1.0)),
                resume: raw.resume,
                init: raw.init,
                batch: raw.batch.unwrap_or(8).clamp(1, 1024),
                dense_share: raw.dense_share,
                threads: raw.threads,
            })
        } else if raw.eval {
            Mode::Eval(EvalMode {
                data: raw.data,
                held_out: raw.held_out,
                distance: raw.distance.unwrap_or(1000),
                json: raw.json,
            })
        } else if raw.bench {
            Mode::Bench { json: raw.json }
        } else {
            Mode::Window
        };
        // Whole cores: two threads of one core share its arithmetic. One stays free for the picture.
        let logical = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let spare = num_cpus::get_physical().min(logical).saturating_sub(1).max(1);
        Ok(Self {
            mode,
            saves: raw.saves,
            persona: raw.persona,
            model: raw.model,
            seed: raw.seed,
            temperature,
            threads: raw.threads.unwrap_or(spare),
            device: raw.device,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(args: &str) -> Result<Options, String> {
        let raw =
            RawOptions::try_parse_from(std::iter::once("companion").chain(args.split_whitespace()));
        Options::check(raw.map_err(|e| e.to_string())?)
    }

    #[test]
    fn modes_are_told_apart() {
        assert_eq!(check("").expect("window").mode, Mode::Window);
        assert_eq!(check("--chat --jsonl").expect("jsonl").mode, Mode::Jsonl);
        assert_eq!(check("--say hi").expect("say").mode, Mode::Say("hi".into()));
        assert!(matches!(check("--train --out x --steps 3").expect("train").mode, Mode::Train(_)));
    }

    #[test]
    fn what_does_not_belong_together_is_refused() {
        for args in [
            "--chat --eval",
            "--jsonl",
            "--steps 3",
            "--train --steps 3",
            "--train --out x --steps 1 --hours 1",
            "--train --out x --preset huge",
            "--temperature 3 --chat",
            "--data x --chat",
            "--held-out --eval",
            "--distance 5 --chat",
            "--threads 0",
        ] {
            assert!(check(args).is_err(), "{args}");
        }
    }
}

//! The training loop and the evaluation.
//!
//! [`run`] is what `--train` calls: text in, a model folder out. It makes the tokenizer when there is none, opens the
//! data, trains in two stages, writes checkpoints and metrics on the way, and exports the packed model.

pub mod checkpoint;
pub mod eval;
pub mod ngram;
pub mod optim;
mod recall_task;
pub mod speed;
mod step;

use std::{
    collections::BTreeMap,
    io::Write,
    ops::ControlFlow,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use candle_core::Device;
use serde::Serialize;

pub use step::{SegmentSource, StepReport, Trainer};

use crate::{
    checkpoint::{Brain, BrainOptions},
    data::{DataOptions, Dataset, Stage},
    error::{LoadError, TrainError},
    model::ModelConfig,
    session::{Memory, Session, SessionOptions},
    tokenizer::Tokenizer,
};

/// Share of a run spent on short, dense lives before the long ones begin, unless it is said otherwise.
pub const DENSE_SHARE: f64 = 0.25;
/// Share of a run from which the companion's own voice takes over in the plain talk.
const VOICE_FROM: f64 = 0.5;
/// Rows of the held-out part that a run looks at on its way; the whole of it is for `--eval`.
const QUICK_DOCS: usize = 12;
/// Loss weight from which a token counts as an answer's value (see `data`).
const ANSWER_WEIGHT: f32 = crate::data::ANSWER;
/// Steps over which the printed loss is averaged.
const SMOOTH: f64 = 0.97;

/// What a run trains and for how long.
#[derive(Debug, Clone)]
pub struct TrainOptions {
    /// Shape of a fresh model; `vocab_size` is also the size of a fresh tokenizer.
    pub config: ModelConfig,
    /// Folders of text.
    pub data: DataOptions,
    /// Where checkpoint, metrics and model folder go.
    pub out: PathBuf,
    /// Steps of the whole run, resumed parts included.
    pub steps: Option<u64>,
    /// Hours of training of the whole run. Whichever of `steps` and `hours` is reached first ends it.
    pub hours: Option<f64>,
    /// Go on from `out/checkpoint.safetensors`.
    pub resume: bool,
    /// Start with the weights of this checkpoint (or model folder), everything else fresh.
    pub init: Option<PathBuf>,
    /// Share of the run that is spent on short, dense lives, 0 to 1; [`DENSE_SHARE`] for a fresh brain, less for one that
    /// knows how to remember.
    pub dense_share: f64,
    /// Batch rows. Default 8.
    pub batch: usize,
    /// Peak learning rate; by default from the width.
    pub lr: Option<f64>,
    /// Time between checkpoints. Default 5 minutes.
    pub checkpoint_every: Duration,
    /// Time between looks at held-out text, recall and samples. Default 10 minutes.
    pub look_every: Duration,
    /// Lines said to the model at every look.
    pub prompts: Vec<String>,
    /// Where to train.
    pub device: Device,
}

/// News of a run.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Progress {
    /// Work before the first step, in words.
    Preparing {
        /// What is being done.
        text: String,
    },
    /// A step was made.
    Step {
        /// Steps so far.
        step: u64,
        /// Tokens so far.
        tokens: u64,
        /// Smoothed loss, nats per scored token.
        loss: f64,
        /// Gradient norm before clipping.
        grad_norm: f64,
        /// Learning rate.
        lr: f64,
        /// Tokens per second of this step.
        tokens_per_s: f64,
        /// 0 to 1 of the whole run.
        progress: f64,
        /// Seconds of training so far.
        seconds: f64,
    },
    /// A look at what the model can do.
    Look {
        /// Steps so far.
        step: u64,
        /// Tokens so far.
        tokens: u64,
        /// Held-out bits per byte of each set.
        held_out: BTreeMap<String, f64>,
        /// Right answer tokens and all of them, on lives never seen (teacher forced).
        answers: (usize, usize),
        /// Replies to the prompts.
        samples: Vec<(String, String)>,
    },
    /// The checkpoint was written.
    Saved {
        /// The file.
        path: PathBuf,
    },
}

/// How a run ended.
#[derive(Debug, Clone)]
pub struct TrainSummary {
    /// The exported model folder.
    pub model: PathBuf,
    /// Its id.
    pub model_id: String,
    /// Steps made.
    pub steps: u64,
    /// Tokens read.
    pub tokens: u64,
    /// Seconds of training.
    pub seconds: f64,
    /// The observer stopped it before its end.
    pub interrupted: bool,
}

/// Trains with this many threads from here on; without it, with one for each core. Once in a process.
///
/// # Errors
/// If training has begun already.
pub fn use_threads(threads: usize) -> Result<(), TrainError> {
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build_global()
        .map_err(|e| TrainError::Options(format!("--threads {threads}: {e}")))
}

/// The device to train on: a GPU if asked for (or, with `auto`, if there is one and the build can use it).
///
/// # Errors
/// A GPU was asked for and cannot be had.
pub fn device(cuda: bool, auto: bool) -> Result<Device, TrainError> {
    if !cfg!(feature = "cuda-train") {
        if cuda {
            let text =
                "--device cuda: this build cannot train on a GPU; build with --features cuda";
            return Err(TrainError::Options(text.into()));
        }
        return Ok(Device::Cpu);
    }
    match Device::new_cuda(0) {
        Ok(device) if cuda || auto => Ok(device),
        Err(error) if cuda => Err(error.into()),
        _ => Ok(Device::Cpu),
    }
}

/// Trains as `opts` says; `observer` hears of every step and stops the run by `Break` (a checkpoint is written first).
///
/// # Errors
/// Unusable options, unreadable data, a full disk, or a checkpoint that does not fit.
pub fn run(
    opts: &TrainOptions,
    observer: &mut dyn FnMut(&Progress) -> ControlFlow<()>,
) -> Result<TrainSummary, TrainError> {
    if opts.steps.is_none() && opts.hours.is_none() {
        return Err(TrainError::Options("say how long to train: --steps N or --hours H".into()));
    }
    let file = opts.out.join("checkpoint.safetensors");
    if !opts.resume && file.exists() {
        let text =
            format!("{} exists: add --resume to go on, or choose another folder", file.display());
        return Err(TrainError::Options(text));
    }
    std::fs::create_dir_all(&opts.out)
        .map_err(|source| LoadError::Io { path: opts.out.clone(), source })?;
    let mut metrics = Metrics::open(&opts.out.join("metrics.jsonl"))?;
    let mut tell = |news: Progress| -> Result<ControlFlow<()>, TrainError> {
        metrics.write(&news)?;
        Ok(observer(&news))
    };
    let tokenizer_file = opts.out.join("tokenizer.json");
    let tokenizer = if tokenizer_file.exists() {
        Tokenizer::load(&tokenizer_file)?
    } else {
        let _ = tell(Progress::Preparing { text: "tokenizer".into() })?;
        let tokenizer =
            Tokenizer::train(crate::data::tokenizer_texts(&opts.data)?, opts.config.vocab_size)?;
        tokenizer.save(&tokenizer_file)?;
        tokenizer
    };
    let _ = tell(Progress::Preparing { text: "data".into() })?;
    let dataset = Dataset::open(&opts.data, &tokenizer)?;

    let (mut trainer, mut source) = if opts.resume && file.exists() {
        let (trainer, cursors) = checkpoint::load(&file, &opts.device)?;
        let mut source = dataset.rows(trainer.batch);
        source.seek(&cursors)?;
        (trainer, source)
    } else if let Some(init) = &opts.init {
        (start_from(init, opts, &tokenizer)?, dataset.rows(opts.batch))
    } else {
        let cfg = ModelConfig { vocab_size: tokenizer.vocab_size(), ..opts.config.clone() };
        cfg.validate().map_err(TrainError::Options)?;
        let trainer = Trainer::new(&cfg, opts.data.seed, opts.batch, &opts.device)?;
        (trainer, dataset.rows(opts.batch))
    };

    let (mut last_save, mut last_look) = (Instant::now(), Instant::now());
    let mut loss = None;
    let mut interrupted = false;
    loop {
        let progress = progress_of(opts, &trainer);
        if progress >= 1.0 {
            break;
        }
        let stage = match progress {
            p if p < opts.dense_share => Stage::Dense,
            p if p < VOICE_FROM => Stage::Lives,
            _ => Stage::Voice,
        };
        let report = trainer.train_step(&mut source, stage, progress, opts.lr)?;
        let smooth = loss.map_or(report.loss, |l: f64| SMOOTH * l + (1.0 - SMOOTH) * report.loss);
        loss = Some(smooth);
        let news = Progress::Step {
            step: trainer.step,
            tokens: trainer.tokens,
            loss: smooth,
            grad_norm: report.grad_norm,
            lr: report.lr,
            tokens_per_s: report.tokens as f64 / report.seconds,
            progress,
            seconds: trainer.seconds,
        };
        interrupted = tell(news)?.is_break();
        if interrupted || last_save.elapsed() >= opts.checkpoint_every {
            checkpoint::save(&trainer, source.cursors(), &file)?;
            last_save = Instant::now();
            let _ = tell(Progress::Saved { path: file.clone() })?;
        }
        if interrupted {
            break;
        }
        if last_look.elapsed() >= opts.look_every {
            last_look = Instant::now();
            let news = look(&trainer, &dataset, &tokenizer, opts)?;
            interrupted = tell(news)?.is_break();
        }
    }
    if !interrupted {
        checkpoint::save(&trainer, source.cursors(), &file)?;
        let _ = tell(look(&trainer, &dataset, &tokenizer, opts)?)?;
    }
    let (model, model_id) = export(&trainer, &tokenizer, opts)?;
    let (steps, tokens, seconds) = (trainer.step, trainer.tokens, trainer.seconds);
    Ok(TrainSummary { model, model_id, steps, tokens, seconds, interrupted })
}

/// A fresh run from the weights of a checkpoint file, or of an exported model folder: the masters are then the
/// ternary values themselves.
fn start_from(
    init: &Path,
    opts: &TrainOptions,
    tokenizer: &Tokenizer,
) -> Result<Trainer, TrainError> {
    let (seed, batch) = (opts.data.seed, opts.batch);
    let trainer = if init.is_dir() {
        let weights = crate::checkpoint::full_precision(init)?;
        let trainer = Trainer::new(&weights.config, seed, batch, &opts.device)?;
        for (name, var) in trainer.model.params() {
            let data = weights.tensors.get(name).cloned().unwrap_or_default();
            var.set(&candle_core::Tensor::from_vec(data, var.shape(), var.device())?)?;
        }
        trainer
    } else {
        checkpoint::start_from(init, seed, batch, &opts.device)?
    };
    if trainer.model.config.vocab_size != tokenizer.vocab_size() {
        let (a, b) = (trainer.model.config.vocab_size, tokenizer.vocab_size());
        return Err(TrainError::Options(format!(
            "{}: made for {a} tokens, the tokenizer in {} has {b}; copy its tokenizer.json there first",
            init.display(),
            opts.out.display()
        )));
    }
    Ok(trainer)
}

fn progress_of(opts: &TrainOptions, trainer: &Trainer) -> f64 {
    let by_steps = opts.steps.map_or(0.0, |n| trainer.step as f64 / n.max(1) as f64);
    let by_time = opts.hours.map_or(0.0, |h| trainer.seconds / (h * 3600.0).max(1e-9));
    by_steps.max(by_time)
}

/// Writes the packed model to `out/model`.
fn export(
    trainer: &Trainer,
    tokenizer: &Tokenizer,
    opts: &TrainOptions,
) -> Result<(PathBuf, String), TrainError> {
    let dir = opts.out.join("model");
    let mut weights = BTreeMap::new();
    for (name, var) in trainer.model.params() {
        weights.insert(name.clone(), var.flatten_all()?.to_vec1::<f32>()?);
    }
    let get = |name: &str| weights.get(name).cloned().unwrap_or_default();
    let meta = BTreeMap::from([
        ("training.steps".to_owned(), trainer.step.to_string()),
        ("training.tokens".to_owned(), trainer.tokens.to_string()),
        ("training.seconds".to_owned(), format!("{:.0}", trainer.seconds)),
        ("training.seed".to_owned(), trainer.seed.to_string()),
    ]);
    let id = crate::checkpoint::export(&dir, &trainer.model.config, tokenizer, &get, &meta)?;
    Ok((dir, id))
}

/// Held-out bits per byte, answers on unseen lives, and what the exported model says.
fn look(
    trainer: &Trainer,
    dataset: &Dataset,
    tokenizer: &Tokenizer,
    opts: &TrainOptions,
) -> Result<Progress, TrainError> {
    let mut held_out = BTreeMap::new();
    for (set, lang, docs) in dataset.held_out() {
        let docs: Vec<Vec<u32>> = docs.into_iter().take(QUICK_DOCS).collect();
        let bytes: usize = docs
            .iter()
            .flat_map(|d| d.iter().skip(1))
            .map(|id| tokenizer.token_bytes(*id).len())
            .sum();
        let tokens: usize = docs.iter().map(|d| d.len().saturating_sub(1)).sum();
        if bytes > 0 {
            let nats = trainer.held_out_nats(&docs)? * tokens as f64;
            held_out.insert(format!("{set}/{lang}"), nats / std::f64::consts::LN_2 / bytes as f64);
        }
    }
    let unseen = DataOptions { seed: opts.data.seed ^ 0x5EED, ..opts.data.clone() };
    let mut rows = dataset.with_seed(unseen.seed).rows(8);
    let answers = trainer.accuracy(&mut rows, 8, 4, ANSWER_WEIGHT)?;
    let (dir, _) = export(trainer, tokenizer, opts)?;
    let samples = samples(&dir, &opts.prompts)?;
    Ok(Progress::Look { step: trainer.step, tokens: trainer.tokens, held_out, answers, samples })
}

/// Says the prompts to the exported model, one after the other in one talk.
fn samples(dir: &Path, prompts: &[String]) -> Result<Vec<(String, String)>, TrainError> {
    let brain = std::sync::Arc::new(Brain::load(dir, &BrainOptions::default())?);
    let memory = Memory::new(&brain);
    let options = SessionOptions { seed: 1, max_reply_tokens: 96, ..SessionOptions::default() };
    let mut session = Session::new(brain, memory, options);
    Ok(prompts
        .iter()
        .map(|prompt| {
            let reply = session.reply(prompt, &mut |_| ControlFlow::Continue(()));
            let notes: String = reply.notes.iter().map(|n| format!("[{n}] ")).collect();
            (prompt.clone(), format!("{notes}{}", reply.text))
        })
        .collect())
}

/// Appends one JSON object a line.
struct Metrics {
    file: std::fs::File,
    path: PathBuf,
}

impl Metrics {
    fn open(path: &Path) -> Result<Self, LoadError> {
        let file = std::fs::OpenOptions::new().create(true).append(true).open(path);
        let file = file.map_err(|source| LoadError::Io { path: path.to_owned(), source })?;
        Ok(Self { file, path: path.to_owned() })
    }

    fn write(&mut self, news: &Progress) -> Result<(), LoadError> {
        let mut line = serde_json::to_string(news)
            .map_err(|e| LoadError::Format { path: self.path.clone(), reason: e.to_string() })?;
        line.push('\n');
        self.file
            .write_all(line.as_bytes())
            .map_err(|source| LoadError::Io { path: self.path.clone(), source })
    }
}

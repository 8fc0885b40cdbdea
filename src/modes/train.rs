//! `--train`: trains a brain from text, with a progress bar; Ctrl+C writes a checkpoint and ends.

use std::{
    ops::ControlFlow,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::Context;
use engine::{
    data::DataOptions,
    model::ModelConfig,
    trainer::{self, Progress, TrainOptions},
};
use indicatif::{ProgressBar, ProgressStyle};

use crate::{
    options::{DeviceOption, Options, TrainMode},
    paths::Places,
};

/// Lines said to the model at every look.
const PROMPTS: [&str; 6] = [
    "Hello!",
    "My name is Mia.",
    "Tell me a story about a snail.",
    "What is my name?",
    "こんにちは",
    "ねこのおはなしして",
];

/// Trains as the options say.
///
/// # Errors
/// Options, data, disk or device.
pub fn run(options: &Options, mode: &TrainMode, places: &Places) -> anyhow::Result<()> {
    if let Some(threads) = mode.threads {
        trainer::use_threads(threads)?;
    }
    let config = ModelConfig::preset(&mode.preset)
        .filter(|_| !mode.preset.starts_with("bench"))
        .with_context(|| format!("--preset {}: one of nano, small, base, large", mode.preset))?;
    let dirs = if mode.data.is_empty() { vec![places.shipped_text()] } else { mode.data.clone() };
    let train = TrainOptions {
        config,
        data: DataOptions {
            dirs,
            cache_dir: mode.out.join("cache"),
            seed: options.seed.unwrap_or(0),
        },
        out: mode.out.clone(),
        steps: mode.steps,
        hours: mode.hours,
        resume: mode.resume,
        init: mode.init.clone(),
        dense_share: mode.dense_share.unwrap_or(trainer::DENSE_SHARE),
        batch: mode.batch,
        lr: None,
        checkpoint_every: Duration::from_secs(300),
        look_every: Duration::from_secs(600),
        prompts: PROMPTS.map(str::to_owned).to_vec(),
        device: trainer::device(
            options.device == DeviceOption::Cuda,
            options.device == DeviceOption::Auto,
        )?,
    };
    let stop = Arc::new(AtomicBool::new(false));
    #[cfg(unix)]
    for signal in [2, 15] {
        signal_hook::flag::register(signal, stop.clone())?;
    }
    let bar = ProgressBar::new(1000);
    bar.set_style(ProgressStyle::with_template(
        "{bar:30} {percent}% {elapsed} ({eta} left) {msg}",
    )?);
    let summary = trainer::run(&train, &mut |news| {
        show(&bar, news);
        if stop.load(Ordering::Relaxed) {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    })?;
    bar.finish_and_clear();
    let (steps, tokens) = (summary.steps, summary.tokens);
    println!("{steps} steps, {tokens} tokens, {:.0} s of training", summary.seconds);
    println!("model {} in {}", summary.model_id, summary.model.display());
    println!("metrics in {}", mode.out.join("metrics.jsonl").display());
    if summary.interrupted {
        println!("stopped early; the same command with --resume goes on");
    }
    Ok(())
}

fn show(bar: &ProgressBar, news: &Progress) {
    match news {
        Progress::Preparing { text } => bar.set_message(format!("preparing: {text}")),
        Progress::Step { step, tokens, loss, lr, tokens_per_s, progress, .. } => {
            bar.set_position((progress * 1000.0) as u64);
            bar.set_message(format!(
                "step {step}  {:.2} M tokens  loss {loss:.3}  lr {lr:.1e}  {tokens_per_s:.0} tok/s",
                *tokens as f64 / 1e6
            ));
        }
        Progress::Look { step, held_out, answers, samples, .. } => bar.suspend(|| {
            let sets: Vec<String> =
                held_out.iter().map(|(set, bits)| format!("{set} {bits:.3}")).collect();
            println!("step {step}: held-out bits per byte: {}", sets.join(", "));
            println!("  right answer tokens on unseen lives: {} of {}", answers.0, answers.1);
            for (said, reply) in samples {
                println!("  {said} → {reply}");
            }
        }),
        Progress::Saved { .. } => {}
    }
}

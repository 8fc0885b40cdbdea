//! The modes without a window, each short: flags in, engine or brain called, text out.
#![allow(clippy::print_stdout, reason = "text on standard output is what these modes are for")]

pub mod bench;
pub mod chat;
#[cfg(feature = "train")]
pub mod eval;
pub mod jsonl;
pub mod say;
#[cfg(feature = "train")]
pub mod train;

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context;

use crate::{
    brain::{
        BrainHandle, BrainSetup, Waker,
        protocol::{BrainEvent, BrainInfo},
    },
    i18n,
    options::{DeviceOption, Options},
    paths::Places,
    persona::slots::DEFAULT_SLOT,
};

/// Warnings to standard error; `RUST_LOG` shows more. For everything but the window, which brings a log of its own.
pub fn start_log() {
    let filter =
        tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "warn".into());
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // Fails only if somebody else has started one, which then serves.
    let _ = log.try_init();
}

/// What the brain thread needs, from options and places.
pub fn brain_setup(options: &Options, places: &Places) -> BrainSetup {
    if options.device == DeviceOption::Cuda {
        tracing::warn!("--device cuda: inference on a GPU is not built yet; using the processor");
    }
    let clock = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |d| d.as_nanos() as u64);
    BrainSetup {
        saves: places.saves.clone(),
        slot: options.persona.clone().unwrap_or_else(|| DEFAULT_SLOT.into()),
        model: match &options.model {
            Some(dir) => Ok(dir.clone()),
            None => places.default_brain().map_err(|e| format!("{e:#}")),
        },
        seed: options.seed.unwrap_or_else(clock),
        temperature: options.temperature,
        threads: options.threads,
        language: i18n::system_language(),
    }
}

/// Starts the brain and waits until it is ready; notices go to `tell`.
///
/// # Errors
/// If it cannot be loaded, with what to do.
pub fn start_brain(
    setup: BrainSetup,
    wake: Option<Waker>,
    tell: &mut dyn FnMut(&str),
) -> anyhow::Result<(BrainHandle, BrainInfo)> {
    let brain = BrainHandle::start(setup, wake).context("no thread for the brain")?;
    loop {
        match brain.recv() {
            Some(BrainEvent::Ready { info, .. }) => return Ok((brain, info)),
            Some(BrainEvent::Notice { text }) => tell(&text),
            Some(BrainEvent::Failed { text, .. }) => anyhow::bail!(text),
            Some(_) => {}
            None => anyhow::bail!("the brain's thread ended before it was ready"),
        }
    }
}

/// On one of `signals`: stops the brain, which saves, then ends the program with code 0.
#[cfg(unix)]
pub fn save_on_signals(brain: &BrainHandle, signals: &[i32]) {
    let stop = brain.stopper();
    let Ok(mut signals) = signal_hook::iterator::Signals::new(signals) else { return };
    let _ = std::thread::Builder::new().name("signals".into()).spawn(move || {
        if signals.forever().next().is_some() {
            // Comes back when the memory is on disk.
            stop();
            std::process::exit(0);
        }
    });
}

/// Signals are not handled on this system: the memory is saved after each exchange anyway.
#[cfg(not(unix))]
pub fn save_on_signals(_brain: &BrainHandle, _signals: &[i32]) {}

//! Entry point: options → mode. Exit code 0 success, 1 failure, 2 wrong usage.

use std::process::ExitCode;

use companion::{
    modes,
    options::{Mode, Options},
    paths::Places,
};

/// Keeps its pages: without it every large temporary of a training step is returned to the system and faulted in again.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let options = Options::from_command_line();
    if options.mode != Mode::Window {
        modes::start_log();
    }
    match run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("companion: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> anyhow::Result<()> {
    let places = Places::find(options.saves.as_deref())?;
    match &options.mode {
        Mode::Window => companion::run_window(options, &places),
        Mode::Chat => modes::chat::run(options, &places),
        Mode::Jsonl => modes::jsonl::run(options, &places),
        Mode::Say(text) => modes::say::run(options, &places, text),
        Mode::Bench { json } => modes::bench::run(*json),
        #[cfg(feature = "train")]
        Mode::Train(train) => modes::train::run(options, train, &places),
        #[cfg(feature = "train")]
        Mode::Eval(eval) => modes::eval::run(options, eval, &places),
        #[cfg(not(feature = "train"))]
        Mode::Train(_) | Mode::Eval(_) => {
            anyhow::bail!("this build has no trainer: build with the feature `train`")
        }
    }
}

//! `--eval`: how good a brain is, in tables.

use engine::{
    checkpoint::{Brain, BrainOptions},
    trainer::eval::{self, EvalOptions},
};

use crate::{
    options::{EvalMode, Options},
    paths::Places,
};

/// Measures and prints tables, or JSON.
///
/// # Errors
/// If the brain or the data cannot be read.
pub fn run(options: &Options, mode: &EvalMode, places: &Places) -> anyhow::Result<()> {
    let dir = match &options.model {
        Some(dir) => dir.clone(),
        None => places.default_brain()?,
    };
    let brain = std::sync::Arc::new(Brain::load(
        &dir,
        &BrainOptions { threads: options.threads, isa: None },
    )?);
    let shipped = places.shipped_text();
    let opts = EvalOptions {
        shipped_text: shipped,
        data: mode.data.clone(),
        held_out: mode.held_out,
        distance: mode.distance,
        seed: options.seed.unwrap_or(0),
        ..EvalOptions::default()
    };
    let report = eval::evaluate(brain, &opts)?;
    if mode.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        println!("{report}");
    }
    Ok(())
}

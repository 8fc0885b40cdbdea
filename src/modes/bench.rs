//! `--bench`: the speed of this machine.

/// Measures and prints a table, or JSON.
///
/// # Errors
/// If a measurement cannot be made.
pub fn run(json: bool) -> anyhow::Result<()> {
    let report = engine::bench::run(false);
    if json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        println!("{report}");
    }
    Ok(())
}

//! Prints the training speed of a preset: `cargo run --release -p bit-ttt-engine --example train_speed small`.
#![allow(clippy::print_stdout, reason = "its purpose")]

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let preset = std::env::args().nth(1).unwrap_or_else(|| "small".to_owned());
    println!("{:?}", engine::trainer::speed::measure(&preset, 16, 256, 3)?);
    Ok(())
}

//! Prints what the trainer reads, as text: `cargo run -p bit-ttt-engine --example show_data -- TOKENIZER FOLDER...`.
//! Scored tokens with a weight above 1 are followed by it.
#![allow(clippy::print_stdout, reason = "its purpose")]

use engine::{
    data::{DataOptions, Dataset, Stage},
    tokenizer::{Tokenizer, special},
    trainer::SegmentSource,
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let tokenizer =
        Tokenizer::load(std::path::Path::new(&args.next().ok_or("TOKENIZER FOLDER...")?))?;
    let dirs = args.map(Into::into).collect();
    let cache_dir = std::env::temp_dir().join("show_data");
    let data = Dataset::open(&DataOptions { dirs, cache_dir, seed: 1 }, &tokenizer)?;
    let start = std::time::Instant::now();
    let mut rows = data.rows(4);
    let mut n = 0;
    let mut scored = 0;
    for i in 0..40 {
        let stage = if i < 12 { Stage::Dense } else { Stage::Lives };
        let segment = rows.next_segment(i % 4, 256, stage);
        n += segment.weights.len();
        scored += segment.weights.iter().filter(|w| **w > 0.0).count();
        println!("=== row {} {stage:?} fresh {}", i % 4, segment.fresh);
        let mut text = String::new();
        for (t, id) in segment.tokens.iter().enumerate() {
            match *id {
                special::PAD => continue,
                special::USER | special::DOC => text.push('\n'),
                _ => {}
            }
            if special::is_special(*id) {
                text.push_str(&special::name(*id));
            } else {
                text.push_str(&String::from_utf8_lossy(tokenizer.token_bytes(*id)));
            }
            if t > 0 && segment.weights[t - 1] > 1.0 {
                text.push_str(&format!("⟨{}⟩", segment.weights[t - 1]));
            }
        }
        println!("{text}");
    }
    println!("{n} tokens, {scored} scored, {:?}", start.elapsed());
    Ok(())
}

//! Prints what the trainer reads, as text: `cargo run -p bit-ttt-engine --example show_data -- TOKENIZER FOLDER...`.
//! Runs of tokens with a weight above 1 stand in ⟨weight …⟩. The last lines count tokens, scored tokens and special tokens.
#![allow(clippy::print_stdout, reason = "its purpose")]

use std::collections::BTreeMap;

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
    let start = std::time::Instant::now();
    let seed = std::env::var("SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(1);
    let data = Dataset::open(&DataOptions { dirs, cache_dir, seed }, &tokenizer)?;
    println!("opened in {:?}", start.elapsed());
    for (set, lang, docs) in data.held_out() {
        println!(
            "held out: {set}/{lang}: {} documents, {} tokens",
            docs.len(),
            docs.iter().map(Vec::len).sum::<usize>()
        );
        if std::env::var_os("SETS").is_some() {
            for ids in docs.iter().step_by(docs.len().div_ceil(4)) {
                let bytes: Vec<u8> = ids
                    .iter()
                    .take(160)
                    .flat_map(|id| match special::is_special(*id) {
                        true => special::name(*id).as_bytes().to_vec(),
                        false => tokenizer.token_bytes(*id).to_vec(),
                    })
                    .collect();
                println!("  {}", String::from_utf8_lossy(&bytes).replace('\n', " / "));
            }
        }
    }
    let mut rows = data.rows(4);
    for i in 0..48 {
        let stage = if i < 16 { Stage::Dense } else { Stage::Lives };
        let segment = rows.next_segment(i % 4, 256, stage);
        println!("=== row {} {stage:?} fresh {}", i % 4, segment.fresh);
        let mut text: Vec<u8> = Vec::new();
        let mut open = 1.0;
        for (t, id) in segment.tokens.iter().enumerate() {
            let weight = if t > 0 { segment.weights[t - 1].max(1.0) } else { 1.0 };
            if *id == special::PAD {
                continue;
            }
            if open > 1.0 && weight != open {
                text.extend("⟩".as_bytes());
            }
            if matches!(*id, special::USER | special::DOC) {
                text.push(b'\n');
            }
            if weight > 1.0 && weight != open {
                text.extend(format!("⟨{weight} ").as_bytes());
            }
            open = weight;
            if special::is_special(*id) {
                text.extend(special::name(*id).as_bytes());
            } else {
                text.extend(tokenizer.token_bytes(*id));
            }
        }
        println!("{}", String::from_utf8_lossy(&text));
    }
    let start = std::time::Instant::now();
    let (mut n, mut scored) = (0, 0);
    let mut marks: BTreeMap<String, usize> = BTreeMap::new();
    for i in 0..4000 {
        let segment = rows.next_segment(i % 4, 256, Stage::Lives);
        n += segment.tokens.iter().filter(|id| **id != special::PAD).count();
        scored += segment.weights.iter().filter(|w| **w > 0.0).count();
        for id in segment.tokens.iter().filter(|id| special::is_special(**id)) {
            *marks.entry(special::name(*id).to_string()).or_default() += 1;
        }
    }
    println!(
        "{n} tokens, {scored} scored, {:.0} tokens a second",
        n as f64 / start.elapsed().as_secs_f64()
    );
    println!("{marks:?}");
    Ok(())
}

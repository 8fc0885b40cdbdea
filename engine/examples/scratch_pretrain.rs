//! scratch
use engine::{
    data::{Segment, Stage},
    error::TrainError,
    model::ModelConfig,
    rng::Rng,
    tokenizer::{Tokenizer, chat_format as cf, special},
    trainer::{SegmentSource, Trainer, checkpoint},
};
use std::path::Path;
#[global_allocator]
static A: mimalloc::MiMalloc = mimalloc::MiMalloc;
struct Src {
    docs: Vec<(Vec<u32>, Vec<bool>)>,
    by: Vec<(f64, Vec<usize>)>,
    rows: Vec<(Rng, Vec<u32>, Vec<bool>)>,
}
impl SegmentSource for Src {
    fn next_segment(&mut self, row: usize, len: usize, _: Stage) -> Segment {
        let r = &mut self.rows[row];
        while r.1.len() < len + 1 {
            let mut x = r.0.unit();
            let mut g = 0;
            for (i, (w, _)) in self.by.iter().enumerate() {
                if x < *w {
                    g = i;
                    break;
                }
                x -= w;
            }
            let ids = &self.by[g].1;
            let d = &self.docs[ids[r.0.below(ids.len())]];
            r.1.extend(&d.0);
            r.2.extend(&d.1);
        }
        let tokens = r.1[..=len].to_vec();
        let flags: Vec<bool> = r.2[1..=len].to_vec();
        r.1.drain(..len);
        r.2.drain(..len);
        let rng = &mut r.0;
        Segment {
            tokens,
            weights: flags.iter().map(|c| if *c || rng.chance(0.35) { 1.0 } else { 0.0 }).collect(),
            fresh: rng.chance(0.1),
        }
    }
    fn cursors(&self) -> serde_json::Value {
        serde_json::json!(0)
    }
    fn seek(&mut self, _: &serde_json::Value) -> Result<(), TrainError> {
        Ok(())
    }
}
fn main() {
    let text = std::fs::read_to_string("/work/scratch/docs.jsonl").unwrap();
    let items: Vec<(String, Vec<(String, usize, String)>)> =
        text.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let tp = Path::new("/work/scratch/tokenizer.json");
    let tok = if tp.exists() {
        Tokenizer::load(tp).unwrap()
    } else {
        let t = Tokenizer::train(
            items
                .iter()
                .filter(|i| i.0 != "rpc")
                .chain(items.iter().filter(|i| i.0 == "rpc").take(12000))
                .flat_map(|i| i.1.iter().map(|t| t.2.clone()))
                .collect::<Vec<_>>()
                .into_iter(),
            8192,
        )
        .unwrap();
        t.save(tp).unwrap();
        t
    };
    eprintln!("tokenizer {}", tok.vocab_size());
    let mut docs = vec![];
    let names = ["chat", "story", "qa", "doc", "tat", "rpc"];
    let w = [0.2, 0.1, 0.1, 0.35, 0.1, 0.15];
    let mut by: Vec<(f64, Vec<usize>)> = w.iter().map(|w| (*w, vec![])).collect();
    let (mut nt, mut nb) = (0, 0);
    for (g, ts) in &items {
        let mut ids = vec![];
        let mut fl = vec![];
        let mut open = false;
        for (k, m, t) in ts {
            let (p, f) = match k.as_str() {
                "d" => (cf::document(&tok, t), true),
                "u" => {
                    if open {
                        (cf::text_ids(&tok, &format!("\n{t}")), false)
                    } else {
                        open = true;
                        (cf::user_turn(&tok, t), false)
                    }
                }
                _ => {
                    open = false;
                    let mut v = vec![special::BOT];
                    v.extend(cf::reply(&tok, *m, t));
                    (v, true)
                }
            };
            nt += p.len();
            nb += t.len();
            fl.extend(std::iter::repeat_n(f, p.len()));
            ids.extend(p);
        }
        let gi = names.iter().position(|n| n == g).unwrap();
        by[gi].1.push(docs.len());
        docs.push((ids, fl));
    }
    eprintln!(
        "{} docs {} tokens {} bytes {:.2} bytes/token",
        docs.len(),
        nt,
        nb,
        nb as f64 / nt as f64
    );
    for (i, n) in names.iter().enumerate() {
        eprintln!(
            "{n} {} docs {} tokens",
            by[i].1.len(),
            by[i].1.iter().map(|d| docs[*d].0.len()).sum::<usize>()
        );
    }
    let b = 8;
    let mut src = Src {
        docs,
        by,
        rows: (0..b as u64).map(|r| (Rng::keyed(1, &[r]), vec![], vec![])).collect(),
    };
    let cfg = ModelConfig { vocab_size: tok.vocab_size(), ..ModelConfig::preset("small").unwrap() };
    let steps: u64 = std::env::args().nth(1).unwrap().parse().unwrap();
    let lr: f64 = std::env::args().nth(2).unwrap().parse().unwrap();
    let out = std::env::args().nth(3).unwrap();
    let mut t = Trainer::new(&cfg, 1, b, &candle_core::Device::Cpu).unwrap();
    let mut sm = 0.0;
    while t.step < steps {
        let r = t.train_step(&mut src, Stage::Lives, 0.2, Some(lr)).unwrap();
        sm = if t.step == 1 { r.loss } else { 0.97 * sm + 0.03 * r.loss };
        if t.step % 25 == 0 {
            eprintln!(
                "{} loss {:.3} gn {:.2} {:.0} tok/s",
                t.step,
                sm,
                r.grad_norm,
                r.tokens as f64 / r.seconds
            );
        }
        if t.step % 300 == 0 || t.step == steps {
            checkpoint::save(&t, src.cursors(), Path::new(&out)).unwrap();
        }
    }
}

//! What `--bench` prints: the speed of the kernels and of whole models, as ratios against limits and references
//! measured in the same run.

use std::{fmt, time::Instant};

use serde::Serialize;

use crate::{
    checkpoint::Brain,
    kernels::{Isa, float, pack::Activations, ternary::gemv_t2_i8},
    model::{
        ModelConfig,
        packed::{ModelState, Scratch},
    },
    rng::Rng,
};

/// A measurement that failed.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct BenchError(String);

/// One matrix times one vector.
#[derive(Debug, Clone, Serialize)]
pub struct GemvRow {
    /// Rows and columns.
    pub shape: (usize, usize),
    /// Billions of multiply-adds a second, one thread.
    pub gmac_per_s: f64,
    /// The same with the scalar reference.
    pub scalar_gmac_per_s: f64,
    /// The first by the second.
    pub ratio: f64,
    /// Bytes of packed weights a second, in GB.
    pub weight_gb_per_s: f64,
}

/// One model with random weights.
#[derive(Debug, Clone, Serialize)]
pub struct ModelRow {
    /// Preset.
    pub preset: String,
    /// Parameters in millions.
    pub m_params: f64,
    /// Tokens a second, one by one with logits.
    pub decode_tokens_per_s: f64,
    /// Tokens a second of a prompt of 64.
    pub prompt_tokens_per_s: f64,
    /// Share of the decode time in the fast-weight steps.
    pub ttt_share: f64,
    /// Time of the last hundred tokens by the time of the first hundred, over 2,000 tokens.
    pub late_by_early: f64,
}

/// Everything measured.
#[derive(Debug, Clone, Serialize)]
pub struct BenchReport {
    /// Instruction set in use.
    pub isa: String,
    /// Sequential read of 256 MB in GB/s, one thread.
    pub dram_read_gb_per_s: f64,
    /// Matrix times vector.
    pub gemv: Vec<GemvRow>,
    /// One head of 64 × 64, microseconds a token.
    pub ttt_step_us: f64,
    /// The same by the formula.
    pub ttt_step_scalar_us: f64,
    /// Whole models.
    pub models: Vec<ModelRow>,
    /// Training against plain candle.
    #[cfg(feature = "train")]
    pub training: crate::trainer::speed::TrainingSpeed,
}

/// Seconds of one call, the best of several within about a fifth of a second.
fn best_seconds(mut f: impl FnMut()) -> f64 {
    let start = Instant::now();
    let mut best = f64::MAX;
    while start.elapsed().as_millis() < 200 {
        let t = Instant::now();
        f();
        best = best.min(t.elapsed().as_secs_f64());
    }
    best
}

/// Measures; takes about half a minute.
///
/// # Errors
/// If a preset cannot be run.
pub fn run() -> Result<BenchReport, BenchError> {
    let isa = Isa::active();
    let gemv = [(512, 512), (1024, 256), (2560, 2560), (16384, 8192)]
        .map(|shape| gemv(isa, shape))
        .to_vec();
    let (ttt_step_us, ttt_step_scalar_us) = ttt_step();
    let models = ["nano", "small", "base", "bench-30m", "bench-125m"]
        .map(model)
        .into_iter()
        .collect::<Result<_, _>>()?;
    Ok(BenchReport {
        isa: isa.name().to_owned(),
        dram_read_gb_per_s: dram_read(),
        gemv,
        ttt_step_us,
        ttt_step_scalar_us,
        models,
        #[cfg(feature = "train")]
        training: crate::trainer::speed::measure("small", 8, 256, 3)
            .map_err(|e| BenchError(e.to_string()))?,
    })
}

fn gemv(isa: Isa, (rows, cols): (usize, usize)) -> GemvRow {
    let mut rng = Rng::new(1);
    let w: Vec<u8> = (0..rows * cols / 4)
        .map(|_| [0, 1, 4, 6, 9, 20, 37, 85, 104, 149, 170][rng.below(11)])
        .collect();
    let x: Vec<i8> = (0..cols).map(|_| rng.below(255) as i8).collect();
    let mut acts = Activations::default();
    acts.set(&x);
    let mut out = vec![0; rows];
    let mut gmac = |isa| {
        let macs = (rows * cols) as f64;
        macs / best_seconds(|| gemv_t2_i8(isa, &w, &acts, &mut out)) / 1e9
    };
    let (fast, scalar) = (gmac(isa), gmac(Isa::Scalar));
    GemvRow {
        shape: (rows, cols),
        gmac_per_s: fast,
        scalar_gmac_per_s: scalar,
        ratio: fast / scalar,
        weight_gb_per_s: fast / 4.0,
    }
}

fn dram_read() -> f64 {
    let data = vec![1u64; 32 << 20];
    let mut sum = 0u64;
    let seconds = best_seconds(|| {
        let mut acc = [0u64; 16];
        for chunk in data.as_chunks::<16>().0 {
            for (a, v) in acc.iter_mut().zip(chunk) {
                *a = a.wrapping_add(*v);
            }
        }
        sum = sum.wrapping_add(acc.iter().sum());
    });
    std::hint::black_box(sum);
    (data.len() * 8) as f64 / seconds / 1e9
}

fn ttt_step() -> (f64, f64) {
    let d = 64;
    let mut rng = Rng::new(2);
    let mut noise = |n: usize| (0..n).map(|_| rng.unit() as f32 * 0.2 - 0.1).collect::<Vec<_>>();
    let (q, k, v, mut s, mut o) = (noise(d), noise(d), noise(d), noise(d * d), vec![0.0; d]);
    let mut time = |fast: bool| {
        let steps = 200;
        let seconds = best_seconds(|| {
            for _ in 0..steps {
                if fast {
                    float::ttt_step((&q, &k, &v), (0.5, 0.9), &mut s, &mut o);
                } else {
                    float::ttt_step_scalar((&q, &k, &v), (0.5, 0.9), &mut s, &mut o);
                }
            }
        });
        seconds / f64::from(steps) * 1e6
    };
    (time(true), time(false))
}

fn model(preset: &str) -> Result<ModelRow, BenchError> {
    let cfg =
        ModelConfig::preset(preset).ok_or_else(|| BenchError(format!("no preset {preset}")))?;
    let brain = Brain::random(&cfg, 1);
    let mut state = ModelState::new(&cfg);
    let mut scratch = Scratch::default();
    let mut logits = vec![0f32; cfg.vocab_size];
    let mut id = 32;
    let mut decode = |n: usize, state: &mut ModelState, scratch: &mut Scratch| {
        let start = Instant::now();
        for _ in 0..n {
            let hidden = brain.model.forward(&[id], state, scratch);
            brain.model.logits(&hidden, scratch, &mut logits);
            id = 32 + (id + 7) % 200;
        }
        start.elapsed().as_secs_f64() / n as f64
    };
    let n = if cfg.n_params() > 50_000_000 { 20 } else { 100 };
    decode(5, &mut state, &mut scratch);
    let early = (0..5).map(|_| decode(n, &mut state, &mut scratch)).fold(f64::MAX, f64::min);
    let prompt: Vec<u32> = (0..64).map(|i| 32 + i * 3).collect();
    for _ in 0..(1500 / prompt.len()).min(if cfg.n_params() > 50_000_000 { 2 } else { 100 }) {
        brain.model.forward(&prompt, &mut state, &mut scratch);
    }
    let late = (0..5).map(|_| decode(n, &mut state, &mut scratch)).fold(f64::MAX, f64::min);
    let prompt_seconds = best_seconds(|| {
        brain.model.forward(&prompt, &mut state, &mut scratch);
    });
    let step = ttt_step().0
        * 1e-6
        * (cfg.n_heads() * cfg.n_layers) as f64
        * (cfg.head_dim as f64 / 64.0).powi(2);
    Ok(ModelRow {
        preset: preset.to_owned(),
        m_params: cfg.n_params() as f64 / 1e6,
        decode_tokens_per_s: 1.0 / early.min(late),
        prompt_tokens_per_s: prompt.len() as f64 / prompt_seconds,
        ttt_share: step / early.min(late),
        late_by_early: late / early,
    })
}

impl fmt::Display for BenchReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "instruction set {}, DRAM read {:.1} GB/s (one thread)",
            self.isa, self.dram_read_gb_per_s
        )?;
        writeln!(f, "\nmatrix x vector, one thread   GMAC/s   scalar   ratio   weights GB/s")?;
        for r in &self.gemv {
            let (a, b) = r.shape;
            writeln!(
                f,
                "{:>12} x {:<6} {:>16.1} {:>8.2} {:>7.1} {:>14.1}",
                a, b, r.gmac_per_s, r.scalar_gmac_per_s, r.ratio, r.weight_gb_per_s
            )?;
        }
        let ratio = self.ttt_step_scalar_us / self.ttt_step_us;
        writeln!(
            f,
            "\nfast-weight step, one head 64 x 64: {:.2} us (by the formula {:.2} us, ratio {ratio:.1})",
            self.ttt_step_us, self.ttt_step_scalar_us
        )?;
        writeln!(
            f,
            "\nmodel        M params   decode tok/s   prompt tok/s   fast weights   late/early"
        )?;
        for m in &self.models {
            writeln!(
                f,
                "{:<12} {:>8.1} {:>14.0} {:>14.0} {:>12.0} % {:>12.2}",
                m.preset,
                m.m_params,
                m.decode_tokens_per_s,
                m.prompt_tokens_per_s,
                m.ttt_share * 100.0,
                m.late_by_early
            )?;
        }
        #[cfg(feature = "train")]
        {
            let t = &self.training;
            writeln!(
                f,
                "\ntraining {} {}x{}: {:.0} tok/s, plain candle {:.0} tok/s, ratio {:.2}",
                t.preset, t.shape.0, t.shape.1, t.fused_tokens_per_s, t.plain_tokens_per_s, t.ratio
            )?;
        }
        Ok(())
    }
}

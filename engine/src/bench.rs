//! Speed of the kernels and of whole models with random weights, and the ceilings of this machine beside them.
//!
//! Every figure is the best of several short runs, as other programs only ever make one slower. Takes below 40 seconds;
//! quick below 10.

use std::{
    fmt,
    hint::black_box,
    time::{Duration, Instant},
};

use serde::Serialize;

use crate::{
    checkpoint::{Brain, BrainOptions},
    kernels::{
        Isa, Kernels, Pool,
        pack::{TILE_ROWS, tile},
    },
    model::{ModelConfig, packed::ModelState},
    rng::Rng,
};

/// One figure of a kernel or of the machine.
#[derive(Debug, Clone, Serialize)]
pub struct KernelFigure {
    /// What was timed.
    pub name: String,
    /// Instruction set.
    pub isa: &'static str,
    /// Threads.
    pub threads: usize,
    /// The figure.
    pub value: f64,
    /// Its unit.
    pub unit: &'static str,
}

/// Figures of one model.
#[derive(Debug, Clone, Serialize)]
pub struct ModelFigure {
    /// Preset.
    pub preset: String,
    /// Millions of parameters.
    pub params_m: f64,
    /// Weights in memory, MiB.
    pub weights_mib: f64,
    /// Instruction set.
    pub isa: &'static str,
    /// Threads.
    pub threads: usize,
    /// Tokens per second, one after the other, logits included.
    pub decode_tok_s: f64,
    /// The same after `late_after` tokens were read: equal, as the memory does not grow.
    pub decode_late_tok_s: f64,
    /// Tokens read before `decode_late_tok_s`.
    pub late_after: usize,
    /// Tokens per second of a prompt, in chunks.
    pub prompt_tok_s: f64,
}

/// All figures of a run.
#[derive(Debug, Clone, Serialize)]
pub struct BenchReport {
    /// Instruction set in use.
    pub isa: &'static str,
    /// Instruction sets of this processor.
    pub isas: Vec<&'static str>,
    /// Threads of this machine as far as they were used.
    pub threads: usize,
    /// Kernels and ceilings.
    pub kernels: Vec<KernelFigure>,
    /// Whole models.
    pub models: Vec<ModelFigure>,
    /// Seconds that the run took.
    pub seconds: f64,
}

impl fmt::Display for BenchReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "instruction set {} (of {}), up to {} threads",
            self.isa,
            self.isas.join(", "),
            self.threads
        )?;
        writeln!(f, "\n{:<34} {:>8} {:>8} {:>12}", "kernel", "isa", "threads", "")?;
        for k in &self.kernels {
            let (name, isa, threads) = (&k.name, k.isa, k.threads);
            writeln!(f, "{name:<34} {isa:>8} {threads:>8} {:>12.2} {}", k.value, k.unit)?;
        }
        writeln!(
            f,
            "\n{:<12} {:>9} {:>9} {:>8} {:>8} {:>13} {:>20} {:>13}",
            "model",
            "M params",
            "MiB",
            "isa",
            "threads",
            "decode tok/s",
            "later tok/s",
            "prompt tok/s"
        )?;
        for m in &self.models {
            let late = format!("{:.0} (at {})", m.decode_late_tok_s, m.late_after);
            writeln!(
                f,
                "{:<12} {:>9.2} {:>9.2} {:>8} {:>8} {:>13.0} {:>20} {:>13.0}",
                m.preset,
                m.params_m,
                m.weights_mib,
                m.isa,
                m.threads,
                m.decode_tok_s,
                late,
                m.prompt_tok_s
            )?;
        }
        write!(f, "\n{:.1} s", self.seconds)
    }
}

/// Seconds of one call of `f`: the best of runs of at least a millisecond within `budget`.
fn best_seconds(budget: Duration, mut f: impl FnMut()) -> f64 {
    let start = Instant::now();
    f();
    let once = start.elapsed().as_secs_f64().max(1e-9);
    let calls = ((1e-3 / once) as usize).clamp(1, 1_000_000);
    let mut best = once;
    let mut runs = 0;
    while runs < 2 || start.elapsed() < budget {
        let run = Instant::now();
        (0..calls).for_each(|_| f());
        best = best.min(run.elapsed().as_secs_f64() / calls as f64);
        runs += 1;
    }
    best
}

/// Measures everything.
pub fn run(quick: bool) -> BenchReport {
    let start = Instant::now();
    let budget = Duration::from_millis(if quick { 60 } else { 400 });
    let active = Isa::active();
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get().min(16));
    let mut isas = vec![Isa::Scalar];
    if active != Isa::Scalar {
        isas.push(active);
    }
    let mut thread_counts = vec![1];
    if threads > 1 {
        thread_counts.push(threads);
    }
    let mut report = BenchReport {
        isa: active.name(),
        isas: Isa::available().into_iter().map(Isa::name).collect(),
        threads,
        kernels: Vec::new(),
        models: Vec::new(),
        seconds: 0.0,
    };
    ceilings(&mut report, active, &thread_counts, budget);
    for isa in isas {
        if let Ok(kernels) = Kernels::new(isa) {
            products(&mut report, kernels, &thread_counts, budget);
            fast_weight_step(&mut report, kernels, budget);
        }
    }
    let presets: &[&str] =
        if quick { &["small"] } else { &["small", "base", "bench-30m", "bench-125m"] };
    for preset in presets {
        for &threads in &thread_counts {
            models(&mut report, preset, active, threads, budget);
        }
    }
    models(&mut report, "small", Isa::Scalar, 1, budget / 2);
    report.seconds = start.elapsed().as_secs_f64();
    report
}

fn ceilings(report: &mut BenchReport, isa: Isa, thread_counts: &[usize], budget: Duration) {
    let mut add = |name: &str, threads, value, unit| {
        report.kernels.push(KernelFigure {
            name: name.into(),
            isa: isa.name(),
            threads,
            value,
            unit,
        });
    };
    if let Ok(kernels) = Kernels::new(isa)
        && let Some((macs, _)) = kernels.dot_peak(10_000)
    {
        let seconds = best_seconds(budget, || {
            black_box(kernels.dot_peak(black_box(10_000)));
        });
        add("ceiling: int8 dot from registers", 1, macs as f64 / seconds / 1e9, "GMAC/s");
    }
    // Larger than the caches of most machines.
    let memory = vec![1u64; 32 << 20];
    for &threads in thread_counts {
        let pool = Pool::new(threads);
        let chunk = memory.len() / 256;
        let mut sums = vec![0u64; 256];
        let seconds = best_seconds(budget, || {
            pool.split(&mut sums, 1, |first, sums| {
                for (i, sum) in sums.iter_mut().enumerate() {
                    let part = &memory[(first + i) * chunk..][..chunk];
                    *sum = part.iter().fold(0, |a, b| a ^ b);
                }
            });
            black_box(&mut sums);
        });
        add("ceiling: reading 256 MiB", threads, (memory.len() * 8) as f64 / seconds / 1e9, "GB/s");
    }
}

fn products(report: &mut BenchReport, kernels: Kernels, thread_counts: &[usize], budget: Duration) {
    let mut rng = Rng::new(1);
    for size in [512usize, 2560] {
        let packed: Vec<u8> =
            (0..size * size / 4).map(|_| [0x55, 0x92, 0x46, 0x18][rng.below(4)]).collect();
        let tiles = tile(&packed, size);
        for n in [1usize, 64] {
            let x: Vec<i8> = (0..n * size).map(|_| (rng.next_u64() >> 56) as u8 as i8).collect();
            let sums: Vec<i32> =
                x.chunks(size).map(|x| x.iter().map(|v| i32::from(*v)).sum()).collect();
            let mut out = vec![0; n * size];
            for &threads in thread_counts {
                let pool = Pool::new(threads);
                let group_bytes = TILE_ROWS * size / 4;
                // The plain kernel is slow: fewer columns tell the same.
                if kernels.isa() == Isa::Scalar && (n > 1 || threads > 1) {
                    continue;
                }
                let seconds = best_seconds(budget, || {
                    pool.split(&mut out, n * TILE_ROWS, |first, out| {
                        let groups = out.len() / (n * TILE_ROWS);
                        let w = &tiles[first * group_bytes..][..groups * group_bytes];
                        kernels.tiles(w, black_box(&x), &sums, out);
                    });
                });
                let columns = if n == 1 { String::new() } else { format!(", {n} columns") };
                report.kernels.push(KernelFigure {
                    name: format!("ternary {size} x {size}{columns}"),
                    isa: kernels.isa().name(),
                    threads,
                    value: (n * size * size) as f64 / seconds / 1e9,
                    unit: "GMAC/s",
                });
            }
        }
    }
    let (rows, width) = (8192, 512);
    let w: Vec<i8> = (0..rows * width).map(|i| (i * 37 % 255) as u8 as i8).collect();
    let x: Vec<i16> = (0..width).map(|i| (i * 91 % 8191) as i16).collect();
    let mut out = vec![0f32; rows];
    let seconds = best_seconds(budget, || kernels.gemv_i8(&w, black_box(&x), &mut out));
    report.kernels.push(KernelFigure {
        name: format!("output head {rows} x {width}"),
        isa: kernels.isa().name(),
        threads: 1,
        value: (rows * width) as f64 / seconds / 1e9,
        unit: "GMAC/s",
    });
}

fn fast_weight_step(report: &mut BenchReport, kernels: Kernels, budget: Duration) {
    let d = 64;
    let mut rng = Rng::new(2);
    let mut noise = |n: usize| (0..n).map(|_| rng.normal() as f32).collect::<Vec<_>>();
    let (mut q, mut k, v) = (noise(d), noise(d), noise(d));
    kernels.l2_normalize(&mut q);
    kernels.l2_normalize(&mut k);
    let (mut state, mut o) = (noise(d * d), vec![0f32; d]);
    let (width, gain) = (768, vec![1f32; 768]);
    let (row, taps) = (noise(width), noise(4 * width));
    let (mut x, mut step, mut out) = (row.clone(), vec![0i8; width], vec![0f32; width]);
    let mut add = |name: String, seconds: f64| {
        report.kernels.push(KernelFigure {
            name,
            isa: kernels.isa().name(),
            threads: 1,
            value: seconds * 1e6,
            unit: "us",
        });
    };
    let seconds = best_seconds(budget / 2, || {
        x.copy_from_slice(&row);
        black_box(kernels.norm_quantize(&mut x, &gain, true, &mut step));
    });
    add(format!("norm and int8 rounding, {width} wide"), seconds);
    let seconds = best_seconds(budget / 2, || {
        kernels.conv_silu(&taps, [black_box(&row); 4], &mut out);
    });
    add(format!("convolution and SiLU, {width} wide"), seconds);
    for (name, gates) in [("learning", (0.5, 0.99)), ("closed", (0.0, 1.0))] {
        let seconds = best_seconds(budget, || {
            kernels.ttt_step([&q, &k, &v], black_box(gates), &mut state, &mut o);
            black_box(&mut o);
        });
        add(format!("fast-weight step, 64 wide, {name}"), seconds);
    }
}

fn models(report: &mut BenchReport, preset: &str, isa: Isa, threads: usize, budget: Duration) {
    let Some(cfg) = ModelConfig::preset(preset) else { return };
    let brain = Brain::random_with(&cfg, 1, &BrainOptions { threads, isa: Some(isa) });
    let mut state = ModelState::new(&cfg);
    let mut logits = vec![0f32; cfg.vocab_size];
    let mut decode = |state: &mut ModelState| {
        let mut id = 40;
        1.0 / best_seconds(budget, || {
            let x = brain.model.forward_token(id, state);
            brain.model.logits(&x, &mut logits);
            id = 40 + (id * 31 + 7) % 200;
        })
    };
    let decode_tok_s = decode(&mut state);
    let ids: Vec<u32> = (0..256).map(|i| 40 + i * 37 % 200).collect();
    let mut late_after = 0;
    let mut read = || {
        late_after += ids.len();
        black_box(brain.model.forward_tokens(&ids, &mut state));
    };
    let prompt_tok_s = ids.len() as f64 / best_seconds(budget, &mut read);
    // Far enough to show that nothing grows, within the time that there is.
    let start = Instant::now();
    while start.elapsed() < budget * 2 {
        read();
    }
    let decode_late_tok_s = decode(&mut state);
    report.models.push(ModelFigure {
        preset: preset.into(),
        params_m: cfg.n_params() as f64 / 1e6,
        weights_mib: brain.model.weight_bytes() as f64 / f64::from(1 << 20),
        isa: isa.name(),
        threads: brain.model.threads(),
        decode_tok_s,
        decode_late_tok_s,
        late_after,
        prompt_tok_s,
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quick_run_gives_figures() {
        let report = run(true);
        eprintln!("{report}");
        assert!(report.kernels.iter().all(|k| k.value > 0.0));
        assert!(report.models.iter().all(|m| m.decode_tok_s > 0.0 && m.prompt_tok_s > 0.0));
        assert!(serde_json::to_string(&report).is_ok());
    }

    #[test]
    #[ignore = "half a minute"]
    fn a_full_run_gives_figures() {
        eprintln!("{}", run(false));
    }
}

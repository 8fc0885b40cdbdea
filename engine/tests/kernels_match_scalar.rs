//! Every instruction set of this machine against the plain kernels: integers exactly, `f32` within rounding.
#![allow(clippy::unwrap_used, reason = "tests")]

use engine::kernels::{Isa, Kernels, pack, scalar};
use proptest::{collection::vec, prelude::*};

fn kernels() -> Vec<Kernels> {
    Isa::available().into_iter().map(|isa| Kernels::new(isa).unwrap()).collect()
}

/// Product by the reference on packed rows, as `[n, rows]`.
fn reference(packed: &[u8], x: &[i8], n_in: usize) -> Vec<Vec<i32>> {
    x.chunks_exact(n_in)
        .map(|x| {
            let mut out = vec![0; packed.len() * 4 / n_in];
            scalar::gemv_t2_i8(packed, x, &mut out);
            out
        })
        .collect()
}

fn check(weights: &[i8], x: &[i8], n_in: usize) {
    let packed = pack::pack(weights);
    let expected = reference(&packed, x, n_in);
    let tiles = pack::tile(&packed, n_in);
    let (n, rows) = (x.len() / n_in, weights.len() / n_in);
    let sums: Vec<i32> =
        x.chunks_exact(n_in).map(|x| x.iter().map(|v| i32::from(*v)).sum()).collect();
    for kernels in kernels() {
        let mut out = vec![7; n * rows];
        kernels.tiles(&tiles, x, &sums, &mut out);
        for t in 0..n {
            for r in 0..rows {
                let got = out[(r / 32 * n + t) * 32 + r % 32];
                assert_eq!(
                    got,
                    expected[t][r],
                    "{:?}: column {t}, row {r}, width {n_in}",
                    kernels.isa()
                );
            }
        }
    }
}

#[test]
fn the_instruction_sets_of_this_machine() {
    let names: Vec<_> = kernels().iter().map(|k| k.isa().name()).collect();
    eprintln!("instruction sets compared: {}", names.join(", "));
    let missing: Vec<_> =
        Isa::ALL.iter().filter(|isa| !isa.is_available()).map(|isa| isa.name()).collect();
    eprintln!("not on this machine, so not compared: {}", missing.join(", "));
}

#[test]
fn extreme_weights_and_activations_do_not_overflow() {
    for n_in in [64, 128, 192, 1024, 4096, 16384] {
        for w in [-1i8, 0, 1] {
            for x in [-128i8, -127, 127] {
                for n in [1, 3, 8] {
                    check(&vec![w; 32 * n_in], &vec![x; n * n_in], n_in);
                }
            }
        }
        let mixed: Vec<i8> = (0..n_in).map(|i| if i % 2 == 0 { -128 } else { 127 }).collect();
        let signs: Vec<i8> = (0..32 * n_in).map(|i| if i % 2 == 0 { -1 } else { 1 }).collect();
        check(&signs, &mixed, n_in);
    }
}

#[test]
fn head_products_are_exact_at_the_limits() {
    let most = scalar::HEAD_ACT_MAX as i16;
    for n_in in [64, 512, 4096, 16384] {
        for (w, x) in [(-128i8, most), (-128, -most), (127, most)] {
            for kernels in kernels() {
                let mut out = [0f32; 2];
                kernels.gemv_i8(&vec![w; 2 * n_in], &vec![x; n_in], &mut out);
                let want = (i64::from(w) * i64::from(x) * n_in as i64) as f32;
                assert_eq!(out, [want; 2], "{:?} {n_in}", kernels.isa());
            }
        }
    }
}

fn extreme_i8() -> impl Strategy<Value = i8> {
    prop_oneof![4 => any::<i8>(), 1 => Just(-128i8), 1 => Just(-127i8), 1 => Just(127i8), 1 => Just(0i8)]
}

/// `(weights, activations, width)` of a random product.
fn product() -> impl Strategy<Value = (Vec<i8>, Vec<i8>, usize)> {
    (1usize..12, 1usize..4, 1usize..20).prop_flat_map(|(width, groups, n)| {
        let n_in = width * 64;
        (vec(-1i8..=1, groups * 32 * n_in), vec(extreme_i8(), n * n_in), Just(n_in))
    })
}

fn close(a: &[f32], b: &[f32]) -> bool {
    a.iter().zip(b).all(|(a, b)| (a - b).abs() <= 1e-4 + 1e-4 * b.abs())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn ternary_products_are_equal((weights, x, n_in) in product()) {
        check(&weights, &x, n_in);
    }

    #[test]
    fn head_products_are_equal(
        width in 1usize..9,
        seed in vec(extreme_i8(), 64),
        x in vec(-8191i16..=8191, 64),
    ) {
        let w: Vec<i8> = (0..5 * width * 64).map(|i| seed[(i * 7 + i / 64) % 64]).collect();
        let x: Vec<i16> = (0..width * 64).map(|i| x[(i * 5 + i / 64) % 64]).collect();
        let mut expected = vec![0f32; 5];
        Kernels::new(Isa::Scalar).unwrap().gemv_i8(&w, &x, &mut expected);
        for kernels in kernels() {
            let mut out = vec![0f32; 5];
            kernels.gemv_i8(&w, &x, &mut out);
            prop_assert_eq!(&out, &expected);
        }
    }

    #[test]
    fn float_kernels_agree(
        d in 1usize..9,
        values in vec(-3f32..3.0, 128 * 6),
        state in vec(-1f32..1.0, 128 * 128),
        gates in (0f32..1.0, 0.5f32..1.0),
        closed in any::<bool>(),
    ) {
        let d = 16 * d;
        let part = |i: usize| &values[i * 128..i * 128 + d];
        let gates = if closed { (0.0, 1.0) } else { gates };
        let run = |kernels: Kernels| {
            let mut all = Vec::new();
            let mut fast = state[..d * d].to_vec();
            let (mut q, mut k) = (part(0).to_vec(), part(1).to_vec());
            kernels.l2_normalize(&mut q);
            kernels.l2_normalize(&mut k);
            let mut o = vec![0f32; d];
            kernels.ttt_step([&q, &k, part(2)], gates, &mut fast, &mut o);
            let mut y = vec![0f32; d];
            kernels.head_norm_gate(&o, part(3), part(4), &mut y);
            let mut c = vec![0f32; d];
            kernels.conv_silu(&values[..4 * d], [part(0), part(1), part(2), part(3)], &mut c);
            let mut n = vec![0f32; d];
            kernels.rms_norm(part(5), part(4), &mut n);
            let mut g = vec![0f32; 2];
            kernels.gemv_f32(&values[..2 * d], &[0.5, -0.5], part(5), &mut g);
            for part in [&fast, &o, &y, &c, &n, &g] {
                all.extend_from_slice(part);
            }
            (fast, all)
        };
        let (fast, expected) = run(Kernels::new(Isa::Scalar).unwrap());
        prop_assert!(!closed || fast == state[..d * d], "a closed gate keeps every bit");
        for kernels in kernels() {
            let (fast, all) = run(kernels);
            prop_assert!(close(&all, &expected), "{:?}", kernels.isa());
            prop_assert!(!closed || fast == state[..d * d]);
        }
    }

    #[test]
    fn activations_are_rounded_alike(x in vec(-4f32..4.0, 192), gain in vec(0.2f32..2.0, 192), squared in any::<bool>()) {
        let run = |kernels: Kernels| {
            let (mut x, mut q) = (x.clone(), vec![0i8; x.len()]);
            let (step, sum) = kernels.norm_quantize(&mut x, &gain, squared, &mut q);
            assert_eq!(sum, q.iter().map(|q| i32::from(*q)).sum::<i32>());
            (step, q)
        };
        let (step, q) = run(Kernels::new(Isa::Scalar).unwrap());
        prop_assert_eq!(q.iter().map(|q| q.unsigned_abs()).max(), Some(127));
        for kernels in kernels() {
            let (other_step, other) = run(kernels);
            prop_assert!((step - other_step).abs() <= 1e-5 * step);
            // A value on the border of two steps may fall to either side.
            prop_assert!(q.iter().zip(&other).all(|(a, b)| (i16::from(*a) - i16::from(*b)).abs() <= 1));
        }
    }
}

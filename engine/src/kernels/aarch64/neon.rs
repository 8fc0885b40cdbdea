//! NEON: ternary products by widening multiplies. The `f32` loops are the scalar ones, which NEON is the baseline for.
//!
//! Written for the same tiles as the others. Never run by the authors on a machine of this kind; the test that compares
//! every available instruction set with the scalar kernels covers it there.
#![allow(unsafe_code, reason = "vector intrinsics that load through pointers")]

use std::arch::aarch64::*;

use crate::kernels::pack::{TILE_BYTES, TILE_COLS, TILE_ROWS};

/// [`crate::kernels::scalar::tiles`]; same shapes.
///
/// # Panics
/// If the slices do not fit each other.
#[target_feature(enable = "neon")]
pub(in crate::kernels) fn tiles(w: &[u8], x: &[i8], sums: &[i32], out: &mut [i32]) {
    let n = sums.len();
    let n_in = x.len() / n.max(1);
    let group_bytes = n_in * TILE_ROWS / 4;
    assert!(n > 0 && n_in.is_multiple_of(TILE_COLS) && n_in > 0 && x.len() == n * n_in);
    assert!(
        out.len().is_multiple_of(n * TILE_ROWS)
            && w.len() / group_bytes == out.len() / (n * TILE_ROWS)
    );
    let mask = vdupq_n_s8(3);
    for (group, out) in w.chunks_exact(group_bytes).zip(out.chunks_exact_mut(n * TILE_ROWS)) {
        for ((x, sum), out) in x.chunks_exact(n_in).zip(sums).zip(out.chunks_exact_mut(TILE_ROWS)) {
            // A vector is four rows of four columns; eight vectors are the group.
            let mut acc = [vdupq_n_s32(0); 8];
            for block in 0..n_in / TILE_COLS {
                for (i, acc) in acc.iter_mut().enumerate() {
                    // SAFETY: 128 bytes of `group` and 16 of `x` from this block lie inside (asserted above).
                    unsafe {
                        let w = vld1q_u8(group.as_ptr().add(block * TILE_BYTES + 16 * i));
                        let x = x.as_ptr().add(block * TILE_COLS);
                        let codes = [
                            vandq_s8(vreinterpretq_s8_u8(w), mask),
                            vandq_s8(vreinterpretq_s8_u8(vshrq_n_u8::<2>(w)), mask),
                            vandq_s8(vreinterpretq_s8_u8(vshrq_n_u8::<4>(w)), mask),
                            vandq_s8(vreinterpretq_s8_u8(vshrq_n_u8::<6>(w)), mask),
                        ];
                        for (s, codes) in codes.into_iter().enumerate() {
                            let quad = x.add(4 * s).cast::<i32>().read_unaligned();
                            let a = vreinterpretq_s8_s32(vdupq_n_s32(quad));
                            let low = vmull_s8(vget_low_s8(codes), vget_low_s8(a));
                            let high = vmull_s8(vget_high_s8(codes), vget_high_s8(a));
                            let pairs = vpaddq_s16(low, high);
                            *acc = vpadalq_s16(*acc, pairs);
                        }
                    }
                }
            }
            for (i, acc) in acc.into_iter().enumerate() {
                let sum = vsubq_s32(acc, vdupq_n_s32(*sum));
                // SAFETY: `out` has 32 elements, eight stores of four.
                unsafe { vst1q_s32(out.as_mut_ptr().add(4 * i), sum) };
            }
        }
    }
}

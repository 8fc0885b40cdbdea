//! AVX-512 with VNNI: `dpbusd` multiplies the two-bit codes with int8 activations and adds straight into `i32`.
//!
//! Same tiles as the other instruction sets; a 64-byte load is 16 rows. The `f32` loops are those of AVX2.
#![allow(unsafe_code, reason = "vector intrinsics that load through pointers")]

use std::arch::x86_64::*;

use crate::kernels::pack::{TILE_BYTES, TILE_COLS, TILE_ROWS};

/// [`crate::kernels::scalar::tiles`]; same shapes.
///
/// # Panics
/// If the slices do not fit each other.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni,avx2,fma")]
pub(in crate::kernels) fn tiles(w: &[u8], x: &[i8], sums: &[i32], out: &mut [i32]) {
    let n = sums.len();
    let n_in = x.len() / n.max(1);
    let group_bytes = n_in * TILE_ROWS / 4;
    assert!(n > 0 && n_in.is_multiple_of(TILE_COLS) && n_in > 0 && x.len() == n * n_in);
    assert!(
        out.len().is_multiple_of(n * TILE_ROWS)
            && w.len() / group_bytes == out.len() / (n * TILE_ROWS)
    );
    for (group, out) in w.chunks_exact(group_bytes).zip(out.chunks_exact_mut(n * TILE_ROWS)) {
        let mut at = 0;
        while at < n {
            let left = n - at;
            let width = if left >= 8 {
                8
            } else if left >= 4 {
                4
            } else if left >= 2 {
                2
            } else {
                1
            };
            let x = &x[at * n_in..(at + width) * n_in];
            let sums = &sums[at..at + width];
            let out = &mut out[at * TILE_ROWS..(at + width) * TILE_ROWS];
            match width {
                8 => columns::<8>(group, x, sums, out),
                4 => columns::<4>(group, x, sums, out),
                2 => columns::<2>(group, x, sums, out),
                _ => columns::<1>(group, x, sums, out),
            }
            at += width;
        }
    }
}

/// Four bytes at `x[at..]` in every lane.
///
/// # Safety
/// `x[at..at + 4]` must be inside the allocation.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni,avx2,fma")]
unsafe fn broadcast4(x: *const i8, at: usize) -> __m512i {
    // SAFETY: the caller guarantees four readable bytes; the read needs no alignment.
    _mm512_set1_epi32(unsafe { x.add(at).cast::<i32>().read_unaligned() })
}

/// 32 rows of one group times `N` columns. `out [N, 32]`.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni,avx2,fma")]
fn columns<const N: usize>(group: &[u8], x: &[i8], sums: &[i32], out: &mut [i32]) {
    let n_in = x.len() / N;
    let blocks = n_in / TILE_COLS;
    assert!(group.len() == blocks * TILE_BYTES && out.len() == N * TILE_ROWS && sums.len() == N);
    assert!(x.len() == N * n_in && n_in.is_multiple_of(TILE_COLS));
    let mask = _mm512_set1_epi8(3);
    let mut acc = [[_mm512_setzero_si512(); 2]; N];
    for (acc, sum) in acc.iter_mut().zip(sums) {
        *acc = [_mm512_set1_epi32(-sum); 2];
    }
    for block in 0..blocks {
        for strip in 0..2 {
            // SAFETY: block < blocks and strip < 2, so the 64 bytes of `group` and, in each of the `N` rows of `n_in`
            // activations, 16 bytes from column 16·block lie inside (asserted above).
            unsafe {
                let w =
                    _mm512_loadu_si512(group.as_ptr().add(block * TILE_BYTES + 64 * strip).cast());
                let w0 = _mm512_and_si512(w, mask);
                let w1 = _mm512_and_si512(_mm512_srli_epi16::<2>(w), mask);
                let w2 = _mm512_and_si512(_mm512_srli_epi16::<4>(w), mask);
                let w3 = _mm512_and_si512(_mm512_srli_epi16::<6>(w), mask);
                for (c, acc) in acc.iter_mut().enumerate() {
                    let at = c * n_in + block * TILE_COLS;
                    let sum = &mut acc[strip];
                    *sum = _mm512_dpbusd_epi32(*sum, w0, broadcast4(x.as_ptr(), at));
                    *sum = _mm512_dpbusd_epi32(*sum, w1, broadcast4(x.as_ptr(), at + 4));
                    *sum = _mm512_dpbusd_epi32(*sum, w2, broadcast4(x.as_ptr(), at + 8));
                    *sum = _mm512_dpbusd_epi32(*sum, w3, broadcast4(x.as_ptr(), at + 12));
                }
            }
        }
    }
    for (c, acc) in acc.into_iter().enumerate() {
        for (strip, acc) in acc.into_iter().enumerate() {
            // SAFETY: c < N and strip < 2, so 16 elements from here lie inside `out [N, 32]` (asserted above).
            unsafe {
                _mm512_storeu_si512(out.as_mut_ptr().add(c * TILE_ROWS + 16 * strip).cast(), acc);
            }
        }
    }
}

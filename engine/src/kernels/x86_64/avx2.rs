//! AVX2: codes 0, 1, 2 as unsigned bytes times int8 activations, `maddubs` into i16, widened before it can overflow.
//!
//! A `maddubs` pair is at most `2 · (2 · 128) = 512`; four planes make 2,048 a block and lane; after
//! [`BLOCKS_PER_FOLD`] blocks the i16 sums (at most 16,384) are added to i32. So every int8 input is exact.
#![allow(unsafe_code, reason = "intrinsics; every function needs AVX2 and says so")]

use std::arch::x86_64::*;

use super::super::pack::{Activations, BLOCK};

const BLOCKS_PER_FOLD: usize = 8;

/// The 32 codes of plane `s` of packed bytes.
#[inline]
#[target_feature(enable = "avx2")]
fn plane(bytes: __m256i, s: i32) -> __m256i {
    let three = _mm256_set1_epi8(3);
    match s {
        0 => _mm256_and_si256(bytes, three),
        1 => _mm256_and_si256(_mm256_srli_epi16(bytes, 2), three),
        2 => _mm256_and_si256(_mm256_srli_epi16(bytes, 4), three),
        _ => _mm256_and_si256(_mm256_srli_epi16(bytes, 6), three),
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn load<T>(at: &[T]) -> __m256i {
    assert!(std::mem::size_of_val(at) >= 32);
    // SAFETY: at least 32 bytes are readable (asserted).
    unsafe { _mm256_loadu_si256(at.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx2")]
fn sum_i32(v: __m256i) -> i32 {
    let half = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    let quarter = _mm_add_epi32(half, _mm_shuffle_epi32(half, 0b00_00_11_10));
    _mm_cvtsi128_si32(_mm_add_epi32(quarter, _mm_shuffle_epi32(quarter, 0b00_00_00_01)))
}

/// `R` rows at once, so that the activations are loaded once for all of them.
#[inline]
#[target_feature(enable = "avx2")]
fn rows<const R: usize>(w: &[u8], row_bytes: usize, x: &Activations) -> [i32; R] {
    let ones = _mm256_set1_epi16(1);
    let n_blocks = row_bytes / 32;
    let mut wide = [_mm256_setzero_si256(); R];
    let mut block = 0;
    while block < n_blocks {
        let end = (block + BLOCKS_PER_FOLD).min(n_blocks);
        let mut sums = [_mm256_setzero_si256(); R];
        while block < end {
            let planes = &x.planes[block * BLOCK..(block + 1) * BLOCK];
            let (x0, x1, x2, x3) =
                (load(planes), load(&planes[32..]), load(&planes[64..]), load(&planes[96..]));
            for r in 0..R {
                let bytes = load(&w[r * row_bytes + block * 32..]);
                let a = _mm256_add_epi16(
                    _mm256_maddubs_epi16(plane(bytes, 0), x0),
                    _mm256_maddubs_epi16(plane(bytes, 1), x1),
                );
                let b = _mm256_add_epi16(
                    _mm256_maddubs_epi16(plane(bytes, 2), x2),
                    _mm256_maddubs_epi16(plane(bytes, 3), x3),
                );
                sums[r] = _mm256_add_epi16(sums[r], _mm256_add_epi16(a, b));
            }
            block += 1;
        }
        for r in 0..R {
            wide[r] = _mm256_add_epi32(wide[r], _mm256_madd_epi16(sums[r], ones));
        }
    }
    let mut out = [0i32; R];
    for r in 0..R {
        out[r] = sum_i32(wide[r]) - x.sum;
        // A last half block: 16 bytes, four planes of 16.
        let tail = &w[r * row_bytes + n_blocks * 32..(r + 1) * row_bytes];
        for (i, byte) in tail.iter().enumerate() {
            for s in 0..4 {
                out[r] += i32::from(byte >> (2 * s) & 3)
                    * i32::from(x.planes[n_blocks * BLOCK + s * tail.len() + i]);
            }
        }
    }
    out
}

/// As `scalar::gemv_t2`.
#[target_feature(enable = "avx2")]
pub(in super::super) fn gemv_t2(w: &[u8], row_bytes: usize, x: &Activations, out: &mut [i32]) {
    let quads = w.chunks_exact(4 * row_bytes);
    let rest = quads.remainder();
    let (out4, out1) = out.as_chunks_mut::<4>();
    for (w, out) in quads.zip(out4) {
        *out = rows::<4>(w, row_bytes, x);
    }
    for (w, out) in rest.chunks_exact(row_bytes).zip(out1) {
        *out = rows::<1>(w, row_bytes, x)[0];
    }
}

/// As `scalar::gemv_i8`.
#[target_feature(enable = "avx2")]
pub(in super::super) fn gemv_i8(w: &[i8], x: &[i8], out: &mut [i32]) {
    for (row, out) in w.chunks_exact(x.len()).zip(out) {
        let mut sum = _mm256_setzero_si256();
        let (a16, a_rest) = row.as_chunks::<16>();
        let (b16, b_rest) = x.as_chunks::<16>();
        for (a, b) in a16.iter().zip(b16) {
            // SAFETY: both are sixteen bytes.
            let (a, b) =
                unsafe { (_mm_loadu_si128(a.as_ptr().cast()), _mm_loadu_si128(b.as_ptr().cast())) };
            sum = _mm256_add_epi32(
                sum,
                _mm256_madd_epi16(_mm256_cvtepi8_epi16(a), _mm256_cvtepi8_epi16(b)),
            );
        }
        *out = sum_i32(sum)
            + a_rest.iter().zip(b_rest).map(|(a, b)| i32::from(*a) * i32::from(*b)).sum::<i32>();
    }
}

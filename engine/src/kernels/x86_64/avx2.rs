//! AVX2 + FMA: integer products by hand, the `f32` loops by compiling the scalar text with the features on.
//!
//! Ternary products take the two-bit codes 0, 1, 2 as unsigned bytes: `maddubs` gives pairs of at most ±512, 32 of which
//! fit an `i16` with room to spare, then `madd` widens to `i32`. The sum of the activations is subtracted once.
#![allow(unsafe_code, reason = "vector intrinsics that load through pointers")]

use std::arch::x86_64::*;

use crate::kernels::{
    pack::{TILE_BYTES, TILE_COLS, TILE_ROWS},
    scalar,
};
use crate::model::CONV_WIDTH;

/// Blocks whose products are added up in `i16`: 8 blocks are 32 steps of at most 512.
const I16_BLOCKS: usize = 8;

/// [`scalar::tiles`]; same shapes.
///
/// # Panics
/// If the slices do not fit each other.
#[target_feature(enable = "avx2,fma")]
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
        if n == 1 {
            one_column(group, x, sums[0], out);
            continue;
        }
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
                _ => one_column(group, x, sums[0], out),
            }
            at += width;
        }
    }
}

/// Four bytes at `x[at..]` in every lane.
///
/// # Safety
/// `x[at..at + 4]` must be inside the allocation.
#[target_feature(enable = "avx2,fma")]
unsafe fn broadcast4(x: *const i8, at: usize) -> __m256i {
    // SAFETY: the caller guarantees four readable bytes; the read needs no alignment.
    _mm256_set1_epi32(unsafe { x.add(at).cast::<i32>().read_unaligned() })
}

/// 32 rows of one group times one column.
#[target_feature(enable = "avx2,fma")]
fn one_column(group: &[u8], x: &[i8], sum: i32, out: &mut [i32]) {
    assert!(group.len() == x.len() / TILE_COLS * TILE_BYTES && out.len() == TILE_ROWS);
    let (mask, ones) = (_mm256_set1_epi8(3), _mm256_set1_epi16(1));
    let mut acc = [_mm256_set1_epi32(-sum); 4];
    let blocks = x.len() / TILE_COLS;
    let mut block = 0;
    while block < blocks {
        let end = (block + I16_BLOCKS).min(blocks);
        let mut part = [_mm256_setzero_si256(); 4];
        while block < end {
            // SAFETY: block < blocks, so 128 bytes of `group` and 16 of `x` from here lie inside (asserted above).
            unsafe {
                let tile = group.as_ptr().add(block * TILE_BYTES).cast::<__m256i>();
                let at = block * TILE_COLS;
                let a = [
                    broadcast4(x.as_ptr(), at),
                    broadcast4(x.as_ptr(), at + 4),
                    broadcast4(x.as_ptr(), at + 8),
                    broadcast4(x.as_ptr(), at + 12),
                ];
                for (i, part) in part.iter_mut().enumerate() {
                    let w = _mm256_loadu_si256(tile.add(i));
                    let p0 = _mm256_maddubs_epi16(_mm256_and_si256(w, mask), a[0]);
                    let p1 = _mm256_maddubs_epi16(
                        _mm256_and_si256(_mm256_srli_epi16::<2>(w), mask),
                        a[1],
                    );
                    let p2 = _mm256_maddubs_epi16(
                        _mm256_and_si256(_mm256_srli_epi16::<4>(w), mask),
                        a[2],
                    );
                    let p3 = _mm256_maddubs_epi16(
                        _mm256_and_si256(_mm256_srli_epi16::<6>(w), mask),
                        a[3],
                    );
                    let p = _mm256_add_epi16(_mm256_add_epi16(p0, p1), _mm256_add_epi16(p2, p3));
                    *part = _mm256_add_epi16(*part, p);
                }
            }
            block += 1;
        }
        for (acc, part) in acc.iter_mut().zip(part) {
            *acc = _mm256_add_epi32(*acc, _mm256_madd_epi16(part, ones));
        }
    }
    for (i, acc) in acc.into_iter().enumerate() {
        // SAFETY: `out` has 32 elements (asserted above), four stores of eight.
        unsafe { _mm256_storeu_si256(out.as_mut_ptr().add(8 * i).cast(), acc) };
    }
}

/// 32 rows of one group times `N` columns: codes are taken apart once for all of them. `out [N, 32]`.
#[target_feature(enable = "avx2,fma")]
fn columns<const N: usize>(group: &[u8], x: &[i8], sums: &[i32], out: &mut [i32]) {
    let n_in = x.len() / N;
    let blocks = n_in / TILE_COLS;
    assert!(group.len() == blocks * TILE_BYTES && out.len() == N * TILE_ROWS && sums.len() == N);
    assert!(x.len() == N * n_in && n_in.is_multiple_of(TILE_COLS));
    let (mask, ones) = (_mm256_set1_epi8(3), _mm256_set1_epi16(1));
    for strip in 0..4 {
        let mut acc = [_mm256_setzero_si256(); N];
        for (acc, sum) in acc.iter_mut().zip(sums) {
            *acc = _mm256_set1_epi32(-sum);
        }
        let mut block = 0;
        while block < blocks {
            let end = (block + I16_BLOCKS).min(blocks);
            let mut part = [_mm256_setzero_si256(); N];
            while block < end {
                // SAFETY: block < blocks and strip < 4, so the 32 bytes of `group` and, in each of the `N` rows of
                // `n_in` activations, 16 bytes from column 16·block lie inside (asserted above).
                unsafe {
                    let w = _mm256_loadu_si256(
                        group.as_ptr().add(block * TILE_BYTES + 32 * strip).cast::<__m256i>(),
                    );
                    let w0 = _mm256_and_si256(w, mask);
                    let w1 = _mm256_and_si256(_mm256_srli_epi16::<2>(w), mask);
                    let w2 = _mm256_and_si256(_mm256_srli_epi16::<4>(w), mask);
                    let w3 = _mm256_and_si256(_mm256_srli_epi16::<6>(w), mask);
                    for (c, part) in part.iter_mut().enumerate() {
                        let at = c * n_in + block * TILE_COLS;
                        let p0 = _mm256_maddubs_epi16(w0, broadcast4(x.as_ptr(), at));
                        let p1 = _mm256_maddubs_epi16(w1, broadcast4(x.as_ptr(), at + 4));
                        let p2 = _mm256_maddubs_epi16(w2, broadcast4(x.as_ptr(), at + 8));
                        let p3 = _mm256_maddubs_epi16(w3, broadcast4(x.as_ptr(), at + 12));
                        let p =
                            _mm256_add_epi16(_mm256_add_epi16(p0, p1), _mm256_add_epi16(p2, p3));
                        *part = _mm256_add_epi16(*part, p);
                    }
                }
                block += 1;
            }
            for (acc, part) in acc.iter_mut().zip(part) {
                *acc = _mm256_add_epi32(*acc, _mm256_madd_epi16(part, ones));
            }
        }
        for (c, acc) in acc.into_iter().enumerate() {
            // SAFETY: c < N and strip < 4, so eight elements from here lie inside `out [N, 32]` (asserted above).
            unsafe {
                _mm256_storeu_si256(out.as_mut_ptr().add(c * TILE_ROWS + 8 * strip).cast(), acc);
            }
        }
    }
}

/// [`scalar::gemv_i8`]; same shapes, `in` a multiple of 32, at most 16384.
#[target_feature(enable = "avx2,fma")]
pub(in crate::kernels) fn gemv_i8(w: &[i8], x: &[i16], out: &mut [f32]) {
    let n_in = x.len();
    assert!(n_in.is_multiple_of(32) && n_in > 0 && w.len() == out.len() * n_in);
    for (r, out) in out.iter_mut().enumerate() {
        let (mut acc0, mut acc1) = (_mm256_setzero_si256(), _mm256_setzero_si256());
        for step in 0..n_in / 32 {
            // SAFETY: 32 elements of row r of `w` and of `x` from 32·step lie inside (asserted above).
            unsafe {
                let w = w.as_ptr().add(r * n_in + 32 * step).cast::<__m128i>();
                let x = x.as_ptr().add(32 * step).cast::<__m256i>();
                let (w0, w1) = (_mm_loadu_si128(w), _mm_loadu_si128(w.add(1)));
                let (x0, x1) = (_mm256_loadu_si256(x), _mm256_loadu_si256(x.add(1)));
                acc0 = _mm256_add_epi32(acc0, _mm256_madd_epi16(_mm256_cvtepi8_epi16(w0), x0));
                acc1 = _mm256_add_epi32(acc1, _mm256_madd_epi16(_mm256_cvtepi8_epi16(w1), x1));
            }
        }
        *out = (sum_i32(acc0) + sum_i32(acc1)) as f32;
    }
}

/// Sum of the eight lanes, wide enough not to wrap.
#[target_feature(enable = "avx2,fma")]
fn sum_i32(v: __m256i) -> i64 {
    let (low, high) = (_mm256_castsi256_si128(v), _mm256_extracti128_si256::<1>(v));
    let wide = _mm256_add_epi64(_mm256_cvtepi32_epi64(low), _mm256_cvtepi32_epi64(high));
    let pair = _mm_add_epi64(_mm256_castsi256_si128(wide), _mm256_extracti128_si256::<1>(wide));
    _mm_cvtsi128_si64(pair) + _mm_extract_epi64::<1>(pair)
}

#[target_feature(enable = "avx2,fma")]
pub(in crate::kernels) fn rms_norm(x: &[f32], gain: &[f32], out: &mut [f32]) {
    scalar::rms_norm::<true>(x, gain, out);
}

#[target_feature(enable = "avx2,fma")]
pub(in crate::kernels) fn norm_quantize(
    x: &mut [f32],
    gain: &[f32],
    squared_relu: bool,
    q: &mut [i8],
) -> (f32, i32) {
    scalar::norm_quantize::<true>(x, gain, squared_relu, q)
}

#[target_feature(enable = "avx2,fma")]
pub(in crate::kernels) fn conv_silu(taps: &[f32], rows: [&[f32]; CONV_WIDTH], out: &mut [f32]) {
    scalar::conv_silu::<true>(taps, rows, out);
}

#[target_feature(enable = "avx2,fma")]
pub(in crate::kernels) fn l2_normalize(x: &mut [f32]) {
    scalar::l2_normalize::<true>(x);
}

#[target_feature(enable = "avx2,fma")]
pub(in crate::kernels) fn ttt_step(
    qkv: [&[f32]; 3],
    gates: (f32, f32),
    state: &mut [f32],
    o: &mut [f32],
) {
    scalar::ttt_step::<true>(qkv, gates, state, o);
}

#[target_feature(enable = "avx2,fma")]
pub(in crate::kernels) fn head_norm_gate(o: &[f32], g: &[f32], gain: &[f32], out: &mut [f32]) {
    scalar::head_norm_gate::<true>(o, g, gain, out);
}

#[target_feature(enable = "avx2,fma")]
pub(in crate::kernels) fn gemv_f32(w: &[f32], bias: &[f32], x: &[f32], out: &mut [f32]) {
    scalar::gemv_f32::<true>(w, bias, x, out);
}

/// Products of unsigned and signed bytes by `maddubs` and `add` on registers only: returns the number of multiply-adds
/// done in `rounds` and a value that depends on all of them.
#[target_feature(enable = "avx2,fma")]
pub(in crate::kernels) fn dot_peak(rounds: usize) -> (u64, i32) {
    let mut acc = [_mm256_setzero_si256(); 7];
    let mut w = [_mm256_setzero_si256(); 7];
    for (i, w) in w.iter_mut().enumerate() {
        *w = _mm256_set1_epi8(std::hint::black_box(i as i8 % 3));
    }
    let mut x = _mm256_set1_epi8(std::hint::black_box(3));
    for _ in 0..rounds {
        for (acc, w) in acc.iter_mut().zip(&w) {
            *acc = _mm256_add_epi16(*acc, _mm256_maddubs_epi16(*w, x));
        }
        // A new operand each round, so that no product is computed once for all.
        x = _mm256_add_epi8(x, w[1]);
    }
    let total = acc.into_iter().fold(_mm256_setzero_si256(), |a, b| _mm256_add_epi32(a, b));
    ((rounds * acc.len() * 32) as u64, sum_i32(total) as i32)
}

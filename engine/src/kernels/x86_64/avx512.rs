//! AVX-512 with VNNI: `vpdpbusd` adds four products of unsigned codes and int8 activations into i32 lanes.
#![allow(unsafe_code, reason = "intrinsics; every function needs AVX-512 VNNI and says so")]

use std::arch::x86_64::*;

use super::super::pack::{Activations, BLOCK};

/// Two blocks of 32 packed bytes and their planes at a time: 64 codes a vector.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni,avx2")]
fn row(w: &[u8], x: &Activations) -> i32 {
    let three = _mm512_set1_epi8(3);
    let mut acc = [_mm512_setzero_si512(); 4];
    let pairs = w.chunks_exact(64);
    let done = w.len() - pairs.remainder().len();
    for (bytes, planes) in pairs.zip(x.planes.chunks_exact(2 * BLOCK)) {
        // SAFETY: 64 bytes of weights.
        let bytes = unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) };
        let codes = [
            _mm512_and_si512(bytes, three),
            _mm512_and_si512(_mm512_srli_epi16(bytes, 2), three),
            _mm512_and_si512(_mm512_srli_epi16(bytes, 4), three),
            _mm512_and_si512(_mm512_srli_epi16(bytes, 6), three),
        ];
        for s in 0..4 {
            // SAFETY: plane `s` of both blocks, 32 bytes each, lies inside the 256 bytes of `planes`.
            let x = unsafe {
                let low = _mm256_loadu_si256(planes.as_ptr().add(s * 32).cast());
                let high = _mm256_loadu_si256(planes.as_ptr().add(BLOCK + s * 32).cast());
                _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1)
            };
            acc[s] = _mm512_dpbusd_epi32(acc[s], codes[s], x);
        }
    }
    let total =
        _mm512_add_epi32(_mm512_add_epi32(acc[0], acc[1]), _mm512_add_epi32(acc[2], acc[3]));
    let mut sum = _mm512_reduce_add_epi32(total);
    for (bytes, planes) in w[done..].chunks(BLOCK / 4).zip(x.planes[done * 4..].chunks(BLOCK)) {
        for (i, byte) in bytes.iter().enumerate() {
            for s in 0..4 {
                sum += i32::from(byte >> (2 * s) & 3) * i32::from(planes[s * bytes.len() + i]);
            }
        }
    }
    sum - x.sum
}

/// As `scalar::gemv_t2`.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni,avx2")]
pub(in super::super) fn gemv_t2(w: &[u8], row_bytes: usize, x: &Activations, out: &mut [i32]) {
    for (w, out) in w.chunks_exact(row_bytes).zip(out) {
        *out = row(w, x);
    }
}

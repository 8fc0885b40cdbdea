//! The integer kernels as their formulas read: the reference, and the fallback of every processor.

use super::pack::{Activations, BLOCK};

/// `Σ_c w[c] · x[c]` of one packed row.
pub(super) fn dot_t2(row: &[u8], x: &Activations) -> i32 {
    let mut sum = 0i32;
    for (bytes, planes) in row.chunks(BLOCK / 4).zip(x.planes.chunks(BLOCK)) {
        let len = bytes.len();
        for (i, byte) in bytes.iter().enumerate() {
            for s in 0..4 {
                sum += i32::from(byte >> (2 * s) & 3) * i32::from(planes[s * len + i]);
            }
        }
    }
    sum - x.sum
}

/// `out[r] = Σ_c w[r, c] · x[c]`.
pub(super) fn gemv_t2(w: &[u8], row_bytes: usize, x: &Activations, out: &mut [i32]) {
    for (row, out) in w.chunks_exact(row_bytes).zip(out) {
        *out = dot_t2(row, x);
    }
}

/// `out[r] = Σ_c w[r, c] · x[c]` of int8 rows.
pub(super) fn gemv_i8(w: &[i8], x: &[i8], out: &mut [i32]) {
    for (row, out) in w.chunks_exact(x.len()).zip(out) {
        *out = row.iter().zip(x).map(|(a, b)| i32::from(*a) * i32::from(*b)).sum();
    }
}

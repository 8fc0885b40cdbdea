//! Packed ternary matrix times int8 vectors, and the int8 output head: one safe function each, the instruction set
//! a parameter. The integers are the same on every one.
#![allow(unsafe_code, reason = "calls into functions with target features after their detection")]

use super::{Isa, pack::Activations, scalar};

/// `out[r] = Σ_c w[r, c] · x[c]`, `w` `[rows, cols]` ternary in 2 bits (layout: [`super::pack`]), `x` `[cols]` int8.
///
/// # Panics
/// If a length disagrees, or `isa` is not available.
pub fn gemv_t2_i8(isa: Isa, w: &[u8], x: &Activations, out: &mut [i32]) {
    let row_bytes = x.planes.len() / 4;
    assert_eq!(w.len(), row_bytes * out.len(), "weights do not fit rows and columns");
    assert!(isa.is_available(), "{} is not available", isa.name());
    match isa {
        Isa::Scalar => scalar::gemv_t2(w, row_bytes, x, out),
        // SAFETY: availability was asserted above.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => unsafe { super::x86_64::avx2::gemv_t2(w, row_bytes, x, out) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512Vnni => unsafe { super::x86_64::avx512::gemv_t2(w, row_bytes, x, out) },
        #[cfg(not(target_arch = "x86_64"))]
        _ => scalar::gemv_t2(w, row_bytes, x, out),
    }
}

/// `out[r] = Σ_c w[r, c] · x[c]`, both int8, `w` `[rows, cols]`.
///
/// # Panics
/// If a length disagrees, or `isa` is not available.
pub fn gemv_i8_i8(isa: Isa, w: &[i8], x: &[i8], out: &mut [i32]) {
    assert_eq!(w.len(), x.len() * out.len(), "weights do not fit rows and columns");
    assert!(isa.is_available(), "{} is not available", isa.name());
    match isa {
        Isa::Scalar => scalar::gemv_i8(w, x, out),
        // SAFETY: availability was asserted above; every processor with AVX-512 has AVX2.
        #[cfg(target_arch = "x86_64")]
        _ => unsafe { super::x86_64::avx2::gemv_i8(w, x, out) },
        #[cfg(not(target_arch = "x86_64"))]
        _ => scalar::gemv_i8(w, x, out),
    }
}

//! f32 matrix product for AVX2 + FMA: packed panels and a 6 × 16 register tile.
//!
//! The twin of the `gemm` crate's product, which is used everywhere else; on Zen 3 the crate reaches about 55 % of
//! the FMA peak. Sums run over `k` in fixed blocks, so the result does not depend on the number of threads.
#![allow(unsafe_code, reason = "intrinsics; every function states what it needs")]

use std::arch::x86_64::{
    __m256, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_set1_ps, _mm256_setzero_ps, _mm256_storeu_ps,
};

use rayon::prelude::*;

use super::training::Layout;

const MR: usize = 6;
const NR: usize = 16;
/// Depth of a block: a panel of `B` (`KC · NR` floats, 24 KiB) stays in L1 while a block of `A` streams by.
const KC: usize = 384;
/// Rows of a task: its packed block of `A` (`MC · KC` floats, 108 KiB) stays in L2.
const MC: usize = 72;

/// A matrix operand: the slice and how it lies.
#[derive(Clone, Copy)]
struct Operand<'a> {
    data: &'a [f32],
    row_stride: usize,
    col_stride: usize,
}

impl<'a> Operand<'a> {
    fn new((data, layout): (&'a [f32], Layout), rows: usize, cols: usize) -> Self {
        match layout {
            Layout::Plain => Self { data, row_stride: cols, col_stride: 1 },
            Layout::Transposed => Self { data, row_stride: 1, col_stride: rows },
        }
    }
}

/// Packs `width` lines (rows of `A` or columns of `B`) for `depth` steps as `[step][WIDTH]`, zero-padded.
fn pack_panel<const WIDTH: usize>(
    out: &mut [f32],
    src: &[f32],
    (line_start, lines, line_stride): (usize, usize, usize),
    (step_start, steps, step_stride): (usize, usize, usize),
) {
    if line_stride == 1 && lines == WIDTH {
        for (step, out) in out.as_chunks_mut::<WIDTH>().0.iter_mut().enumerate().take(steps) {
            let at = (step_start + step) * step_stride + line_start;
            out.copy_from_slice(&src[at..at + WIDTH]);
        }
        return;
    }
    for line in 0..WIDTH {
        if line >= lines {
            for out in out.as_chunks_mut::<WIDTH>().0.iter_mut().take(steps) {
                out[line] = 0.0;
            }
            continue;
        }
        let base = (line_start + line) * line_stride + step_start * step_stride;
        for (step, out) in out.as_chunks_mut::<WIDTH>().0.iter_mut().enumerate().take(steps) {
            out[line] = src[base + step * step_stride];
        }
    }
}

/// Depth of the blocks that a sum of `k` terms is cut into: equal ones, none deeper than [`KC`].
fn depth_of(k: usize) -> usize {
    k.div_ceil(k.div_ceil(KC).max(1)).max(1)
}

/// Lays `b [k, n]` out as panels: for each block of depth, for each sixteen columns, `[step][16]`.
pub(super) fn pack((b, layout): (&[f32], Layout), (k, n): (usize, usize)) -> Vec<f32> {
    let b = Operand::new((b, layout), k, n);
    let (n_panels, depth) = (n.div_ceil(NR), depth_of(k));
    let mut packed = vec![0f32; n_panels * NR * k];
    packed.par_chunks_mut(n_panels * NR * depth).enumerate().for_each(|(block, packed)| {
        let depth_here = packed.len() / (n_panels * NR);
        packed.par_chunks_mut(NR * depth_here).enumerate().for_each(|(p, out)| {
            let lines = (p * NR, NR.min(n - p * NR), b.col_stride);
            pack_panel::<NR>(out, b.data, lines, (block * depth, depth_here, b.row_stride));
        });
    });
    packed
}

/// `dst = a · b` or `dst += a · b`; as [`super::training::matmul`].
///
/// # Safety
/// The processor has AVX2 and FMA.
pub(super) unsafe fn matmul(
    dst: &mut [f32],
    (m, n, k): (usize, usize, usize),
    a: (&[f32], Layout),
    b: (&[f32], Layout),
    add: bool,
) {
    // SAFETY: as promised by the caller.
    unsafe { matmul_packed(dst, (m, n, k), a, &pack(b, (k, n)), add) };
}

/// [`matmul`] with the right-hand matrix as [`pack`] laid it out.
///
/// # Safety
/// The processor has AVX2 and FMA.
pub(super) unsafe fn matmul_packed(
    dst: &mut [f32],
    (m, n, k): (usize, usize, usize),
    a: (&[f32], Layout),
    packed_b: &[f32],
    add: bool,
) {
    let a = Operand::new(a, m, k);
    let n_panels = n.div_ceil(NR);
    assert_eq!(packed_b.len(), n_panels * NR * k);
    let full = depth_of(k);
    dst.par_chunks_mut(MC * n).enumerate().for_each(|(block, dst)| {
        let rows = dst.len() / n;
        let m_panels = rows.div_ceil(MR);
        let mut packed_a = [0f32; MC * KC];
        for (k_block, packed_b) in packed_b.chunks(n_panels * NR * full).enumerate() {
            let depth = packed_b.len() / (n_panels * NR);
            let add = add || k_block > 0;
            for p in 0..m_panels {
                let lines = (block * MC + p * MR, MR.min(rows - p * MR), a.row_stride);
                let out = &mut packed_a[p * MR * depth..(p + 1) * MR * depth];
                pack_panel::<MR>(out, a.data, lines, (k_block * full, depth, a.col_stride));
            }
            for (j, b_panel) in packed_b.chunks_exact(NR * depth).enumerate() {
                let cols = NR.min(n - j * NR);
                for (i, a_panel) in
                    packed_a[..m_panels * MR * depth].chunks_exact(MR * depth).enumerate()
                {
                    let rows = MR.min(rows - i * MR);
                    let at = i * MR * n + j * NR;
                    // SAFETY: the caller promises AVX2 and FMA; both panels hold `depth` steps; the tile's
                    // `rows` x `cols` numbers from `at` on with stride `n` lie inside `dst`.
                    unsafe { tile(a_panel, b_panel, &mut dst[at..], n, rows, cols, add) };
                }
            }
        }
    });
}

/// One 6 × 16 tile over the depth of two panels.
///
/// # Safety
/// AVX2 and FMA; `a.len() == 6 · depth`, `b.len() == 16 · depth`; `dst` reaches `(rows − 1) · stride + cols`.
#[target_feature(enable = "avx2,fma")]
unsafe fn tile(
    a: &[f32],
    b: &[f32],
    dst: &mut [f32],
    stride: usize,
    rows: usize,
    cols: usize,
    add: bool,
) {
    // Twelve named sums: an array here would live in memory instead of in registers.
    let zero = _mm256_setzero_ps();
    let (mut c00, mut c01, mut c10, mut c11, mut c20, mut c21) =
        (zero, zero, zero, zero, zero, zero);
    let (mut c30, mut c31, mut c40, mut c41, mut c50, mut c51) =
        (zero, zero, zero, zero, zero, zero);
    for (a, b) in a.as_chunks::<MR>().0.iter().zip(b.as_chunks::<NR>().0) {
        // SAFETY: `b` is sixteen floats.
        let (b0, b1) = unsafe { (_mm256_loadu_ps(b.as_ptr()), _mm256_loadu_ps(b.as_ptr().add(8))) };
        let x = _mm256_set1_ps(a[0]);
        (c00, c01) = (_mm256_fmadd_ps(x, b0, c00), _mm256_fmadd_ps(x, b1, c01));
        let x = _mm256_set1_ps(a[1]);
        (c10, c11) = (_mm256_fmadd_ps(x, b0, c10), _mm256_fmadd_ps(x, b1, c11));
        let x = _mm256_set1_ps(a[2]);
        (c20, c21) = (_mm256_fmadd_ps(x, b0, c20), _mm256_fmadd_ps(x, b1, c21));
        let x = _mm256_set1_ps(a[3]);
        (c30, c31) = (_mm256_fmadd_ps(x, b0, c30), _mm256_fmadd_ps(x, b1, c31));
        let x = _mm256_set1_ps(a[4]);
        (c40, c41) = (_mm256_fmadd_ps(x, b0, c40), _mm256_fmadd_ps(x, b1, c41));
        let x = _mm256_set1_ps(a[5]);
        (c50, c51) = (_mm256_fmadd_ps(x, b0, c50), _mm256_fmadd_ps(x, b1, c51));
    }
    let acc = [[c00, c01], [c10, c11], [c20, c21], [c30, c31], [c40, c41], [c50, c51]];
    for (row, acc) in acc.iter().enumerate().take(rows) {
        store_row(acc, &mut dst[row * stride..row * stride + cols], add);
    }
}

#[target_feature(enable = "avx2,fma")]
fn store_row(acc: &[__m256; 2], dst: &mut [f32], add: bool) {
    let mut row = [0f32; NR];
    // SAFETY: `row` is sixteen floats.
    unsafe {
        _mm256_storeu_ps(row.as_mut_ptr(), acc[0]);
        _mm256_storeu_ps(row.as_mut_ptr().add(8), acc[1]);
    }
    if let (true, Ok(dst)) = (dst.len() == NR, <&mut [f32; NR]>::try_from(&mut *dst)) {
        for (d, r) in dst.iter_mut().zip(row) {
            *d = if add { *d + r } else { r };
        }
        return;
    }
    for (d, r) in dst.iter_mut().zip(row) {
        *d = if add { *d + r } else { r };
    }
}

//! Ternary weights in 2 bits, and the order in which the kernels want the activations.
//!
//! On disk and in memory: row-major `[rows, cols / 4]` bytes; byte `b` of a row holds weights `4b … 4b+3`, weight `4b + s`
//! in bits `2s` and `2s + 1` as `value + 1` (0, 1, 2). `cols` is a multiple of 64.
//!
//! Shifting a vector of bytes by `2s` leaves weights `s, 4 + s, 8 + s …`, so activations are stored as four planes of
//! every [`BLOCK`] columns: plane `s` of a block holds its columns `s, 4 + s, …`.

/// Columns of a block of activations: 32 bytes of packed weights.
pub const BLOCK: usize = 128;

/// Packs ternary values −1, 0, 1.
///
/// # Panics
/// If the length is not a multiple of 4. Values outside −1..1 are clamped.
pub fn pack(values: &[i8]) -> Vec<u8> {
    let (groups, rest) = values.as_chunks::<4>();
    assert!(rest.is_empty(), "packed rows have a multiple of four weights");
    groups
        .iter()
        .map(|g| {
            g.iter()
                .enumerate()
                .fold(0u8, |b, (s, v)| b | ((v.clamp(&-1, &1) + 1) as u8) << (2 * s))
        })
        .collect()
}

/// Inverse of [`pack`]; code 3, which no writer makes, reads as 2.
pub fn unpack(bytes: &[u8]) -> Vec<i8> {
    bytes.iter().flat_map(|b| (0..4).map(move |s| (b >> (2 * s) & 3) as i8 - 1)).collect()
}

/// Whether no byte holds the code 3.
pub fn is_ternary(bytes: &[u8]) -> bool {
    bytes.iter().all(|b| b & (b >> 1) & 0x55 == 0)
}

/// Activations of one token in the order of the kernels, with their sum.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Activations {
    /// Four planes for every block; the last block may be half (64 columns, planes of 16).
    pub planes: Vec<i8>,
    /// Sum of all, which corrects the codes 0, 1, 2 to −1, 0, 1.
    pub sum: i32,
}

impl Activations {
    /// Reorders `x` (a multiple of 64 numbers).
    ///
    /// # Panics
    /// If the length is not a multiple of 64.
    pub fn set(&mut self, x: &[i8]) {
        assert!(x.len() % 64 == 0, "{} columns are not a multiple of 64", x.len());
        self.planes.resize(x.len(), 0);
        self.sum = x.iter().map(|v| i32::from(*v)).sum();
        for (x, planes) in x.chunks(BLOCK).zip(self.planes.chunks_mut(BLOCK)) {
            let len = x.len() / 4;
            for (i, group) in x.as_chunks::<4>().0.iter().enumerate() {
                for (s, v) in group.iter().enumerate() {
                    planes[s * len + i] = *v;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packing_is_reversible() {
        let values: Vec<i8> = (0..256).map(|i| [1, 0, -1, -1, 0, 1, 1][i % 7]).collect();
        let bytes = pack(&values);
        assert_eq!(bytes.len(), 64);
        assert_eq!(unpack(&bytes), values);
        assert!(is_ternary(&bytes));
        assert!(!is_ternary(&[0b1100_0000]));
    }
}

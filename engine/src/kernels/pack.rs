//! Layouts of a ternary matrix: packed rows for files, tiles for the kernels.
//!
//! Packed (canonical, in files): `[out, in/4]` bytes, four weights a byte, code = weight + 1 in two bits, low bits first.
//! Tiled (in memory): groups of 32 rows; in a group, blocks of 16 columns; a block is 128 bytes, byte `4·row + c` holds
//! columns `c`, `4 + c`, `8 + c`, `12 + c` of its row, low bits first. One shift and mask then yields four
//! neighboring columns of 8 (or 16) rows, which is what the dot product instructions add up.

/// Rows of a tile group.
pub const TILE_ROWS: usize = 32;
/// Columns of a block.
pub const TILE_COLS: usize = 16;
/// Bytes of a block: 32 rows, 16 columns, two bits each.
pub const TILE_BYTES: usize = TILE_ROWS * TILE_COLS / 4;

/// Packs weights −1, 0, 1 `[.., in]` to bytes `[.., in/4]`; the length must be a multiple of 4.
pub fn pack(weights: &[i8]) -> Vec<u8> {
    weights
        .as_chunks::<4>()
        .0
        .iter()
        .map(|w| (0..4).fold(0, |byte, i| byte | (((w[i] + 1) as u8 & 3) << (2 * i))))
        .collect()
}

/// Weights −1, 0, 1 of packed bytes.
pub fn unpack(packed: &[u8]) -> Vec<i8> {
    packed.iter().flat_map(|byte| (0..4).map(move |i| ((byte >> (2 * i)) & 3) as i8 - 1)).collect()
}

/// Whether every two-bit code is 0, 1 or 2.
pub fn codes_are_valid(packed: &[u8]) -> bool {
    packed.iter().all(|byte| byte & (byte >> 1) & 0x55 == 0)
}

/// Packed rows `[out, in/4]` as tiles; `out` is a multiple of 32 and `in` of 16.
pub fn tile(packed: &[u8], n_in: usize) -> Vec<u8> {
    let row_bytes = n_in / 4;
    let mut out = vec![0; packed.len()];
    let group_bytes = TILE_ROWS * row_bytes;
    for (group, rows) in out.chunks_exact_mut(group_bytes).zip(packed.chunks_exact(group_bytes)) {
        for (block, tile) in group.as_chunks_mut::<TILE_BYTES>().0.iter_mut().enumerate() {
            for (row, quad) in tile.as_chunks_mut::<4>().0.iter_mut().enumerate() {
                // Byte s of the source holds columns 4s..4s+4: a 4×4 transposition of two-bit codes.
                let source = &rows[row * row_bytes + block * 4..][..4];
                for (c, byte) in quad.iter_mut().enumerate() {
                    *byte = (0..4).fold(0, |b, s| b | (((source[s] >> (2 * c)) & 3) << (2 * s)));
                }
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packing_comes_back_and_bad_codes_are_seen() {
        let weights: Vec<i8> = (0..64).map(|i| (i * 7 % 3) as i8 - 1).collect();
        let packed = pack(&weights);
        assert_eq!(unpack(&packed), weights);
        assert!(codes_are_valid(&packed));
        assert!(!codes_are_valid(&[0b0011_0001]));
        assert_eq!(pack(&[-1, 0, 1, -1]), [0b0010_0100]);
    }
}

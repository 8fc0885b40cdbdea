//! Byte-pair merging on plain tables: ids of single bytes in, ids of merged pieces out.
//!
//! The lowest rank is merged first, leftmost first among equals, as in every BPE. Short words are scanned again after
//! each merge; long ones use a heap, so that a text of one endless word costs `n log n`. Knows no text and no files.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
    hash::{BuildHasherDefault, Hasher},
    sync::LazyLock,
};

use super::TokenId;

/// Up to this many bytes a word is scanned again after each merge.
const SCAN_UP_TO: usize = 48;

/// The printable character that stands for each byte in a tokenizer file. `[256]`
///
/// Source: GPT-2's `bytes_to_unicode`: printable Latin-1 bytes are themselves, the others follow from U+0100 on.
pub(super) static BYTE_CHARS: LazyLock<[char; 256]> = LazyLock::new(|| {
    let mut next = 0x100_u32;
    std::array::from_fn(|byte| {
        let byte = byte as u8;
        if matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff) {
            return char::from(byte);
        }
        next += 1;
        char::from_u32(next - 1).unwrap_or_default()
    })
});

/// `word` with every byte replaced by its character.
pub(super) fn to_byte_chars(word: &str) -> String {
    word.bytes().map(|byte| BYTE_CHARS[byte as usize]).collect()
}

/// The byte that a character of a tokenizer file stands for.
pub(super) fn byte_of_char(c: char) -> Option<u8> {
    static BYTES: LazyLock<HashMap<char, u8>> =
        LazyLock::new(|| BYTE_CHARS.iter().copied().zip(0..=255).collect());
    BYTES.get(&c).copied()
}

/// Which pairs merge, in which order, into what.
#[derive(Clone)]
pub(super) struct Merges(HashMap<u64, (u32, TokenId), BuildHasherDefault<PairHasher>>);

/// Buffers that a caller keeps between words.
#[derive(Default)]
pub(super) struct Work {
    ids: Vec<TokenId>,
    /// Rank and result of the pair that starts here; rank `u32::MAX` if it does not merge.
    pairs: Vec<(u32, TokenId)>,
}

const NO_MERGE: (u32, TokenId) = (u32::MAX, 0);

impl Merges {
    /// `merges`: `(left, right, merged)` in order of rank.
    pub(super) fn new(merges: &[(TokenId, TokenId, TokenId)]) -> Self {
        let ranked = merges.iter().zip(0..);
        Self(
            ranked
                .map(|(&(left, right, merged), rank)| (key(left, right), (rank, merged)))
                .collect(),
        )
    }

    fn pair(&self, left: TokenId, right: TokenId) -> (u32, TokenId) {
        self.0.get(&key(left, right)).copied().unwrap_or(NO_MERGE)
    }

    /// Appends the pieces of one word, given as ids of its bytes, to `out`.
    pub(super) fn encode(
        &self,
        bytes: impl Iterator<Item = TokenId>,
        work: &mut Work,
        out: &mut Vec<TokenId>,
    ) {
        work.ids.clear();
        work.ids.extend(bytes);
        if work.ids.len() <= SCAN_UP_TO {
            self.merge_by_scan(work);
        } else {
            self.merge_by_heap(&mut work.ids);
        }
        out.extend_from_slice(&work.ids);
    }

    fn merge_by_scan(&self, work: &mut Work) {
        let Work { ids, pairs } = work;
        pairs.clear();
        pairs.extend(ids.windows(2).map(|w| self.pair(w[0], w[1])));
        while let Some((at, &(rank, merged))) =
            pairs.iter().enumerate().min_by_key(|(_, pair)| pair.0)
        {
            if rank == u32::MAX {
                return;
            }
            ids[at] = merged;
            ids.remove(at + 1);
            pairs.remove(at);
            if at > 0 {
                pairs[at - 1] = self.pair(ids[at - 1], merged);
            }
            if at + 1 < ids.len() {
                pairs[at] = self.pair(merged, ids[at + 1]);
            }
        }
    }

    fn merge_by_heap(&self, ids: &mut Vec<TokenId>) {
        const GONE: TokenId = TokenId::MAX;
        let n = ids.len();
        // Neighbors of each position among those that are left; `n` is the end.
        let mut next: Vec<usize> = (1..=n).collect();
        let mut prev: Vec<usize> = (0..n).map(|i| i.wrapping_sub(1)).collect();
        // (rank, position, left, right, merged): an entry whose tokens have changed since is skipped.
        let mut heap = BinaryHeap::new();
        let offer = |heap: &mut BinaryHeap<_>, ids: &[TokenId], at: usize, after: usize| {
            let (rank, merged) = self.pair(ids[at], ids[after]);
            if rank != u32::MAX {
                heap.push(Reverse((rank, at, ids[at], ids[after], merged)));
            }
        };
        for at in 1..n {
            offer(&mut heap, ids, at - 1, at);
        }
        while let Some(Reverse((_, at, left, right, merged))) = heap.pop() {
            let after = next[at];
            if ids[at] != left || after >= n || ids[after] != right {
                continue;
            }
            ids[at] = merged;
            ids[after] = GONE;
            next[at] = next[after];
            if next[at] < n {
                prev[next[at]] = at;
                offer(&mut heap, ids, at, next[at]);
            }
            if prev[at] < n {
                offer(&mut heap, ids, prev[at], at);
            }
        }
        ids.retain(|&id| id != GONE);
    }
}

fn key(left: TokenId, right: TokenId) -> u64 {
    u64::from(left) << 32 | u64::from(right)
}

/// One multiplication; the keys are pairs of small numbers.
#[derive(Default)]
struct PairHasher(u64);

impl Hasher for PairHasher {
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(u64::from(byte));
        }
    }

    fn write_u64(&mut self, n: u64) {
        let mixed = (self.0 ^ n).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = mixed ^ (mixed >> 29);
    }

    fn finish(&self) -> u64 {
        self.0.wrapping_mul(0xff51_afd7_ed55_8ccd)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_of_merging_agree() {
        // Tokens 0..4, merges over them chained at random.
        let mut seed = 7_u64;
        let mut random = |below: u64| {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (seed >> 33) % below
        };
        let mut merges: Vec<(u32, u32, u32)> = Vec::new();
        for merged in 4..40_u32 {
            let pair = (random(u64::from(merged)) as u32, random(u64::from(merged)) as u32);
            if !merges.iter().any(|m| (m.0, m.1) == pair) {
                merges.push((pair.0, pair.1, merged));
            }
        }
        let table = Merges::new(&merges);
        for _ in 0..300 {
            let len = random(60) as usize;
            let ids: Vec<u32> = (0..len).map(|_| random(4) as u32).collect();
            let mut work = Work { ids: ids.clone(), pairs: Vec::new() };
            table.merge_by_scan(&mut work);
            let mut by_heap = ids;
            table.merge_by_heap(&mut by_heap);
            assert_eq!(work.ids, by_heap);
        }
    }

    #[test]
    fn bytes_and_characters_are_one_to_one() {
        for byte in 0..=255_u8 {
            assert_eq!(byte_of_char(BYTE_CHARS[byte as usize]), Some(byte));
        }
        assert_eq!(to_byte_chars(" a\n"), "ĠaĊ");
    }
}

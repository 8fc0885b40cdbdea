//! The string of twelve beads: its number never changes, its colours do, as the companion learns.

use bevy::prelude::*;

/// A bead that nothing was learned with yet.
const PLAIN: Color = Color::srgb(0.90, 0.87, 0.95);
/// Colours of learned beads, one after the other.
const COLORS: [Color; 6] = [
    Color::srgb(1.00, 0.80, 0.42),
    Color::srgb(0.36, 0.83, 0.79),
    Color::srgb(1.00, 0.57, 0.70),
    Color::srgb(0.66, 0.56, 0.96),
    Color::srgb(0.55, 0.80, 0.44),
    Color::srgb(0.42, 0.68, 0.98),
];

/// The order in which beads are coloured: from the middle, where they are seen best, outward.
const ORDER: [usize; 12] = [5, 6, 4, 7, 3, 8, 2, 9, 1, 10, 0, 11];

/// How much was learned: the notes in the memory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Resource)]
pub struct Necklace {
    /// Notes written in this life.
    pub notes: u64,
}

impl Necklace {
    /// Bead of the newest note; none when there is none.
    pub fn newest(&self) -> Option<usize> {
        self.notes.checked_sub(1).map(|n| ORDER[(n % 12) as usize])
    }

    /// Colour of bead `i`, 0 to 11. Every round of twelve notes colours the string anew.
    pub fn color(&self, i: usize) -> Color {
        let i = ORDER.iter().position(|bead| *bead == i % 12).unwrap_or(0) as u64;
        if self.notes <= i {
            return PLAIN;
        }
        let round = (self.notes - 1 - i) / 12;
        COLORS[((i + 5 * round) % 6) as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beads_are_coloured_one_by_one_and_then_anew() {
        let colored = |notes| (0..12).filter(|i| Necklace { notes }.color(*i) != PLAIN).count();
        assert_eq!([0, 1, 5, 12, 40].map(colored), [0, 1, 5, 12, 12]);
        assert_eq!(Necklace { notes: 0 }.newest(), None);
        assert_eq!(Necklace { notes: 13 }.newest(), Some(5));
        assert_ne!(Necklace { notes: 12 }.color(5), Necklace { notes: 13 }.color(5));
    }
}

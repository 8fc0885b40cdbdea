//! How fast the letters of a bubble appear.
//!
//! In: time passed and how many characters (grapheme clusters) may be shown. Out: how many are shown. Pure.

/// Characters a second while the text is at hand just in time.
const CALM: f32 = 32.0;
/// The pace grows up to this while more waits …
const BRISK: f32 = 45.0;
/// … and to this when the text is far ahead, or the person clicked to hurry.
const HURRIED: f32 = 70.0;

/// Progress of one line.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Typewriter {
    progress: f32,
    /// The person clicked: go on at full pace.
    pub hurried: bool,
}

impl Typewriter {
    /// Characters shown.
    pub fn shown(&self) -> usize {
        self.progress as usize
    }

    /// Lets `seconds` pass while `available` characters may be shown; true when another one appeared.
    pub fn advance(&mut self, seconds: f32, available: usize) -> bool {
        let before = self.shown();
        let waiting = (available as f32 - self.progress).max(0.0);
        let end = (available as f32).max(self.progress);
        self.progress = (self.progress + self.pace(waiting) * seconds.min(0.25)).min(end);
        self.shown() > before
    }

    /// Shows everything up to `available` at once.
    pub fn finish(&mut self, available: usize) {
        self.progress = self.progress.max(available as f32);
    }

    fn pace(&self, waiting: f32) -> f32 {
        match waiting {
            _ if self.hurried => HURRIED,
            w if w <= 20.0 => CALM,
            w if w <= 80.0 => CALM + (BRISK - CALM) * (w - 20.0) / 60.0,
            w => (BRISK + (w - 80.0) * 0.5).min(HURRIED),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Characters shown after `seconds` at 60 frames a second with `available` at hand.
    fn check(
        available: usize,
        seconds: f32,
        hurried: bool,
        expected: std::ops::RangeInclusive<usize>,
    ) {
        let mut typewriter = Typewriter { hurried, ..Typewriter::default() };
        for _ in 0..(seconds * 60.0) as usize {
            typewriter.advance(1.0 / 60.0, available);
        }
        assert!(expected.contains(&typewriter.shown()), "{}", typewriter.shown());
    }

    #[test]
    fn a_short_line_takes_its_time() {
        check(18, 0.5, false, 14..=16);
    }

    #[test]
    fn pace_stays_between_30_and_45_for_a_usual_line() {
        check(70, 1.0, false, 30..=45);
    }

    #[test]
    fn a_long_text_goes_faster_but_not_above_70() {
        check(400, 1.0, false, 60..=70);
    }

    #[test]
    fn a_click_hurries() {
        check(40, 0.5, true, 34..=35);
    }

    #[test]
    fn never_shows_more_than_there_is_and_never_goes_back() {
        check(5, 9.0, true, 5..=5);
        let mut typewriter = Typewriter::default();
        typewriter.finish(9);
        typewriter.advance(1.0, 4);
        assert_eq!(typewriter.shown(), 9);
    }

    #[test]
    fn a_long_pause_between_frames_does_not_skip_the_line() {
        let mut typewriter = Typewriter::default();
        typewriter.advance(60.0, 100);
        assert!(typewriter.shown() <= 18);
    }
}

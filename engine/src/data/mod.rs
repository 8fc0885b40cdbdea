//! Text to token streams.

/// A piece of a row.
#[derive(Debug, Clone, PartialEq)]
pub struct Segment {
    /// `T + 1` tokens: inputs and, shifted by one, targets.
    pub tokens: Vec<u32>,
    /// `T`: weight of predicting `tokens[t + 1]`; 0 is not scored.
    pub weights: Vec<f32>,
    /// The memory starts from nothing.
    pub fresh: bool,
}

/// Stage of the curriculum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Short, dense lives; every segment starts from nothing.
    Dense,
    /// Long lives; the memory is carried from segment to segment.
    Lives,
}

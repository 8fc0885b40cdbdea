//! Text ↔ ids. (Special ids; the tokenizer itself comes next.)

/// Ids that no text can produce.
pub mod special {
    /// Padding.
    pub const PAD: u32 = 0;
    /// `<u>` opens a user turn.
    pub const USER: u32 = 1;
    /// `<b>` opens a companion turn.
    pub const BOT: u32 = 2;
    /// `<m>` opens a note.
    pub const NOTE: u32 = 3;
    /// `</m>` closes a note.
    pub const NOTE_END: u32 = 4;
    /// `<end>` ends a reply or a document.
    pub const END: u32 = 5;
    /// `<doc>` opens a document.
    pub const DOC: u32 = 6;
}

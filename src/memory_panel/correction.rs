//! Turns an answer of the memory into a sentence the person can correct, in the form of a note.
//!
//! In: `Your dog's name is Pochi.` or 「きみの犬の名前はポチだよ。」. Out: `your dog's name is Pochi.` or `きみの犬の名前はポチ。`. Pure.

/// The note that says what `answer` says, as far as its form is known; else the answer itself.
pub(super) fn note_of(answer: &str) -> String {
    let answer = answer.trim().trim_matches(['「', '」', '"']);
    if let Some(rest) = answer.strip_prefix("Your ") {
        let first = rest.find(['.', '!', '?']).unwrap_or(rest.len());
        return format!("your {}.", &rest[..first]);
    }
    if answer.starts_with("きみの") {
        let first = answer.find(['。', '！', '？']).unwrap_or(answer.len());
        let plain = &answer[..first];
        let plain = ["だよね", "だよ", "だね", "です", "だ"]
            .into_iter()
            .find_map(|end| plain.strip_suffix(end))
            .unwrap_or(plain);
        return format!("{plain}。");
    }
    answer.to_owned()
}

#[cfg(test)]
mod tests {
    use super::note_of;

    #[test]
    fn answers_become_notes() {
        for (answer, note) in [
            ("Your dog's name is Pochi.", "your dog's name is Pochi."),
            ("Your name is Mia! I like it.", "your name is Mia."),
            ("きみの犬の名前はポチだよ。", "きみの犬の名前はポチ。"),
            ("「きみの仕事は先生だよ。」", "きみの仕事は先生。"),
            ("Mia, of course!", "Mia, of course!"),
        ] {
            assert_eq!(note_of(answer), note);
        }
    }
}

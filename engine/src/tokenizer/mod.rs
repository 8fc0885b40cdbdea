//! Text to token ids and back: byte-level BPE, 32 reserved ids first.
//!
//! In: UTF-8 text. Out: [`TokenId`]s; every text comes back unchanged. Text never becomes a reserved id: the letters `<u>`
//! in a text are three ordinary characters, so nobody can forge a turn border or open the gate of the lifelong heads.
//! Training and the file format are those of Hugging Face `tokenizers`; encoding is done here, on plain tables, and a test
//! holds both to the same ids. Turns and notes are put together in [`chat_format`], streamed text in [`text_stream`].

use std::{
    collections::HashMap,
    fs,
    hash::{BuildHasherDefault, Hasher},
    path::{Path, PathBuf},
    sync::Mutex,
};

use rayon::prelude::*;
use serde_json::Value;
use tokenizers::{
    AddedToken, SplitDelimiterBehavior, Trainer,
    models::bpe::{BPE, BpeTrainer},
    pre_tokenizers::{
        byte_level::ByteLevel,
        sequence::Sequence,
        split::{Split, SplitPattern},
    },
};

use crate::error::LoadError;

mod bpe;
pub mod chat_format;
pub mod text_stream;

/// Index into the vocabulary.
pub type TokenId = u32;

/// Largest tokenizer file that is read, in bytes.
const MAX_FILE_BYTES: u64 = 64 << 20;
/// Largest vocabulary that is accepted.
const MAX_VOCAB: usize = 1 << 20;
/// Vocabulary sizes are multiples of this.
const VOCAB_STEP: usize = 64;
/// Texts longer than this many bytes remember the ids of words already seen.
const CACHE_FROM_BYTES: usize = 2048;
/// Words longer than this many bytes are not remembered.
const CACHE_WORD_BYTES: usize = 48;

/// How text falls into words before byte-pair merging; merges never cross a word border.
///
/// English clitics, a word of any alphabet with the space before it, runs of hiragana, katakana and Han each by
/// themselves, digits in groups of at most three, runs of marks and symbols, white space. No look-around, so it runs in
/// linear time on any input.
///
/// The hiragana は が を の だ で stand alone wherever they are: they are what stands beside a name or a value in a
/// sentence, and a value must have the same tokens whatever stands beside it, or the memory cannot find it again (of
/// 1,084 values written in hiragana 74 % had them in seven frames before, 99 % so, for 8 % more tokens).
const WORD_PATTERN: &str = concat!(
    r"'(?:s|t|re|ve|m|ll|d)\b",
    r"| ?[\p{L}&&[^\p{Han}\p{Hiragana}\p{Katakana}ー]][\p{L}\p{M}&&[^\p{Han}\p{Hiragana}\p{Katakana}ー]]*",
    r"|[はがをのだで]",
    r"|[\p{Hiragana}ー&&[^はがをのだで]]+",
    r"|[\p{Katakana}ー]+",
    r"|\p{Han}+",
    r"| ?\p{N}{1,3}",
    r"| ?[^\s\p{L}\p{N}]+",
    r"|\s+",
);

/// The reserved ids. None of them ever comes out of [`Tokenizer::encode`].
pub mod special {
    use super::TokenId;

    /// Fills batches; ends a reply if it ever appears.
    pub const PAD: TokenId = 0;
    /// Opens a turn of the person.
    pub const USER: TokenId = 1;
    /// Opens a turn of the companion.
    pub const BOT: TokenId = 2;
    /// Opens a note: from here the lifelong heads may learn.
    pub const NOTE: TokenId = 3;
    /// Closes a note.
    pub const NOTE_END: TokenId = 4;
    /// Ends a companion turn or a document.
    pub const END: TokenId = 5;
    /// Opens a document without speakers.
    pub const DOC: TokenId = 6;
    /// First mood, `<calm>`.
    pub const FIRST_MOOD: TokenId = 8;
    /// Number of moods.
    pub const N_MOODS: usize = 10;
    /// Number of reserved ids; ordinary tokens start here.
    pub const N_SPECIAL: usize = 32;

    /// Names of the moods in the order of their ids.
    pub const MOOD_NAMES: [&str; N_MOODS] = [
        "calm", "happy", "excited", "curious", "shy", "proud", "silly", "sleepy", "worried", "sad",
    ];

    /// Id of mood `idx`, `0..10`; a larger `idx` gives calm.
    pub fn mood(idx: usize) -> TokenId {
        if idx < N_MOODS { FIRST_MOOD + idx as TokenId } else { FIRST_MOOD }
    }

    /// Index of the mood that `id` stands for.
    pub fn mood_idx(id: TokenId) -> Option<usize> {
        let idx = id.checked_sub(FIRST_MOOD)? as usize;
        (idx < N_MOODS).then_some(idx)
    }

    /// Whether `id` is reserved.
    pub fn is_special(id: TokenId) -> bool {
        (id as usize) < N_SPECIAL
    }

    /// The name a reserved id has in the tokenizer file.
    pub fn name(id: TokenId) -> String {
        match id {
            PAD => "<pad>".into(),
            USER => "<u>".into(),
            BOT => "<b>".into(),
            NOTE => "<m>".into(),
            NOTE_END => "</m>".into(),
            END => "<end>".into(),
            DOC => "<doc>".into(),
            _ => match mood_idx(id) {
                Some(idx) => format!("<{}>", MOOD_NAMES[idx]),
                None => format!("<r{id}>"),
            },
        }
    }
}

/// Byte-level BPE with fixed reserved ids. Read-only; share it between threads.
pub struct Tokenizer {
    /// The tokenizer file, Hugging Face form.
    json: String,
    words: Split,
    merges: bpe::Merges,
    /// Bytes that a token stands for; empty for reserved and filler ids. `[V]`
    token_bytes: Vec<Box<[u8]>>,
    /// Token of a single byte.
    byte_ids: [TokenId; 256],
}

impl std::fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Tokenizer({} tokens)", self.vocab_size())
    }
}

impl Clone for Tokenizer {
    fn clone(&self) -> Self {
        Self {
            json: self.json.clone(),
            words: self.words.clone(),
            merges: self.merges.clone(),
            token_bytes: self.token_bytes.clone(),
            byte_ids: self.byte_ids,
        }
    }
}

impl Tokenizer {
    /// Reads a `tokenizer.json`.
    ///
    /// # Errors
    /// [`LoadError`] if the file cannot be read, is too large, or is not a tokenizer with our reserved ids.
    pub fn load(path: &Path) -> Result<Self, LoadError> {
        let io = |source| LoadError::Io { path: path.into(), source };
        let n_bytes = fs::metadata(path).map_err(io)?.len();
        if n_bytes > MAX_FILE_BYTES {
            return Err(format_error(
                path,
                format!("{n_bytes} bytes, a tokenizer has at most {MAX_FILE_BYTES}"),
            ));
        }
        let json = fs::read_to_string(path).map_err(io)?;
        Self::from_json(json).map_err(|reason| format_error(path, reason))
    }

    /// Writes `tokenizer.json`, overwriting what is there.
    ///
    /// # Errors
    /// [`LoadError::Io`].
    pub fn save(&self, path: &Path) -> Result<(), LoadError> {
        fs::write(path, &self.json).map_err(|source| LoadError::Io { path: path.into(), source })
    }

    /// Learns a vocabulary of `vocab_size` entries (multiple of 64, at least 320) from `texts`.
    ///
    /// With too little text for that many merges the result is smaller, but still a multiple of 64.
    /// The same texts give the same tokenizer, in whatever order they come.
    ///
    /// # Errors
    /// [`LoadError::Format`] if `vocab_size` does not fit the rules.
    pub fn train(
        texts: impl Iterator<Item = String> + Send,
        vocab_size: usize,
    ) -> Result<Self, LoadError> {
        let here = PathBuf::from("tokenizer training");
        let wrong = |reason: String| LoadError::Format { path: here.clone(), reason };
        check_size(vocab_size).map_err(wrong)?;
        let words = word_splitter().map_err(wrong)?;
        let mut trainer = BpeTrainer::builder()
            .vocab_size(vocab_size)
            .min_frequency(2)
            .show_progress(false)
            .initial_alphabet(bpe::BYTE_CHARS.iter().copied().collect())
            .special_tokens(special_tokens())
            .build();
        let mut model = BPE::default();
        trainer
            .feed(texts, |text| {
                Ok(split(&words, text).map(bpe::to_byte_chars).collect::<Vec<String>>())
            })
            .and_then(|()| trainer.train(&mut model))
            .map_err(|e| wrong(e.to_string()))?;
        file_of(model).and_then(Self::from_json).map_err(wrong)
    }

    /// A tokenizer without merges: one token a byte, filler ids up to `vocab_size` (multiple of 64, at least 320).
    /// For tests and for timing models with random weights.
    ///
    /// # Errors
    /// [`LoadError::Format`] if `vocab_size` does not fit the rules.
    pub fn bytes_only(vocab_size: usize) -> Result<Self, LoadError> {
        let wrong = |reason| LoadError::Format { path: PathBuf::from("byte tokenizer"), reason };
        check_size(vocab_size).map_err(wrong)?;
        let names = (0..special::N_SPECIAL as TokenId)
            .map(special::name)
            .chain(sorted_byte_chars().into_iter().map(String::from))
            .chain((special::N_SPECIAL + 256..vocab_size).map(filler_name));
        let vocab = names.zip(0..).collect::<tokenizers::models::bpe::Vocab>();
        file_of(BPE::new(vocab, Vec::new())).and_then(Self::from_json).map_err(wrong)
    }

    /// `V`: ids are below this. Multiple of 64.
    pub fn vocab_size(&self) -> usize {
        self.token_bytes.len()
    }

    /// The tokenizer file as text, as [`Tokenizer::save`] writes it.
    pub fn to_json(&self) -> &str {
        &self.json
    }

    /// Bytes that `id` stands for; empty for reserved, filler and unknown ids.
    pub fn token_bytes(&self, id: TokenId) -> &[u8] {
        self.token_bytes.get(id as usize).map_or(&[], |bytes| bytes)
    }

    /// Ids of `text`, never a reserved one. [`Tokenizer::decode`] gives `text` back.
    pub fn encode(&self, text: &str) -> Vec<TokenId> {
        let mut out = Vec::with_capacity(text.len() / 3 + 4);
        if text.len() < CACHE_FROM_BYTES {
            let mut work = bpe::Work::default();
            for word in split(&self.words, text) {
                self.encode_word(word, &mut work, &mut out);
            }
        } else {
            self.encode_cached(text, &mut WordCache::default(), &mut out);
        }
        out
    }

    /// Ids of every text, on all threads of the current rayon pool.
    pub fn encode_batch<S: AsRef<str> + Sync>(&self, texts: &[S]) -> Vec<Vec<TokenId>> {
        texts
            .par_chunks(64)
            .flat_map_iter(|chunk| {
                let mut cache = WordCache::default();
                let ids = chunk.iter().map(|text| {
                    let mut out = Vec::with_capacity(text.as_ref().len() / 3 + 4);
                    self.encode_cached(text.as_ref(), &mut cache, &mut out);
                    out
                });
                ids.collect::<Vec<_>>()
            })
            .collect()
    }

    /// Text of `ids`; reserved ids give nothing, bytes that are no UTF-8 give U+FFFD.
    pub fn decode(&self, ids: &[TokenId]) -> String {
        let bytes: Vec<u8> =
            ids.iter().flat_map(|&id| self.token_bytes(id).iter().copied()).collect();
        match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(e) => String::from_utf8_lossy(e.as_bytes()).into_owned(),
        }
    }

    fn encode_cached<'t>(&self, text: &'t str, cache: &mut WordCache<'t>, out: &mut Vec<TokenId>) {
        for word in split(&self.words, text) {
            if word.len() > CACHE_WORD_BYTES {
                self.encode_word(word, &mut cache.work, out);
                continue;
            }
            if let Some(&(start, len)) = cache.seen.get(word) {
                out.extend_from_slice(&cache.ids[start as usize..][..len as usize]);
                continue;
            }
            let from = out.len();
            self.encode_word(word, &mut cache.work, out);
            let entry = (cache.ids.len() as u32, (out.len() - from) as u32);
            cache.ids.extend_from_slice(&out[from..]);
            cache.seen.insert(word, entry);
        }
    }

    fn encode_word(&self, word: &str, work: &mut bpe::Work, out: &mut Vec<TokenId>) {
        self.merges.encode(word.bytes().map(|b| self.byte_ids[b as usize]), work, out);
    }

    fn from_json(json: String) -> Result<Self, String> {
        let file: Value = serde_json::from_str(&json).map_err(|e| e.to_string())?;
        let model = &file["model"];
        let kind = model["type"].as_str().unwrap_or("missing");
        if kind != "BPE" {
            return Err(format!("model type must be BPE, found {kind}"));
        }
        let pattern = &file["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"];
        if pattern.as_str() != Some(WORD_PATTERN) {
            return Err("the word pattern is not the one this program splits with".into());
        }
        let vocab = model["vocab"].as_object().ok_or("model.vocab is missing")?;
        check_size(vocab.len())?;
        let mut names: Vec<Option<&str>> = vec![None; vocab.len()];
        let mut ids: HashMap<&str, TokenId> = HashMap::with_capacity(vocab.len());
        for (name, id) in vocab {
            let id = id.as_u64().filter(|&id| id < names.len() as u64).ok_or_else(|| {
                format!("token {name:?} has the id {id}, it must be below {}", vocab.len())
            })?;
            if names[id as usize].replace(name).is_some() {
                return Err(format!("two tokens have the id {id}"));
            }
            ids.insert(name, id as TokenId);
        }
        for id in 0..special::N_SPECIAL as TokenId {
            let (expected, found) = (special::name(id), names[id as usize]);
            if found != Some(&expected) {
                return Err(format!("id {id} must be {expected}, found {found:?}"));
            }
        }
        let mut byte_ids = [0; 256];
        for (byte, c) in bpe::BYTE_CHARS.iter().enumerate() {
            let name = c.to_string();
            byte_ids[byte] =
                *ids.get(name.as_str()).ok_or_else(|| format!("no token for the byte {byte}"))?;
        }
        let merges = read_merges(&model["merges"], &ids)?;
        let token_bytes = token_bytes(&names, &byte_ids, &merges)?;
        Ok(Self {
            merges: bpe::Merges::new(&merges),
            words: word_splitter()?,
            token_bytes,
            byte_ids,
            json,
        })
    }
}

/// Ids of the words seen in one call; lives no longer than the texts.
#[derive(Default)]
struct WordCache<'t> {
    /// Word → (start, length) in `ids`.
    seen: HashMap<&'t str, (u32, u32), BuildHasherDefault<WordHasher>>,
    ids: Vec<TokenId>,
    work: bpe::Work,
}

/// FNV-like hash, eight bytes a step. Words are short and the map is thrown away, so speed counts, not resistance:
/// a crafted text can slow one call down, no more.
#[derive(Default)]
struct WordHasher(u64);

impl Hasher for WordHasher {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.0 = (self.0.rotate_left(23) ^ u64::from_le_bytes(word))
                .wrapping_mul(0x9e37_79b9_7f4a_7c15);
        }
    }

    fn finish(&self) -> u64 {
        self.0 ^ (self.0 >> 32)
    }
}

fn format_error(path: &Path, reason: String) -> LoadError {
    LoadError::Format { path: path.into(), reason }
}

fn check_size(vocab_size: usize) -> Result<(), String> {
    let least = (special::N_SPECIAL + 256).next_multiple_of(VOCAB_STEP);
    if vocab_size.is_multiple_of(VOCAB_STEP) && (least..=MAX_VOCAB).contains(&vocab_size) {
        return Ok(());
    }
    Err(format!(
        "a vocabulary has {least} to {MAX_VOCAB} entries, a multiple of {VOCAB_STEP}; found {vocab_size}"
    ))
}

fn word_splitter() -> Result<Split, String> {
    // Building the pattern takes milliseconds; the copies share nothing, so one is kept to be cloned from.
    static FIRST: Mutex<Option<Split>> = Mutex::new(None);
    let mut first = FIRST.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if first.is_none() {
        let pattern = SplitPattern::Regex(WORD_PATTERN.into());
        let made = Split::new(pattern, SplitDelimiterBehavior::Isolated, false);
        *first = Some(made.map_err(|e| e.to_string())?);
    }
    first.clone().ok_or_else(|| "no word pattern".into())
}

/// Words of `text` in order; together they are exactly `text`.
fn split<'w, 't: 'w>(
    words: &'w Split,
    text: &'t str,
) -> impl Iterator<Item = &'t str> + use<'w, 't> {
    let mut matches = words.regex.find_iter(text);
    let mut pending: Option<(usize, usize)> = None;
    let mut at = 0;
    std::iter::from_fn(move || {
        let found = pending.take().or_else(|| matches.next());
        let (start, end) = match found {
            // What no alternative takes stays a word of its own, so that nothing is lost.
            Some((start, end)) if start > at => {
                pending = Some((start, end));
                (at, start)
            }
            Some(range) => range,
            None if at < text.len() => (at, text.len()),
            None => return None,
        };
        at = end;
        Some(&text[start..end])
    })
    .filter(|word| !word.is_empty())
}

fn special_tokens() -> Vec<AddedToken> {
    (0..special::N_SPECIAL as TokenId).map(|id| AddedToken::from(special::name(id), true)).collect()
}

fn sorted_byte_chars() -> Vec<char> {
    let mut chars = bpe::BYTE_CHARS.to_vec();
    chars.sort_unstable();
    chars
}

fn filler_name(id: usize) -> String {
    format!("<unused {id}>")
}

/// The tokenizer file of a model, its vocabulary filled up to a multiple of 64.
fn file_of(model: BPE) -> Result<String, String> {
    let mut tokenizer = tokenizers::Tokenizer::new(model);
    let text = |e: tokenizers::Error| e.to_string();
    let bytes = ByteLevel::new(false, false, false);
    tokenizer
        .with_pre_tokenizer(Some(Sequence::new(vec![word_splitter()?.into(), bytes.into()])))
        .with_decoder(Some(bytes));
    tokenizer.add_special_tokens(special_tokens()).map_err(text)?;
    let json = tokenizer.to_string(false).map_err(text)?;
    let mut file: Value = serde_json::from_str(&json).map_err(|e| e.to_string())?;
    let vocab = file["model"]["vocab"].as_object_mut().ok_or("the trained model has no vocab")?;
    for id in vocab.len()..vocab.len().next_multiple_of(VOCAB_STEP) {
        vocab.insert(filler_name(id), id.into());
    }
    serde_json::to_string_pretty(&file).map_err(|e| e.to_string())
}

/// `(left, right, merged)` in order of rank. Both spellings of a pair are read: `["a", "b"]` and `"a b"`.
fn read_merges(
    list: &Value,
    ids: &HashMap<&str, TokenId>,
) -> Result<Vec<(TokenId, TokenId, TokenId)>, String> {
    let list = list.as_array().ok_or("model.merges is missing")?;
    let id_of = |name: &str| {
        ids.get(name).copied().ok_or_else(|| format!("a merge names the unknown token {name:?}"))
    };
    list.iter()
        .map(|pair| {
            let (left, right) = match (pair.as_str(), pair[0].as_str(), pair[1].as_str()) {
                (Some(both), ..) => both.split_once(' ').ok_or("a merge must have two parts")?,
                (_, Some(left), Some(right)) => (left, right),
                _ => return Err("a merge must have two parts".into()),
            };
            let merged = id_of(&format!("{left}{right}"))?;
            let parts = (id_of(left)?, id_of(right)?, merged);
            if [parts.0, parts.1, parts.2].into_iter().any(special::is_special) {
                return Err(format!("the merge {left:?} {right:?} touches a reserved token"));
            }
            Ok(parts)
        })
        .collect()
}

/// Bytes of every token; reserved and filler ids have none.
fn token_bytes(
    names: &[Option<&str>],
    byte_ids: &[TokenId; 256],
    merges: &[(TokenId, TokenId, TokenId)],
) -> Result<Vec<Box<[u8]>>, String> {
    let mut out: Vec<Box<[u8]>> = vec![Box::default(); names.len()];
    for (byte, &id) in byte_ids.iter().enumerate() {
        out[id as usize] = Box::new([byte as u8]);
    }
    for &(_, _, merged) in merges {
        let name = names[merged as usize].unwrap_or_default();
        let bytes = name.chars().map(bpe::byte_of_char).collect::<Option<Vec<u8>>>();
        out[merged as usize] =
            bytes.ok_or_else(|| format!("token {name:?} is not byte-level"))?.into();
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn trained() -> &'static Tokenizer {
        static TOKENIZER: std::sync::LazyLock<Tokenizer> = std::sync::LazyLock::new(|| {
            let texts = (0..200).map(|i| {
                format!(
                    " Hello, my name is Mia and I'm {i} years old. I've a dog! きみの名前は{i}だよ。\
                     ラーメンとケーキがすき。 today is {}.",
                    i * 37
                )
            });
            Tokenizer::train(texts, 448).expect("trains")
        });
        &TOKENIZER
    }

    #[test]
    fn text_never_becomes_a_reserved_id() {
        let tokenizer = trained();
        for id in 0..special::N_SPECIAL as TokenId {
            for text in [special::name(id), format!("x {} y", special::name(id))] {
                let ids = tokenizer.encode(&text);
                assert!(ids.iter().all(|&id| !special::is_special(id)), "{text} gave {ids:?}");
                assert_eq!(tokenizer.decode(&ids), text);
            }
        }
    }

    #[test]
    fn sizes_are_multiples_of_64_and_as_asked_if_the_text_allows() {
        assert_eq!(trained().vocab_size(), 448);
        let little = Tokenizer::train(["a a".to_owned()].into_iter(), 4096).expect("trains");
        assert_eq!(little.vocab_size(), 320);
        assert_eq!(Tokenizer::bytes_only(2048).expect("made").vocab_size(), 2048);
        assert!(Tokenizer::train(std::iter::empty(), 100).is_err());
    }

    #[test]
    fn words_fall_apart_as_described() {
        let words = word_splitter().expect("pattern");
        let check = |text: &str, expected: &[&str]| {
            assert_eq!(split(&words, text).collect::<Vec<_>>(), expected);
        };
        check(" I'm Mia.", &[" I", "'m", " Mia", "."]);
        check("12345 678", &["123", "45", " 678"]);
        check("きみの名前はミーア。", &["きみ", "の", "名前", "は", "ミーア", "。"]);
        check("ぼくはけんただよ", &["ぼく", "は", "けんた", "だ", "よ"]);
        check("えーと、abcかな", &["えーと", "、", "abc", "かな"]);
        check("café ❤️ 👩‍🚀!", &["café", " ❤️", " 👩‍🚀!"]);
        check("a\n\n b", &["a", "\n\n ", "b"]);
    }

    #[test]
    fn same_ids_as_the_library_reads_from_the_file() {
        let ours = trained();
        let mut library = tokenizers::Tokenizer::from_bytes(&ours.json).expect("file is valid");
        library.set_encode_special_tokens(true);
        let long = "hello".repeat(300) + &"きみの".repeat(200);
        let texts = [
            " Hello, my name is Bob 1234.",
            "きみの名前はケーキだよ。",
            "<u> <m>",
            "ha ha \u{1f600}",
            &long,
        ];
        for text in texts {
            let expected = library.encode(text, false).expect("encodes");
            assert_eq!(ours.encode(text), expected.get_ids(), "{text}");
            assert_eq!(library.decode(expected.get_ids(), true).expect("decodes"), text);
        }
    }

    #[test]
    fn a_batch_equals_one_by_one_and_survives_the_file() {
        let ours = trained();
        let dir = tempfile::tempdir().expect("folder");
        let path = dir.path().join("tokenizer.json");
        ours.save(&path).expect("saved");
        let again = Tokenizer::load(&path).expect("loads");
        let texts: Vec<String> =
            (0..300).map(|i| format!(" my dog {i} is きみのケーキ{i}").repeat(i % 90)).collect();
        let one_by_one: Vec<_> = texts.iter().map(|text| ours.encode(text)).collect();
        assert_eq!(again.encode_batch(&texts), one_by_one);
    }

    #[test]
    fn training_is_deterministic_whatever_the_order() {
        let texts: Vec<String> =
            (0..50).map(|i| format!(" word{i} and more words {}", i % 7)).collect();
        let a = Tokenizer::train(texts.iter().cloned(), 384).expect("trains");
        let b = Tokenizer::train(texts.iter().rev().cloned(), 384).expect("trains");
        assert_eq!(a.json, b.json);
    }

    #[test]
    fn wrong_files_are_refused_with_a_reason() {
        let check = |from: &str, to: &str, reason: &str| {
            let json = trained().json.replacen(from, to, 1);
            assert_ne!(json, trained().json, "{from} is in the file");
            let error = Tokenizer::from_json(json).expect_err(reason);
            assert!(error.contains(reason), "{error}");
        };
        check("\"BPE\"", "\"Unigram\"", "must be BPE");
        check("\"<m>\": 3", "\"<x>\": 3", "id 3 must be <m>");
        check("\"<pad>\": 0", "\"<pad>\": 9", "two tokens have the id");
        check("\"<pad>\": 0", "\"<pad>\": 70000", "must be below");
        check("\\\\p{Han}+", "\\\\p{Han}", "word pattern");
        assert!(Tokenizer::from_json("{".into()).is_err());
    }

    proptest! {
        #[test]
        fn every_text_comes_back(text in "\\PC{0,40}|[\\s\\S]{0,40}|[ぁ-ヶー一-龠a-z0-9 .。<>/mu]{0,60}") {
            let ids = trained().encode(&text);
            prop_assert_eq!(trained().decode(&ids), text);
            prop_assert!(ids.iter().all(|&id| !special::is_special(id)));
        }
    }
}

//! A memory survives the file and the folder it lives in: the same next logits, the same length, and a fallback for
//! every kind of damage. No network and no real save folder.

use std::{fs, ops::ControlFlow, path::Path, sync::Arc};

use engine::{
    checkpoint::Brain,
    error::StateError,
    model::ModelConfig,
    session::{Memory, MemoryRing, Session, SessionOptions},
    tokenizer::chat_format,
};

fn brain(seed: u64) -> Arc<Brain> {
    let cfg = ModelConfig {
        vocab_size: 320,
        d_model: 64,
        n_layers: 2,
        head_dim: 16,
        d_ff: 192,
        session_tau_max: vec![32.0, 256.0],
        n_lifelong_heads: 2,
        chunk_len: 16,
    };
    Arc::new(Brain::random(&cfg, seed))
}

fn session(brain: &Arc<Brain>) -> Session {
    Session::new(brain.clone(), Memory::new(brain), SessionOptions::default())
}

fn read(session: &mut Session, text: &str) {
    session.read(text, &mut |_, _| ControlFlow::Continue(()));
}

/// A memory with `n` notes in it; `updated` is `n` too, so that tests do not depend on the clock.
fn lived(brain: &Arc<Brain>, n: u64) -> Memory {
    let mut session = session(brain);
    for i in 0..n {
        assert!(session.write_note(&format!("your number {i} is {}.", i * 7)));
    }
    let mut memory = session.memory().clone();
    memory.updated = n;
    memory
}

fn from_bytes(bytes: &[u8], brain: &Brain) -> Result<Memory, StateError> {
    Memory::from_bytes(bytes, brain, Path::new("test"))
}

#[test]
fn the_next_logits_are_the_same_after_the_file() {
    let brain = brain(1);
    let mut before = session(&brain);
    read(&mut before, "hello, I am Mia and this is a long story about a cat.");
    assert!(before.write_note("your name is Mia."));
    let bytes = before.memory().to_bytes();
    let memory = from_bytes(&bytes, &brain).expect("loads");
    assert_eq!(memory.to_bytes(), bytes);
    assert_eq!(memory.tokens_read, before.memory().tokens_read);
    assert_eq!(memory.notes_written, 1);
    let mut after = Session::new(brain.clone(), memory, SessionOptions::default());
    let next = chat_format::prompt(&brain.tokenizer, "what is my name?");
    assert_eq!(before.feed(&next), after.feed(&next));
    let (a, b) = (
        before.reply("hi", &mut |_| ControlFlow::Continue(())),
        after.reply("hi", &mut |_| ControlFlow::Continue(())),
    );
    assert_eq!(a, b);
}

#[test]
fn the_file_has_the_same_length_all_life_long() {
    let brain = brain(1);
    let mut session = session(&brain);
    let length = session.memory().to_bytes().len();
    let check = |session: &Session| assert_eq!(session.memory().to_bytes().len(), length);
    read(&mut session, &"hello きみ ".repeat(100));
    check(&session);
    assert!(session.write_note("your name is Mia."));
    check(&session);
    session.reply("hello", &mut |_| ControlFlow::Continue(()));
    check(&session);
    session.memory_mut().tokens_read = u64::MAX;
    session.memory_mut().updated = u64::MAX;
    check(&session);
    assert!(from_bytes(&session.memory().to_bytes(), &brain).is_ok());
}

#[test]
fn a_text_read_in_two_parts_is_the_text() {
    let brain = brain(1);
    let mut ids = chat_format::prompt(&brain.tokenizer, "one text, cut wherever one likes: 名前");
    ids.extend(chat_format::note(&brain.tokenizer, "your name is Mia."));
    let mut whole = session(&brain);
    let expected = whole.feed(&ids).to_vec();
    for cut in 0..=ids.len() {
        let mut parts = session(&brain);
        parts.feed(&ids[..cut]);
        assert_close(parts.feed(&ids[cut..]), &expected, cut);
        for (a, b) in parts.memory().head_norms().iter().zip(whole.memory().head_norms()) {
            let norms = |heads: &[(bool, f32)]| heads.iter().map(|h| h.1).collect::<Vec<_>>();
            assert_close(&norms(a), &norms(&b), cut);
        }
    }
}

fn assert_close(a: &[f32], b: &[f32], cut: usize) {
    let worst = a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(a.len() == b.len() && worst <= TOLERANCE, "cut at {cut}: off by {worst}");
}

/// Reading token by token and reading in chunks round differently.
const TOLERANCE: f32 = 0.0;

#[test]
fn the_newest_memory_comes_back() {
    let (brain, dir) = (brain(1), tempfile::tempdir().expect("folder"));
    let ring = MemoryRing::open(&dir.path().join("not yet there"));
    let (none, notices) = ring.load_newest(&brain).expect("works");
    assert!(none.is_none() && notices.is_empty());
    for n in 1..=3 {
        ring.save(&lived(&brain, n)).expect("saved");
    }
    let (memory, notices) = ring.load_newest(&brain).expect("works");
    assert_eq!(memory.expect("there").to_bytes(), lived_again(&ring, &brain));
    assert!(notices.is_empty());
    let list = ring.list();
    assert_eq!(list.iter().map(|s| s.is_current).collect::<Vec<_>>(), [true, false, false]);
    assert_eq!(list[1].updated, 2);
    assert_eq!(ring.load(&list[2].path, &brain).expect("whole").notes_written, 1);
    assert!(ring.load(Path::new("/no/such/file"), &brain).is_err());
}

fn lived_again(ring: &MemoryRing, brain: &Brain) -> Vec<u8> {
    let bytes = fs::read(ring.current_path()).expect("file");
    assert_eq!(from_bytes(&bytes, brain).expect("whole").notes_written, 3);
    bytes
}

#[test]
fn many_saves_leave_a_bounded_number_of_files() {
    let (brain, dir) = (brain(1), tempfile::tempdir().expect("folder"));
    let ring = MemoryRing::open(dir.path());
    let mut memory = lived(&brain, 1);
    for hour in (0..24 * 30).step_by(3) {
        memory.updated = hour * 3600;
        ring.save(&memory).expect("saved");
    }
    let n = ring.list().len();
    assert!((12..=17).contains(&n), "{n} files");
    assert_eq!(fs::read_dir(dir.path()).expect("folder").count(), 2);
}

/// What is done to the newest file, and a word of the notice.
fn falls_back(damage: impl Fn(&Path), word: &str) {
    let (brain, dir) = (brain(1), tempfile::tempdir().expect("folder"));
    let ring = MemoryRing::open(dir.path());
    ring.save(&lived(&brain, 1)).expect("saved");
    ring.save(&lived(&brain, 2)).expect("saved");
    damage(&ring.current_path());
    let damaged = fs::read(ring.current_path()).expect("file");
    let (memory, notices) = ring.load_newest(&brain).expect("works");
    let memory = memory.expect("an older one");
    assert_eq!(memory.notes_written, 1);
    assert!(notices.iter().any(|n| n.contains(word)), "{notices:?}");
    assert!(notices.iter().any(|n| n.contains("older memory is used")), "{notices:?}");
    let aside = dir.path().join("memory.safetensors.damaged-1");
    assert_eq!(fs::read(&aside).expect("moved aside"), damaged);
    // Life goes on; the damaged file stays.
    ring.save(&memory).expect("saved");
    assert_eq!(ring.load_newest(&brain).expect("works").0.expect("there").notes_written, 1);
    assert!(aside.exists());
}

#[test]
fn a_file_cut_short_falls_back() {
    falls_back(|p| fs::write(p, &fs::read(p).expect("read")[..5000]).expect("cut"), "damaged");
    falls_back(|p| fs::write(p, b"").expect("emptied"), "shorter");
}

#[test]
fn a_flipped_bit_falls_back() {
    let flip = |p: &Path| {
        let mut bytes = fs::read(p).expect("read");
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(p, bytes).expect("written");
    };
    falls_back(flip, "checksum");
}

#[test]
fn saving_over_a_damaged_file_keeps_it() {
    let (brain, dir) = (brain(1), tempfile::tempdir().expect("folder"));
    fs::write(dir.path().join("memory.safetensors"), b"not a memory").expect("written");
    let ring = MemoryRing::open(dir.path());
    ring.save(&lived(&brain, 1)).expect("saved");
    let aside = dir.path().join("memory.safetensors.damaged-1");
    assert_eq!(fs::read(aside).expect("kept"), b"not a memory");
}

#[test]
fn nothing_usable_starts_afresh_and_says_so() {
    let (brain, dir) = (brain(1), tempfile::tempdir().expect("folder"));
    fs::create_dir(dir.path().join("snapshots")).expect("made");
    fs::write(dir.path().join("memory.safetensors"), b"x").expect("written");
    fs::write(dir.path().join("snapshots/000000000001-000000000001-1.safetensors"), b"x")
        .expect("written");
    let (memory, notices) = MemoryRing::open(dir.path()).load_newest(&brain).expect("works");
    assert!(memory.is_none());
    assert_eq!(notices.len(), 3, "{notices:?}");
    assert!(notices[2].contains("fresh memory"));
}

#[test]
fn what_a_killed_save_left_is_ignored() {
    let (brain, dir) = (brain(1), tempfile::tempdir().expect("folder"));
    let ring = MemoryRing::open(dir.path());
    ring.save(&lived(&brain, 1)).expect("saved");
    let half = lived(&brain, 2).to_bytes();
    let leftover = dir.path().join(".memory-abc123.tmp");
    fs::write(&leftover, &half[..half.len() / 2]).expect("written");
    let (memory, notices) = ring.load_newest(&brain).expect("works");
    assert_eq!(memory.expect("there").notes_written, 1);
    assert!(notices.is_empty() && !leftover.exists());
    // Killed after the old file was linked and before the new one was renamed: both names, one memory.
    fs::hard_link(
        ring.current_path(),
        dir.path().join("snapshots/000000000001-000000000001-1.safetensors"),
    )
    .expect("linked");
    ring.save(&lived(&brain, 2)).expect("saved");
    assert_eq!(ring.load_newest(&brain).expect("works").0.expect("there").notes_written, 2);
    // The newest file is gone altogether.
    fs::remove_file(ring.current_path()).expect("removed");
    assert_eq!(ring.load_newest(&brain).expect("works").0.expect("older").notes_written, 1);
}

#[test]
fn the_memory_of_another_brain_waits_untouched_and_comes_back() {
    let (one, two, dir) = (brain(1), brain(2), tempfile::tempdir().expect("folder"));
    let ring = MemoryRing::open(dir.path());
    ring.save(&lived(&one, 2)).expect("saved");
    let bytes = fs::read(ring.current_path()).expect("file");
    let (none, notices) = ring.load_newest(&two).expect("works");
    assert!(none.is_none());
    assert!(notices[0].contains("another brain") && notices[0].contains(&one.id), "{notices:?}");
    let kept = fs::read_dir(dir.path())
        .expect("folder")
        .flatten()
        .find(|e| e.file_name().to_string_lossy().starts_with("memory.brain-"));
    assert_eq!(fs::read(kept.expect("kept").path()).expect("file"), bytes);
    ring.save(&lived(&two, 3)).expect("saved");
    // Back to the first brain, and to the second again.
    let (memory, notices) = ring.load_newest(&one).expect("works");
    assert_eq!(memory.expect("found again").notes_written, 2);
    assert_eq!(notices.len(), 2, "{notices:?}");
    assert_eq!(ring.load_newest(&two).expect("works").0.expect("again").notes_written, 3);
    // A save of one brain does not overwrite the file of the other.
    ring.save(&lived(&one, 1)).expect("saved");
    assert_eq!(ring.load_newest(&two).expect("works").0.expect("again").notes_written, 3);
}

#[test]
fn a_memory_that_cannot_be_saved_is_an_error_and_the_old_one_stays() {
    let (brain, dir) = (brain(1), tempfile::tempdir().expect("folder"));
    let file = dir.path().join("a file");
    fs::write(&file, b"x").expect("written");
    assert!(matches!(MemoryRing::open(&file).save(&lived(&brain, 1)), Err(StateError::Io { .. })));
}

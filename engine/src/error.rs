//! Errors of the engine, one enum a boundary. Variants carry what the caller needs to act or to tell the person.

use std::path::PathBuf;

/// A model folder, tokenizer or checkpoint could not be loaded or written.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// Reading or writing failed.
    #[error("{path}: {source}")]
    Io {
        /// File concerned.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is there but not what it must be.
    #[error("{path}: {reason}")]
    Format {
        /// File concerned.
        path: PathBuf,
        /// What is wrong, with the expected and the found value.
        reason: String,
    },
}

/// A memory file was refused.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// Reading or writing failed.
    #[error("{path}: {source}")]
    Io {
        /// File concerned.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Damaged, cut short or not a memory file.
    #[error("{path}: damaged memory file: {reason}")]
    Damaged {
        /// File concerned.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Whole, but learned by another brain.
    #[error("{path}: this memory belongs to brain {found}, the brain in use is {expected}")]
    OtherBrain {
        /// File concerned.
        path: PathBuf,
        /// Id of the model in use.
        expected: String,
        /// Id in the file.
        found: String,
    },
}

/// Training could not start or go on.
#[cfg(feature = "train")]
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// A tensor operation failed.
    #[error("tensor: {0}")]
    Tensor(#[from] candle_core::Error),
    /// A model folder, tokenizer or checkpoint.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The text to train on.
    #[error("data: {0}")]
    Data(String),
    /// An option that cannot be followed.
    #[error("{0}")]
    Options(String),
}

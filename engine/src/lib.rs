//! Bit-TTT: a language model with ternary weights whose only context memory is fast weights.
//!
//! Module map: [`model`] shapes and the packed model, [`kernels`] slices in and out, [`tokenizer`] text and ids,
//! [`sampler`] logits to an id, [`session`] one talk and its memory, [`checkpoint`] model folders.
//! With the feature `train`: `nn` layers on candle, `data` text to token streams, `trainer` the loop and the evaluation, `sleep` gradient steps of
//! a memory over its notes.
//!
//! Dimension letters, everywhere the same: `B` batch, `T` tokens, `C` model width, `H` heads, `D` head width,
//! `F` feed-forward width, `V` vocabulary.

pub mod bench;
pub mod checkpoint;
pub mod error;
pub mod kernels;
pub mod model;
pub mod rng;
pub mod sampler;
pub mod session;
pub mod tokenizer;
pub mod topics;

#[cfg(feature = "train")]
pub mod data;
#[cfg(feature = "train")]
pub mod nn;
#[cfg(feature = "train")]
pub mod sleep;
#[cfg(feature = "train")]
pub mod trainer;

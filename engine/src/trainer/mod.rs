//! The training loop and the evaluation.

pub mod optim;
mod recall_task;

//! The training loop and the evaluation.

pub mod checkpoint;
pub mod optim;
mod recall_task;
pub mod speed;
mod step;

pub use step::{SegmentSource, StepReport, Trainer};

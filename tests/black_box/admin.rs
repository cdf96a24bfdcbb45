//! What administrators see and do.

mod change;
mod end;
mod list;
mod stats;

//! Running plugins in another process.
//!
//! A worker is this program started anew with nothing but a socket: an empty environment, no input, its output caught,
//! its files limited to the library, the system's libraries and a scratch folder. Inputs come as open files and are
//! mapped, outputs go to files in memory. It serves one library, one stage at a time, and stays for the next. When the
//! program that started it is gone, however it went, the socket closes and the worker ends itself: the signal that
//! Linux would send follows the thread that started the worker, not its process.

mod client;
mod command;
mod limits;
mod lines;
mod log;
mod pool;
mod process;
mod protocol;
mod received;
mod serve;
mod transfer;

pub use client::Launcher;
pub use command::{Command, Ended, Execution, find_program};
pub(crate) use pool::{Pool, Work};
pub use serve::serve;
pub use transfer::read_table;

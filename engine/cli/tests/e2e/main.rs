//! Stagewright as a person meets it: through the binary, in a folder of its own.
//!
//! Snapshots hold standard output, standard error and the exit code of one command, with what differs from run to run
//! (times, run ids, digests, sizes) replaced. `INSTA_UPDATE=always cargo test -p stagewright --test e2e` writes them
//! anew; what changed is to be read before it is kept.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[macro_use]
mod space;

mod ab_test;
mod cache;
mod commands;
mod compare;
mod concurrent;
mod exec;
mod failure;
mod hostile;
mod implicit;
mod layering;
mod learning;
mod lines;
mod messages;
mod mistakes;
mod output;
mod plugins;
mod privacy;
mod report;
mod repository;
mod review;
mod rot;
mod sfmc;
mod thelook;
mod variants;
mod workflows;

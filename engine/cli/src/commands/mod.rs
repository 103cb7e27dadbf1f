//! The commands, a file each.

pub(crate) mod compare;
pub(crate) mod completions;
pub(crate) mod explain;
pub(crate) mod get;
pub(crate) mod graph;
pub(crate) mod init;
pub(crate) mod plan;
pub(crate) mod plugin;
pub(crate) mod review;
pub(crate) mod run;
pub(crate) mod runs;
pub(crate) mod schema;
pub(crate) mod stages;
pub(crate) mod store;
pub(crate) mod validate;

//! `sfmc.tracking`.

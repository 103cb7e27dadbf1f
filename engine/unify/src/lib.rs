//! Nothing but the feature list in `Cargo.toml`: see there.

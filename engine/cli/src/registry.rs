//! The one place where stages meet the engine.

use stagewright_core::Registry;

/// The stage types of this program.
pub(crate) fn registry() -> Registry {
    Registry::new(
        [
            stagewright_ingest::stage_types(),
            stagewright_clean::stage_types(),
            stagewright_features::stage_types(),
            stagewright_segment::stage_types(),
            stagewright_model::stage_types(),
            stagewright_recommend::stage_types(),
            stagewright_generate::stage_types(),
            stagewright_evaluate::stage_types(),
            stagewright_exec::stage_types(),
        ]
        .into_iter()
        .flatten(),
    )
}

//! Delivery to Salesforce Marketing Cloud: a bundle of files that is checked offline, its upload by the asynchronous
//! REST interface, and what its tracking extracts say about who was reached.
//!
//! Nobody who opted out gets into a bundle or is uploaded: `permission` is asked by both stages, and no parameter
//! turns it off. Nobody is lost or doubled: rows are upserted by primary key, so that sending them again changes
//! nothing, and the stage succeeds only when the service has confirmed every one.

mod bundle;
mod cells;
mod definition;
mod package;
mod permission;
mod tracking;
mod upload;
mod values;

pub use bundle::Bundle;
pub use tracking::Tracking;
pub use upload::Upload;

stagewright_plugin::export_plugin!("sfmc", [Bundle, Upload, Tracking], network: [Upload]);

//! The domain: what a delivery stream is. No I/O but the catalog, no HTTP, no S3.
//!
//! A [`DeliveryStream`] is one value in the catalog under `stream/ACCOUNT/REGION/NAME`. The API
//! changes it through the [`Registry`]; delivery follows the registry and does what the value asks
//! for. Neither calls the other.
//!
//! ```text
//! CreateDeliveryStream → CREATING ─(supervisor)→ ACTIVE ─(DeleteDeliveryStream)→ DELETING ─(supervisor)→ gone
//! ```

#[cfg(test)]
pub(crate) mod faulty;
pub mod merge;
pub mod name;
pub mod quota;
pub mod record_id;
pub mod registry;
pub mod spec;

pub use name::StreamKey;
pub use record_id::RecordId;
pub use registry::{Registry, RegistryError};
pub use spec::{
    BufferingHints, CompressionFormat, CopyCommand, DeliveryStream, Destination, Encryption,
    RedshiftSpec, S3Spec, Status,
};

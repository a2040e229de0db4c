//! The registry: every delivery stream, kept in the catalog and mirrored in memory.
//!
//! * The catalog is the truth; each change is a compare-and-set on the stream's value.
//! * The mirror makes a put's look-up a hash-map read. It follows the catalog's watch, and a change
//!   made here shows in it before the call returns.
//! * After a write that failed, the change may or may not be there, and the watch tells nothing of it. So the
//!   value is read again; while it cannot be read, the stream is *in doubt* and read at every
//!   [`Registry::settle`] until it can.
//! * Interested parties ([`Registry::subscribe`]) are told only *that* something changed: they look
//!   at everything again and do what is missing.

use std::{
    collections::HashMap,
    fmt,
    ops::Range,
    sync::{Arc, PoisonError, RwLock},
};

use bytes::Bytes;
use futures::StreamExt;
use hydrant_engine::{Catalog, CatalogError, Expect, LaneId, Version, Versioned};
use tokio::{
    sync::{Mutex, watch},
    task::JoinHandle,
};

use super::{
    name::{CATALOG_PREFIX, StreamKey},
    spec::{DeliveryStream, Status},
};

/// The catalog key that holds the last lane set aside.
pub(crate) const LAST_LANE: &str = "lane/last";
/// Lanes set aside at a time, so that not every creation waits for two commits. What is left of them at a restart is never
/// used.
const LANES_AT_ONCE: u64 = 64;

/// Every delivery stream of the node.
pub struct Registry {
    catalog: Arc<dyn Catalog>,
    mirror: Arc<Mirror>,
    /// Held over a catalog write and its mirroring, so that a late mirroring can never bring a
    /// deleted stream back.
    writing: Mutex<Writing>,
    follower: JoinHandle<()>,
}

/// Why the registry could not do as asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum RegistryError {
    /// A stream of that key is there already.
    #[error("{0} already exists")]
    Exists(StreamKey),
    /// No stream of that key.
    #[error("{0} not found")]
    NotFound(StreamKey),
    /// The catalog failed.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// The catalog holds something that is not a stream.
    #[error("the catalog's value of {key:?} is unreadable: {detail}")]
    Unreadable {
        /// The catalog key.
        key: String,
        /// What the decoder said.
        detail: String,
    },
}

/// What whoever writes has in hand.
#[derive(Default)]
struct Writing {
    doubts: InDoubt,
    /// Lanes that are set aside and not yet given out.
    lanes: Range<u64>,
}

/// Streams whose latest write failed and that could not be read since, and the version that the write was to
/// replace.
type InDoubt = HashMap<StreamKey, Option<Version>>;

#[derive(Default)]
struct Mirror {
    streams: RwLock<HashMap<StreamKey, Mirrored>>,
    changed: watch::Sender<()>,
}

#[derive(Clone)]
struct Mirrored {
    version: Version,
    stream: Arc<DeliveryStream>,
}

impl Mirror {
    fn put(&self, version: Version, stream: DeliveryStream) -> Arc<DeliveryStream> {
        let stream = Arc::new(stream);
        let mut streams = self.streams.write().unwrap_or_else(PoisonError::into_inner);
        let known = streams.get(&stream.key).map(|known| known.version);
        if known.is_none_or(|known| known < version) {
            streams.insert(
                stream.key.clone(),
                Mirrored {
                    version,
                    stream: stream.clone(),
                },
            );
            drop(streams);
            self.changed.send_replace(());
        }
        stream
    }

    fn remove(&self, key: &StreamKey, version: Version) {
        let mut streams = self.streams.write().unwrap_or_else(PoisonError::into_inner);
        if streams
            .get(key)
            .is_some_and(|known| known.version <= version)
        {
            streams.remove(key);
            drop(streams);
            self.changed.send_replace(());
        }
    }

    fn get(&self, key: &StreamKey) -> Option<Arc<DeliveryStream>> {
        let streams = self.streams.read().unwrap_or_else(PoisonError::into_inner);
        streams.get(key).map(|known| known.stream.clone())
    }

    /// In order of their lanes, which is that of their creation.
    fn all(&self) -> Vec<Arc<DeliveryStream>> {
        let streams = self.streams.read().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<_> = streams.values().map(|known| known.stream.clone()).collect();
        all.sort_unstable_by_key(|stream| stream.lane);
        all
    }
}

impl Registry {
    /// Reads every stream and begins to follow the catalog.
    ///
    /// # Errors
    /// When the catalog cannot be read or holds a value that is not a stream.
    pub async fn open(catalog: Arc<dyn Catalog>) -> Result<Arc<Self>, RegistryError> {
        let mirror = Arc::new(Mirror::default());
        for (key, Versioned { version, value }) in catalog.list(CATALOG_PREFIX).await? {
            mirror.put(version, decode(&key, &value)?);
        }
        let follower = tokio::spawn(follow(catalog.clone(), mirror.clone()));
        Ok(Arc::new(Registry {
            catalog,
            mirror,
            writing: Mutex::default(),
            follower,
        }))
    }

    /// The stream of that key, in whatever status. Cheap.
    pub fn get(&self, key: &StreamKey) -> Option<Arc<DeliveryStream>> {
        self.mirror.get(key)
    }

    /// Every stream of every account and region, in no order.
    pub fn all(&self) -> Vec<Arc<DeliveryStream>> {
        self.mirror.all()
    }

    /// The streams of one account in one region, in byte order of their names (SPEC §2.4).
    pub fn list(&self, account: &str, region: &str) -> Vec<Arc<DeliveryStream>> {
        let mut streams = self.mirror.all();
        streams.retain(|stream| stream.key.account == account && stream.key.region == region);
        streams.sort_by(|a, b| a.key.name.cmp(&b.key.name));
        streams
    }

    /// Marked changed after each change of any stream.
    pub fn subscribe(&self) -> watch::Receiver<()> {
        self.mirror.changed.subscribe()
    }

    /// Adds a stream. `make` is given a lane that no other incarnation ever had.
    ///
    /// # Errors
    /// [`RegistryError::Exists`] when the key is taken, in whatever status.
    pub async fn create(
        &self,
        make: impl FnOnce(LaneId) -> DeliveryStream,
    ) -> Result<Arc<DeliveryStream>, RegistryError> {
        let mut writing = self.writing.lock().await;
        let stream = make(self.next_lane(&mut writing.lanes).await?);
        let key = stream.key.catalog_key();
        match self
            .catalog
            .put(&key, encode(&stream), Expect::Absent)
            .await
        {
            Ok(version) => Ok(self.mirror.put(version, stream)),
            Err(CatalogError::Conflict { .. }) => Err(RegistryError::Exists(stream.key)),
            Err(error) => {
                self.look(&mut writing.doubts, stream.key, None).await;
                Err(error.into())
            }
        }
    }

    /// Changes a stream. `change` is given the value as it is now and may be called again when
    /// somebody else was faster; what it refuses is given back as it is.
    ///
    /// # Errors
    /// [`RegistryError::NotFound`] as `E`, the refusal of `change`, or the catalog's failure.
    pub async fn change<E: From<RegistryError>>(
        &self,
        key: &StreamKey,
        mut change: impl FnMut(&DeliveryStream) -> Result<DeliveryStream, E>,
    ) -> Result<Arc<DeliveryStream>, E> {
        let doubts = &mut self.writing.lock().await.doubts;
        let catalog_key = key.catalog_key();
        loop {
            let found = self
                .catalog
                .get(&catalog_key)
                .await
                .map_err(RegistryError::from)?;
            let Some(Versioned { version, value }) = found else {
                return Err(RegistryError::NotFound(key.clone()).into());
            };
            let present = decode(&catalog_key, &value)?;
            let changed = change(&present)?;
            if changed == present {
                return Ok(Arc::new(present));
            }
            match self
                .catalog
                .put(&catalog_key, encode(&changed), Expect::Exactly(version))
                .await
            {
                Ok(version) => return Ok(self.mirror.put(version, changed)),
                Err(CatalogError::Conflict { .. }) => {}
                Err(error) => {
                    self.look(doubts, key.clone(), Some(version)).await;
                    return Err(RegistryError::from(error).into());
                }
            }
        }
    }

    /// Takes a stream out of the catalog, once its lane is gone. Only a stream that is DELETING and still has
    /// this lane is taken out; otherwise nothing happens.
    ///
    /// # Errors
    /// The catalog's failure.
    pub async fn forget(&self, key: &StreamKey, lane: LaneId) -> Result<(), RegistryError> {
        let doubts = &mut self.writing.lock().await.doubts;
        let catalog_key = key.catalog_key();
        let Some(Versioned { version, value }) = self.catalog.get(&catalog_key).await? else {
            return Ok(());
        };
        let present = decode(&catalog_key, &value)?;
        if present.status != Status::Deleting || present.lane != lane {
            return Ok(());
        }
        match self.catalog.delete(&catalog_key, version).await {
            Ok(()) => {
                self.mirror.remove(key, version);
                Ok(())
            }
            // Somebody else changed it: the supervisor looks again.
            Err(CatalogError::Conflict { .. }) => Ok(()),
            Err(error) => {
                self.look(doubts, key.clone(), Some(version)).await;
                Err(error.into())
            }
        }
    }

    /// Mirrors what the catalog really holds of streams in doubt, as far as it can be read now.
    pub(crate) async fn settle(&self) {
        let doubts = &mut self.writing.lock().await.doubts;
        for (key, replaced) in std::mem::take(doubts) {
            self.look(doubts, key, replaced).await;
        }
    }

    /// Mirrors what the catalog holds of a stream, after a write that failed and that was to replace the value
    /// of this version. What cannot be read stays in doubt.
    async fn look(&self, doubts: &mut InDoubt, key: StreamKey, replaced: Option<Version>) {
        let catalog_key = key.catalog_key();
        let found = match self.catalog.get(&catalog_key).await {
            Ok(Some(found)) => {
                decode(&catalog_key, &found.value).map(|it| Some((found.version, it)))
            }
            Ok(None) => Ok(None),
            Err(error) => Err(error.into()),
        };
        match (found, replaced) {
            (Ok(Some((version, stream))), _) => {
                self.mirror.put(version, stream);
            }
            (Ok(None), Some(replaced)) => self.mirror.remove(&key, replaced),
            (Ok(None), None) => {}
            (Err(error), _) => {
                tracing::error!(stream = %key, %error, "whether a change that failed was made is not known yet");
                let known = doubts.entry(key).or_default();
                *known = replaced.max(*known);
            }
        }
    }

    async fn next_lane(&self, set_aside: &mut Range<u64>) -> Result<LaneId, RegistryError> {
        loop {
            if let Some(lane) = set_aside.next() {
                return Ok(LaneId(lane));
            }
            let last = self.catalog.get(LAST_LANE).await?;
            let (number, expect) = match &last {
                None => (0, Expect::Absent),
                Some(last) => {
                    let number = decode_lane(&last.value);
                    let number = number.ok_or_else(|| RegistryError::Unreadable {
                        key: LAST_LANE.to_owned(),
                        detail: "not a number".to_owned(),
                    })?;
                    (number, Expect::Exactly(last.version))
                }
            };
            let end = number + LANES_AT_ONCE;
            match self
                .catalog
                .put(LAST_LANE, Bytes::from(end.to_string()), expect)
                .await
            {
                Ok(_) => *set_aside = number + 1..end + 1,
                Err(CatalogError::Conflict { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.follower.abort();
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry")
            .field("streams", &self.mirror.all().len())
            .finish()
    }
}

async fn follow(catalog: Arc<dyn Catalog>, mirror: Arc<Mirror>) {
    let mut changes = catalog.watch(CATALOG_PREFIX);
    while let Some(change) = changes.next().await {
        let change = match change {
            Ok(change) => change,
            Err(error) => {
                tracing::error!(%error, "the catalog's watch failed; streams changed elsewhere are not seen");
                return;
            }
        };
        match change.value {
            Some(value) => match decode(&change.key, &value) {
                Ok(stream) => {
                    mirror.put(change.version, stream);
                }
                Err(error) => tracing::error!(%error, "ignored a change"),
            },
            None => {
                if let Some(key) = parse_catalog_key(&change.key) {
                    mirror.remove(&key, change.version);
                }
            }
        }
    }
}

fn parse_catalog_key(key: &str) -> Option<StreamKey> {
    let mut parts = key.strip_prefix(CATALOG_PREFIX)?.splitn(3, '/');
    Some(StreamKey::new(parts.next()?, parts.next()?, parts.next()?))
}

fn encode(stream: &DeliveryStream) -> Bytes {
    // A struct of strings and numbers always serialises.
    Bytes::from(serde_json::to_vec(stream).unwrap_or_default())
}

/// The number in the value of [`LAST_LANE`].
pub(crate) fn decode_lane(value: &[u8]) -> Option<u64> {
    std::str::from_utf8(value).ok()?.parse().ok()
}

/// The stream in the catalog's value of `key`.
pub(crate) fn decode(key: &str, value: &[u8]) -> Result<DeliveryStream, RegistryError> {
    serde_json::from_slice(value).map_err(|error| RegistryError::Unreadable {
        key: key.to_owned(),
        detail: error.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering::SeqCst;

    use hydrant_engine::{Engine, Timestamp};

    use super::*;
    use crate::stream::{
        BufferingHints, CompressionFormat, Destination, Encryption, S3Spec, faulty::FaultyCatalog,
    };

    fn stream(name: &str, lane: LaneId) -> DeliveryStream {
        DeliveryStream {
            key: StreamKey::new("000000000000", "us-east-1", name),
            lane,
            status: Status::Creating,
            version: 1,
            created: Timestamp(1_444_222_333_444),
            updated: None,
            destination: Destination::S3(S3Spec {
                role_arn: "arn:aws:iam::000000000000:role/r".to_owned(),
                bucket_arn: "arn:aws:s3:::b".to_owned(),
                prefix: None,
                buffering: BufferingHints::DEFAULT,
                compression: CompressionFormat::Gzip,
                encryption: Encryption::None,
                echoed: serde_json::Map::new(),
            }),
            tags: Vec::new(),
        }
    }

    #[tokio::test]
    async fn a_stream_is_created_once_changed_and_forgotten() {
        let catalog = Engine::mem().catalog;
        let registry = Registry::open(catalog.clone()).await.unwrap();
        let first = registry.create(|lane| stream("a", lane)).await.unwrap();
        let again = registry.create(|lane| stream("a", lane)).await;
        assert!(matches!(again, Err(RegistryError::Exists(_))), "{again:?}");

        registry.forget(&first.key, first.lane).await.unwrap();
        assert!(
            registry.get(&first.key).is_some(),
            "only a DELETING stream is forgotten"
        );
        registry.change(&first.key, deleting).await.unwrap();
        assert_eq!(registry.get(&first.key).unwrap().status, Status::Deleting);
        registry.forget(&first.key, first.lane).await.unwrap();
        assert!(registry.get(&first.key).is_none());

        let second = registry.create(|lane| stream("a", lane)).await.unwrap();
        assert_ne!(
            second.lane, first.lane,
            "an incarnation has a lane of its own"
        );
        let reopened = Registry::open(catalog).await.unwrap();
        assert_eq!(reopened.get(&second.key), Some(second));
    }

    fn deleting(present: &DeliveryStream) -> Result<DeliveryStream, RegistryError> {
        Ok(DeliveryStream {
            status: Status::Deleting,
            ..present.clone()
        })
    }

    #[tokio::test]
    async fn a_write_that_failed_but_happened_is_seen() {
        let catalog = FaultyCatalog::new(Engine::mem().catalog);
        let registry = Registry::open(catalog.clone()).await.unwrap();
        let key = stream("a", LaneId(0)).key;
        let lie = |lies| catalog.lying.store(lies, SeqCst);
        // A lane first, so that the lie is about the stream.
        catalog
            .put(LAST_LANE, Bytes::from_static(b"1"), Expect::Absent)
            .await
            .unwrap();
        let create = registry.create(|lane| {
            lie(true);
            stream("a", lane)
        });
        assert!(create.await.is_err());
        assert_eq!(registry.get(&key).unwrap().status, Status::Creating);
        assert!(registry.change(&key, deleting).await.is_err());
        let deleted = registry.get(&key).unwrap();
        assert_eq!(deleted.status, Status::Deleting);
        assert!(registry.forget(&key, deleted.lane).await.is_err());
        assert_eq!(registry.get(&key), None);
    }

    #[tokio::test]
    async fn a_stream_in_doubt_is_read_once_it_can_be() {
        let catalog = FaultyCatalog::new(Engine::mem().catalog);
        let registry = Registry::open(catalog.clone()).await.unwrap();
        let created = registry.create(|lane| stream("a", lane)).await.unwrap();
        let change = registry.change(&created.key, |present| {
            catalog.lying.store(true, SeqCst);
            catalog.unreadable.store(true, SeqCst);
            deleting(present)
        });
        assert!(change.await.is_err());
        registry.settle().await;
        assert_eq!(registry.get(&created.key), Some(created.clone()));
        catalog.unreadable.store(false, SeqCst);
        registry.settle().await;
        assert_eq!(registry.get(&created.key).unwrap().status, Status::Deleting);
    }

    #[tokio::test]
    async fn a_change_made_elsewhere_is_seen() {
        let catalog = Engine::mem().catalog;
        let here = Registry::open(catalog.clone()).await.unwrap();
        let there = Registry::open(catalog).await.unwrap();
        let mut changed = there.subscribe();
        let created = here.create(|lane| stream("a", lane)).await.unwrap();
        while there.get(&created.key).is_none() {
            changed.changed().await.unwrap();
        }
        assert_eq!(there.list("000000000000", "us-east-1"), [created]);
        assert_eq!(there.list("000000000001", "us-east-1"), []);
    }
}

//! A large object in constant memory.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;

use super::{
    super::copy,
    rig::{Command, Rig},
};
use crate::{
    destination::{Bytestream, DeliveryError, Destination, Destinations, Object, Receipt},
    stream::S3Spec,
};

/// What a piece of the object has.
const PIECE: usize = 1 << 20;
/// How many pieces it has: 128 MB.
const PIECES: usize = 128;
/// Pieces that may be read before the database takes any: in the channels, and in the sockets between.
const AHEAD: u64 = 24;

/// A bucket with one endless row after the other, which counts what is read.
#[derive(Debug)]
struct Counting {
    manifest: Bytes,
    read: Arc<AtomicU64>,
}

#[async_trait]
impl Destination for Counting {
    async fn deliver(&self, _: &Object) -> Result<Receipt, DeliveryError> {
        Err(DeliveryError::internal("read only"))
    }

    async fn read(&self, key: &str) -> Result<Bytestream, DeliveryError> {
        if key == "manifest" {
            let manifest = self.manifest.clone();
            return Ok(futures::stream::iter([Ok(manifest)]).boxed());
        }
        let row = format!("{}\n", "x".repeat(1023));
        let piece = Bytes::from(row.repeat(PIECE / row.len()));
        let read = self.read.clone();
        let pieces = futures::stream::iter(0..PIECES).map(move |_| {
            read.fetch_add(1, Ordering::SeqCst);
            Ok(piece.clone())
        });
        Ok(pieces.boxed())
    }

    async fn probe(&self) -> Result<(), DeliveryError> {
        Ok(())
    }
}

#[derive(Debug)]
struct Everywhere(Arc<Counting>);

impl Destinations for Everywhere {
    fn find(&self, _: &S3Spec, _: &str) -> Result<Arc<dyn Destination>, DeliveryError> {
        Ok(self.0.clone())
    }
}

#[tokio::test]
async fn little_is_read_ahead_of_the_database_and_128_mb_are_loaded() {
    // A table that keeps nothing but the number: what is measured is the way there.
    let rig = Rig::new(
        "CREATE TABLE t (a varchar(2000));
        CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            PERFORM pg_advisory_xact_lock(3); RETURN NULL; END $$;
        CREATE TRIGGER wait BEFORE INSERT ON t FOR EACH STATEMENT EXECUTE FUNCTION wait();
        CREATE FUNCTION drop() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
        CREATE TRIGGER drop BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION drop();
        SELECT pg_advisory_lock(3)",
    )
    .await;
    let read = Arc::new(AtomicU64::new(0));
    let buckets = Everywhere(Arc::new(Counting {
        manifest: Bytes::from_static(
            b"{\"entries\":[{\"url\":\"s3://bucket/large\",\"mandatory\":true}]}",
        ),
        read: read.clone(),
    }));
    let command = Command {
        table: "t",
        columns: "",
        options: "",
    };
    let load = rig.load(command, "manifest");
    let mut client = rig.connect().await;
    let loading = copy(&buckets, "us-east-1", &mut client, &load);
    let watching = async {
        // The database takes nothing. Whatever is read is held somewhere; it comes to rest.
        let (mut before, mut still) = (0, 0);
        while still < 200 || before == 0 {
            rig.value("SELECT pg_sleep(0.01)").await;
            let now = read.load(Ordering::SeqCst);
            still = if now == before { still + 1 } else { 0 };
            before = now;
        }
        rig.sql("SELECT pg_advisory_unlock(3)").await;
        before
    };
    let (loaded, ahead) = tokio::join!(loading, watching);
    assert!(ahead <= AHEAD, "{ahead} pieces were read ahead");
    loaded.unwrap();
    assert_eq!(read.load(Ordering::SeqCst), PIECES as u64);
}

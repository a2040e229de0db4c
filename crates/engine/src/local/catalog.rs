//! [`LocalCatalog`]: the trait [`Catalog`] over redb.
//!
//! One table holds `key → (version, value)`, another the format's version and the highest version given.
//! One thread commits: everything that waits becomes one durable transaction, within which each change
//! is checked against the ones before it. Even a conflict is answered only after the commit, because
//! what it conflicts with may be part of it.
//!
//! Watchers have a queue each, into which the committing thread puts every change before it answers. The
//! queue keeps one change of a key, the latest: a slow watcher costs the size of what it has not seen.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    io::{self, IoSlice},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError, RwLock, Weak,
        atomic::{AtomicBool, Ordering},
    },
};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use redb::{
    Database, ReadableDatabase, ReadableTable, StorageBackend, StorageError, Table, TableDefinition,
};
use tokio::sync::{
    mpsc::{self, UnboundedReceiver, UnboundedSender},
    oneshot, watch,
};

use super::{
    disk::{Disk, DiskFile, is_full},
    lock::DirLock,
};
use crate::{
    catalog::{Catalog, CatalogError, Change, Expect, Version, Versioned},
    engine::{EngineConfig, EngineParts, OpenError},
    threads::{Threads, blocking},
};

pub(crate) const VALUES: TableDefinition<'static, &str, (u64, &[u8])> =
    TableDefinition::new("values");
pub(crate) const META: TableDefinition<'static, &str, u64> = TableDefinition::new("meta");
/// In [`META`]: the version of the tables' format.
pub(crate) const FORMAT: &str = "format";
/// In [`META`]: the highest version given to a change.
pub(crate) const LAST_VERSION: &str = "last_version";
pub(crate) const FORMAT_VERSION: u64 = 1;
/// The most changes in one transaction.
const GROUP: usize = 1024;
/// Below this much free disk no change is tried: a transaction that runs out of space half way is
/// harder on the store than one that was never begun.
const RESERVE_BYTES: u64 = 8 << 20;

/// A [`Catalog`] in one redb file.
pub(crate) struct LocalCatalog {
    store: Arc<Store>,
    commands: UnboundedSender<Command>,
    threads: Arc<dyn Threads>,
    closing: AtomicBool,
    /// `true` once the committing thread has ended.
    stopped: watch::Receiver<bool>,
    /// Given up when the catalog closes.
    lock: Mutex<Option<Arc<DirLock>>>,
}

impl fmt::Debug for LocalCatalog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalCatalog")
            .field("path", &self.store.path)
            .finish()
    }
}

/// What the committing thread and the readers share.
struct Store {
    path: PathBuf,
    disk: Disk,
    cache_bytes: usize,
    /// `None` after it failed, until it is opened anew, and once closed. Readers hold the lock while they read.
    database: RwLock<Option<Database>>,
    closed: AtomicBool,
    watchers: Mutex<Vec<Weak<Watcher>>>,
}

enum Command {
    Change(Request),
    Close,
}

/// A change that waits to be committed.
struct Request {
    key: String,
    /// `None` deletes.
    value: Option<Bytes>,
    expect: Expect,
    reply: oneshot::Sender<Result<Version, CatalogError>>,
}

impl LocalCatalog {
    /// Opens or creates the catalog's file. Blocks.
    pub(crate) fn open(
        config: &EngineConfig,
        parts: &EngineParts,
        lock: Arc<DirLock>,
        log_dir: &Path,
    ) -> Result<Self, OpenError> {
        let path = config.data_dir.join("catalog.redb");
        let failed = |detail: String| OpenError::Catalog {
            path: path.clone(),
            detail,
        };
        // An empty catalog would make orphans of all lanes, and orphans are removed.
        if parts.disk.exists(log_dir) && !parts.disk.exists(&path) {
            return Err(failed(format!(
                "it is missing although {} exists; restore it, or name another directory",
                log_dir.display()
            )));
        }
        let store = Store {
            path: path.clone(),
            disk: parts.disk.clone(),
            cache_bytes: config.catalog_cache_bytes,
            database: RwLock::new(None),
            closed: AtomicBool::new(false),
            watchers: Mutex::default(),
        };
        let last_version = store.prepare().map_err(|error| failed(error.to_string()))?;
        // The file's name must survive, too; redb syncs its bytes alone.
        parts
            .disk
            .sync_dir(&config.data_dir)
            .map_err(|error| failed(error.to_string()))?;
        let store = Arc::new(store);
        let (commands, mut commanded) = mpsc::unbounded_channel();
        let (stopping, stopped) = watch::channel(false);
        let (shared, held) = (store.clone(), lock.clone());
        let committing = async move {
            commit_all(&shared, &mut commanded, last_version).await;
            shared.close();
            drop(held);
            stopping.send_replace(true);
        };
        parts
            .threads
            .spawn("catalog", Box::pin(committing))
            .map_err(|error| failed(error.to_string()))?;
        Ok(LocalCatalog {
            store,
            commands,
            threads: parts.threads.clone(),
            closing: AtomicBool::new(false),
            stopped,
            lock: Mutex::new(Some(lock)),
        })
    }

    /// Whether nothing was ever put here. Blocks.
    pub(crate) fn is_unused(&self) -> Result<bool, OpenError> {
        let unused = self.store.is_unused();
        unused.map_err(|error| OpenError::Catalog {
            path: self.store.path.clone(),
            detail: error.to_string(),
        })
    }

    async fn change(
        &self,
        key: &str,
        value: Option<Bytes>,
        expect: Expect,
    ) -> Result<Version, CatalogError> {
        if self.closing.load(Ordering::Acquire) {
            return Err(CatalogError::Closed);
        }
        let (reply, answer) = oneshot::channel();
        let request = Request {
            key: key.to_owned(),
            value,
            expect,
            reply,
        };
        // Without an answer nothing was done.
        if self.commands.send(Command::Change(request)).is_err() {
            return Err(CatalogError::Closed);
        }
        answer.await.unwrap_or(Err(CatalogError::Closed))
    }

    async fn reading<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Store) -> Result<T, CatalogError> + Send + 'static,
    ) -> Result<T, CatalogError> {
        let store = self.store.clone();
        let done = blocking(&*self.threads, move || read(&store)).await;
        done.unwrap_or_else(|stopped| Err(CatalogError::Failed(stopped.to_string())))
    }
}

#[async_trait]
impl Catalog for LocalCatalog {
    async fn get(&self, key: &str) -> Result<Option<Versioned>, CatalogError> {
        let key = key.to_owned();
        self.reading(move |store| store.get(&key)).await
    }

    async fn put(&self, key: &str, value: Bytes, expect: Expect) -> Result<Version, CatalogError> {
        self.change(key, Some(value), expect).await
    }

    async fn delete(&self, key: &str, version: Version) -> Result<(), CatalogError> {
        let deleted = self.change(key, None, Expect::Exactly(version)).await;
        deleted.map(|_| ())
    }

    async fn list(&self, prefix: &str) -> Result<Vec<(String, Versioned)>, CatalogError> {
        let prefix = prefix.to_owned();
        let listed = self.reading(move |store| store.list(&prefix)).await;
        listed.map(|(present, _)| present)
    }

    fn watch(&self, prefix: &str) -> BoxStream<'static, Result<Change, CatalogError>> {
        let (store, threads) = (self.store.clone(), self.threads.clone());
        let prefix = prefix.to_owned();
        // Before the list is read, so that no change falls between.
        let watcher = store.register(&prefix);
        let mut woken = watcher.wake.subscribe();
        Box::pin(async_stream::stream! {
            let listed = blocking(&*threads, move || store.list(&prefix)).await;
            let listed = listed.unwrap_or_else(|stopped| {
                Err(CatalogError::Failed(stopped.to_string()))
            });
            let listed_at = match listed {
                Ok((present, version)) => {
                    for (key, Versioned { version, value }) in present {
                        yield Ok(Change { key, version, value: Some(value) });
                    }
                    version
                }
                Err(CatalogError::Closed) => return,
                Err(error) => {
                    yield Err(error);
                    return;
                }
            };
            loop {
                woken.mark_unchanged();
                let (changes, ended) = watcher.take();
                for change in changes {
                    if change.version > listed_at {
                        yield Ok(change);
                    }
                }
                if ended || woken.changed().await.is_err() {
                    return;
                }
            }
        })
    }

    async fn close(&self) -> Result<(), CatalogError> {
        self.closing.store(true, Ordering::Release);
        // An error means that the thread has ended, which is what is wanted.
        let _ = self.commands.send(Command::Close);
        let mut stopped = self.stopped.clone();
        let _ = stopped.wait_for(|&stopped| stopped).await;
        let mut lock = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        *lock = None;
        Ok(())
    }
}

/// redb's file, behind the one door to files.
#[derive(Debug)]
pub(crate) struct Backend(pub(crate) DiskFile);

impl StorageBackend for Backend {
    fn len(&self) -> Result<u64, io::Error> {
        self.0.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), io::Error> {
        self.0.read_into(offset, out)
    }

    fn set_len(&self, len: u64) -> Result<(), io::Error> {
        self.0.set_len(len)
    }

    fn sync_data(&self) -> Result<(), io::Error> {
        self.0.sync()
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), io::Error> {
        self.0.write_all_at(&mut [IoSlice::new(data)], offset)
    }
}

/// Why the store could not do as asked.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub(crate) struct StoreError(Box<redb::Error>);

impl<E: Into<redb::Error>> From<E> for StoreError {
    fn from(error: E) -> Self {
        StoreError(Box::new(error.into()))
    }
}

impl From<StoreError> for CatalogError {
    fn from(StoreError(error): StoreError) -> Self {
        match *error {
            redb::Error::Io(io) if is_full(&io) => CatalogError::Full(io.to_string()),
            other => CatalogError::Failed(other.to_string()),
        }
    }
}

impl Store {
    /// Whether nothing was ever put here.
    fn is_unused(&self) -> Result<bool, CatalogError> {
        let (_, version) = self.list("")?;
        Ok(version == Version(0))
    }

    /// Opens the file, makes sure of its format, and reads the highest version.
    fn prepare(&self) -> Result<u64, StoreError> {
        if !self.disk.exists(&self.path) {
            self.make_file()?;
        }
        let database = self.open_file()?;
        let format = {
            let read = database.begin_read()?;
            match read.open_table(META) {
                Ok(meta) => meta.get(FORMAT)?.map(|format| format.value()),
                Err(redb::TableError::TableDoesNotExist(_)) => None,
                Err(error) => return Err(error.into()),
            }
        };
        let last_version = match format {
            Some(FORMAT_VERSION) => {
                let meta = database.begin_read()?.open_table(META)?;
                meta.get(LAST_VERSION)?.map_or(0, |version| version.value())
            }
            Some(other) => {
                let why = format!(
                    "its format is {other} and this program knows {FORMAT_VERSION} alone; \
                     use the program that wrote it, or a newer one"
                );
                return Err(StorageError::Corrupted(why).into());
            }
            None => {
                let why = "it is a redb database, but not a catalog of this program's";
                return Err(StorageError::Corrupted(why.to_owned()).into());
            }
        };
        *self
            .database
            .write()
            .unwrap_or_else(PoisonError::into_inner) = Some(database);
        Ok(last_version)
    }

    fn open_file(&self) -> Result<Database, StoreError> {
        let file = self.disk.open(self.path.clone())?;
        // redb would begin a new catalog in it, and all lanes would be orphans.
        if file.len()? == 0 {
            let why = "it is empty; restore it, or name another directory";
            return Err(StorageError::Corrupted(why.to_owned()).into());
        }
        file.read_from_disk();
        self.open_database(file)
    }

    fn open_database(&self, file: DiskFile) -> Result<Database, StoreError> {
        let mut builder = Database::builder();
        builder.set_cache_size(self.cache_bytes);
        Ok(builder.create_with_backend(Backend(file))?)
    }

    /// Makes an empty database, whole and durable or not at all: redb takes a file that it had begun
    /// to make when power went for somebody else's.
    fn make_file(&self) -> Result<(), StoreError> {
        let temporary = self.path.with_extension("tmp");
        self.disk.remove_if_present(&temporary)?;
        let database = self.open_database(self.disk.create(temporary.clone())?)?;
        let write = database.begin_write()?;
        write.open_table(VALUES)?;
        write.open_table(META)?.insert(FORMAT, FORMAT_VERSION)?;
        write.commit()?;
        drop(database);
        self.disk.open(temporary.clone())?.sync_all()?;
        self.disk.durable_rename(&temporary, &self.path)?;
        Ok(())
    }

    /// Works with the database, and opens it first when it failed before.
    fn with<T>(
        &self,
        work: impl FnOnce(&Database) -> Result<T, StoreError>,
    ) -> Result<T, CatalogError> {
        let mut work = Some(work);
        loop {
            if self.closed.load(Ordering::Acquire) {
                return Err(CatalogError::Closed);
            }
            {
                let open = self.database.read().unwrap_or_else(PoisonError::into_inner);
                if let Some(database) = open.as_ref()
                    && let Some(work) = work.take()
                {
                    let done = work(database);
                    drop(open);
                    if let Err(StoreError(error)) = &done
                        && matches!(**error, redb::Error::Io(_) | redb::Error::PreviousIo)
                    {
                        self.forget_database();
                    }
                    return Ok(done?);
                }
            }
            let mut database = self
                .database
                .write()
                .unwrap_or_else(PoisonError::into_inner);
            if database.is_none() && !self.closed.load(Ordering::Acquire) {
                *database = Some(self.open_file()?);
            }
        }
    }

    /// Lets the database be opened anew: redb refuses all work after a failure of the disk.
    fn forget_database(&self) {
        *self
            .database
            .write()
            .unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn get(&self, key: &str) -> Result<Option<Versioned>, CatalogError> {
        self.with(|database| {
            let values = database.begin_read()?.open_table(VALUES)?;
            Ok(values.get(key)?.map(|found| versioned(found.value())))
        })
    }

    /// What begins with `prefix`, and the version that this shows.
    fn list(&self, prefix: &str) -> Result<(Vec<(String, Versioned)>, Version), CatalogError> {
        self.with(|database| {
            let read = database.begin_read()?;
            let values = read.open_table(VALUES)?;
            let mut present = Vec::new();
            for item in values.range(prefix..)? {
                let (key, value) = item?;
                if !key.value().starts_with(prefix) {
                    break;
                }
                present.push((key.value().to_owned(), versioned(value.value())));
            }
            let meta = read.open_table(META)?;
            let version = meta.get(LAST_VERSION)?.map_or(0, |version| version.value());
            Ok((present, Version(version)))
        })
    }

    fn register(&self, prefix: &str) -> Arc<Watcher> {
        let watcher = Arc::new(Watcher {
            prefix: prefix.to_owned(),
            pending: Mutex::default(),
            wake: watch::Sender::new(()),
        });
        let mut watchers = self.watchers.lock().unwrap_or_else(PoisonError::into_inner);
        watchers.retain(|watcher| watcher.strong_count() > 0);
        watchers.push(Arc::downgrade(&watcher));
        if self.closed.load(Ordering::Acquire) {
            watcher.end();
        }
        watcher
    }

    fn each_watcher(&self, mut act: impl FnMut(&Watcher)) {
        let watchers = self.watchers.lock().unwrap_or_else(PoisonError::into_inner);
        for watcher in watchers.iter().filter_map(Weak::upgrade) {
            act(&watcher);
        }
    }

    fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.forget_database();
        self.each_watcher(Watcher::end);
    }
}

fn versioned((version, value): (u64, &[u8])) -> Versioned {
    Versioned {
        version: Version(version),
        value: Bytes::copy_from_slice(value),
    }
}

/// Commits what comes until it is told to close.
async fn commit_all(
    store: &Store,
    commands: &mut UnboundedReceiver<Command>,
    mut last_version: u64,
) {
    while let Some(command) = commands.recv().await {
        let mut group = Vec::new();
        let mut next = Some(command);
        let mut closing = false;
        while let Some(command) = next {
            match command {
                Command::Change(request) => group.push(request),
                Command::Close => {
                    closing = true;
                    break;
                }
            }
            next = (group.len() < GROUP)
                .then(|| commands.try_recv().ok())
                .flatten();
        }
        if !group.is_empty() {
            commit(store, group, &mut last_version);
        }
        if closing {
            return;
        }
    }
}

/// Commits a group, tells watchers, and answers.
fn commit(store: &Store, group: Vec<Request>, last_version: &mut u64) {
    let answers = has_space(store).and_then(|()| {
        store.with(|database| {
            let mut write = database.begin_write()?;
            // Opening after a crash must not take longer the more the catalog holds.
            write.set_quick_repair(true);
            let mut answers = Vec::with_capacity(group.len());
            {
                let mut values = write.open_table(VALUES)?;
                for request in &group {
                    answers.push(apply(&mut values, request, last_version)?);
                }
                write
                    .open_table(META)?
                    .insert(LAST_VERSION, *last_version)?;
            }
            if answers.iter().any(Option::is_some) {
                write.commit()?;
            } else {
                write.abort()?;
            }
            Ok(answers)
        })
    });
    let answers = match answers {
        Ok(answers) => answers,
        Err(error) => {
            if !matches!(error, CatalogError::Closed) {
                tracing::error!("the catalog could not commit: {error}");
            }
            for request in group {
                let _ = request.reply.send(Err(error.clone()));
            }
            return;
        }
    };
    store.each_watcher(|watcher| {
        for (request, version) in group.iter().zip(&answers) {
            if let Some(version) = version
                && request.key.starts_with(&watcher.prefix)
            {
                watcher.push(Change {
                    key: request.key.clone(),
                    version: *version,
                    value: request.value.clone(),
                });
            }
        }
    });
    for (request, version) in group.into_iter().zip(answers) {
        let Request { key, reply, .. } = request;
        // The caller may have gone.
        let _ = reply.send(version.ok_or(CatalogError::Conflict { key }));
    }
}

fn has_space(store: &Store) -> Result<(), CatalogError> {
    match store.disk.available(&store.path) {
        Ok(free) if free < RESERVE_BYTES => Err(CatalogError::Full(format!(
            "the disk has {free} bytes free; the catalog needs {RESERVE_BYTES}"
        ))),
        // When that cannot be known, the store will say.
        _ => Ok(()),
    }
}

/// Makes one change, or `None` when the present value is not the expected one.
fn apply(
    values: &mut Table<'_, &'static str, (u64, &'static [u8])>,
    request: &Request,
    last_version: &mut u64,
) -> Result<Option<Version>, StoreError> {
    let key = request.key.as_str();
    let present = values.get(key)?.map(|found| found.value().0);
    let expected = match request.expect {
        Expect::Absent => None,
        Expect::Exactly(version) => Some(version.0),
    };
    if present != expected {
        return Ok(None);
    }
    // Not taken back should the commit fail: a version is never given twice.
    *last_version += 1;
    match &request.value {
        Some(value) => values.insert(key, (*last_version, value.as_ref()))?,
        None => values.remove(key)?,
    };
    Ok(Some(Version(*last_version)))
}

/// One who watches a prefix.
struct Watcher {
    prefix: String,
    pending: Mutex<Pending>,
    wake: watch::Sender<()>,
}

/// What a watcher has not seen: the latest change of each key.
#[derive(Default)]
struct Pending {
    changes: BTreeMap<Version, Change>,
    versions: HashMap<String, Version>,
    ended: bool,
}

impl Watcher {
    fn push(&self, change: Change) {
        {
            let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
            let before = pending.versions.insert(change.key.clone(), change.version);
            if let Some(before) = before {
                pending.changes.remove(&before);
            }
            pending.changes.insert(change.version, change);
        }
        self.wake.send_replace(());
    }

    fn end(&self) {
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        pending.ended = true;
        drop(pending);
        self.wake.send_replace(());
    }

    /// What was not seen, in order of version, and whether more may come.
    fn take(&self) -> (Vec<Change>, bool) {
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        pending.versions.clear();
        let changes = std::mem::take(&mut pending.changes);
        (changes.into_values().collect(), pending.ended)
    }
}

impl Drop for LocalCatalog {
    fn drop(&mut self) {
        // The thread ends by itself, once it has committed what waits.
        let _ = self.commands.send(Command::Close);
    }
}

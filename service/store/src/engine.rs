//! One thread writes, a few read.

use crate::error::StoreError;
use crate::lock::Lock;
use crate::migrate::{self, Whose};
use crate::settings::Settings;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};
use std::ops::Deref;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::oneshot;

/// Changes that share one commit at most, so that the first one does not wait for long.
const BATCH: usize = 64;
/// How long SQLite waits for a lock. Only a checkpoint or a backup by another tool ever holds one.
const PATIENCE: Duration = Duration::from_secs(5);
/// The write-ahead log is cut back to this size after a checkpoint.
const LOG_BYTES: i64 = 16 << 20;

/// Questions about one state of the store: what a closure sees is not changed by others meanwhile.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    pub(crate) sql: &'a Connection,
}

/// A change under way; all of it or nothing holds. Sees what it changed itself.
#[derive(Debug, Clone, Copy)]
pub struct Tx<'a> {
    view: View<'a>,
    pub(crate) bounds: &'a Settings,
}

impl<'a> Deref for Tx<'a> {
    type Target = View<'a>;

    fn deref(&self) -> &View<'a> {
        &self.view
    }
}

impl<'a> View<'a> {
    /// The connection, for tables that are none of this crate's. Only reads belong here.
    #[must_use]
    pub fn sql(&self) -> &'a Connection {
        self.sql
    }
}

/// Tells the caller how its job ended, once that is certain.
type Deliver = Box<dyn FnOnce(Result<(), StoreError>) + Send>;
/// A job: runs on a view (with bounds: a change) and says whether what it did is to hold.
type Job = Box<dyn FnOnce(&Tx<'_>) -> (bool, Deliver) + Send>;

/// The store. Clones share it; the last one to go closes it, after everything that waits is done.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("path", &self.0.path).finish_non_exhaustive()
    }
}

struct Inner {
    path: Option<PathBuf>,
    writes: Option<SyncSender<Job>>,
    /// `None`: the writing thread answers.
    reads: Option<SyncSender<Job>>,
    threads: Vec<JoinHandle<()>>,
    _lock: Option<Lock>,
}

/// An answer to come.
#[derive(Debug)]
#[must_use = "a change is acknowledged by its answer"]
pub struct Pending<T>(oneshot::Receiver<Result<T, StoreError>>);

impl<T> Pending<T> {
    /// Waits for the answer on a thread that is not an asynchronous runtime's.
    ///
    /// # Errors
    /// What the closure said; [`StoreError::Busy`], [`StoreError::Closed`], [`StoreError::Commit`].
    pub fn wait(self) -> Result<T, StoreError> {
        self.0.blocking_recv().unwrap_or(Err(StoreError::Closed))
    }
}

impl<T> Future for Pending<T> {
    type Output = Result<T, StoreError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx).map(|answer| answer.unwrap_or(Err(StoreError::Closed)))
    }
}

impl Store {
    /// Opens the store in this file, or begins one there; the folder is made if need be. Takes the steps that an
    /// older file lacks.
    ///
    /// # Errors
    /// [`StoreError::File`], [`StoreError::Locked`], [`StoreError::Foreign`], [`StoreError::Newer`], SQLite's.
    pub fn open(path: &Path, settings: &Settings) -> Result<Self, StoreError> {
        if let Some(folder) = path.parent().filter(|f| !f.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder)
                .map_err(|source| StoreError::File { path: folder.to_owned(), source })?;
        }
        let lock = Lock::take(path)?;
        let mut writer = Connection::open(path)?;
        writer.busy_timeout(PATIENCE)?;
        if migrate::whose(&writer)? == Whose::Foreign {
            return Err(StoreError::Foreign(path.to_owned()));
        }
        let mode: String = writer.query_row("PRAGMA journal_mode = WAL", [], |r| r.get(0))?;
        if !mode.eq_ignore_ascii_case("wal") {
            return Err(StoreError::Corrupt(format!("the file system allows only journal mode `{mode}`")));
        }
        set_up(&writer)?;
        let steps = migrate::migrate(&mut writer)?;
        tracing::info!(path = %path.display(), version = migrate::known(), steps, "store opened");
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut readers = Vec::new();
        for _ in 0..settings.readers.max(1) {
            let reader = Connection::open_with_flags(path, flags)?;
            reader.busy_timeout(PATIENCE)?;
            reader.set_prepared_statement_cache_capacity(64);
            readers.push(reader);
        }
        Self::start(Some(path.to_owned()), Some(lock), writer, readers, settings)
    }

    /// A store that ends with the process.
    ///
    /// # Errors
    /// SQLite's.
    pub fn memory(settings: &Settings) -> Result<Self, StoreError> {
        let mut writer = Connection::open_in_memory()?;
        set_up(&writer)?;
        migrate::migrate(&mut writer)?;
        Self::start(None, None, writer, Vec::new(), settings)
    }

    fn start(
        path: Option<PathBuf>,
        lock: Option<Lock>,
        writer: Connection,
        readers: Vec<Connection>,
        settings: &Settings,
    ) -> Result<Self, StoreError> {
        let (writes, jobs) = sync_channel(settings.write_queue.max(1));
        let mut inner = Inner { path, writes: Some(writes), reads: None, threads: Vec::new(), _lock: lock };
        let bounds = settings.clone();
        let thread = spawn("store-write", move || write_loop(writer, &jobs, &bounds))?;
        inner.threads.push(thread);
        if !readers.is_empty() {
            let (reads, jobs) = sync_channel(settings.read_queue.max(1));
            inner.reads = Some(reads);
            let jobs = Arc::new(Mutex::new(jobs));
            for (n, reader) in readers.into_iter().enumerate() {
                let (jobs, bounds) = (Arc::clone(&jobs), settings.clone());
                let thread = spawn(&format!("store-read-{n}"), move || read_loop(reader, &jobs, &bounds))?;
                inner.threads.push(thread);
            }
        }
        Ok(Self(Arc::new(inner)))
    }

    /// Where the store is; `None` in memory.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.0.path.as_deref()
    }

    /// Runs a change. Its answer comes after it is on the disk; an error undoes it.
    pub fn write<T: Send + 'static>(
        &self,
        change: impl FnOnce(&Tx<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Pending<T> {
        submit(self.0.writes.as_ref(), change)
    }

    /// Asks a question.
    pub fn read<T: Send + 'static>(
        &self,
        question: impl FnOnce(&View<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Pending<T> {
        let queue = self.0.reads.as_ref().or(self.0.writes.as_ref());
        submit(queue, move |tx: &Tx<'_>| question(tx))
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // The writer, which is the first thread, closes last: only it may fold the log into the file, and only
        // when nobody else has it open.
        self.reads = None;
        let readers = self.threads.split_off(self.threads.len().min(1));
        join(readers);
        self.writes = None;
        join(std::mem::take(&mut self.threads));
    }
}

/// Waits for threads to end, except for the one that asks.
fn join(threads: Vec<JoinHandle<()>>) {
    let own = std::thread::current().id();
    for thread in threads.into_iter().filter(|t| t.thread().id() != own) {
        // A thread that panicked has nothing more to finish.
        let _ = thread.join();
    }
}

fn set_up(connection: &Connection) -> Result<(), StoreError> {
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    // Read back by SQLite as a row.
    connection.query_row(&format!("PRAGMA journal_size_limit = {LOG_BYTES}"), [], |_| Ok(()))?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(())
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, StoreError> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(run)
        .map_err(|source| StoreError::File { path: PathBuf::from(name), source })
}

fn submit<T: Send + 'static>(
    queue: Option<&SyncSender<Job>>,
    run: impl FnOnce(&Tx<'_>) -> Result<T, StoreError> + Send + 'static,
) -> Pending<T> {
    let (answer, pending) = oneshot::channel();
    let answer = Arc::new(Mutex::new(Some(answer)));
    let send = {
        let answer = Arc::clone(&answer);
        move |outcome: Result<T, StoreError>| {
            let taken = answer.lock().unwrap_or_else(PoisonError::into_inner).take();
            // Whoever asked may have gone away.
            let _ = taken.map(|answer| answer.send(outcome));
        }
    };
    let refuse = send.clone();
    let job: Job = Box::new(move |tx| {
        let outcome = run(tx);
        let holds = outcome.is_ok();
        (holds, Box::new(move |committed| send(committed.and(outcome))))
    });
    match queue.map(|queue| queue.try_send(job)) {
        Some(Ok(())) => {}
        Some(Err(TrySendError::Full(_))) => refuse(Err(StoreError::Busy)),
        Some(Err(TrySendError::Disconnected(_))) | None => refuse(Err(StoreError::Closed)),
    }
    Pending(pending)
}

fn write_loop(mut connection: Connection, jobs: &Receiver<Job>, bounds: &Settings) {
    while let Ok(first) = jobs.recv() {
        let mut delivers = Vec::new();
        let committed = batch(&mut connection, first, jobs, bounds, &mut delivers);
        if let Err(why) = &committed {
            tracing::error!(%why, "a transaction of the store failed");
        }
        for deliver in delivers {
            deliver(match &committed {
                Ok(()) => Ok(()),
                Err(why) => Err(StoreError::Commit(why.to_string())),
            });
        }
    }
    // Leaves a file without a log beside it.
    if let Err(why) = connection.execute_batch("PRAGMA optimize; PRAGMA wal_checkpoint(TRUNCATE)") {
        tracing::warn!(%why, "the store could not be tidied up");
    }
}

/// One transaction of every job that waits, each in a savepoint of its own.
fn batch(
    connection: &mut Connection,
    first: Job,
    jobs: &Receiver<Job>,
    bounds: &Settings,
    delivers: &mut Vec<Deliver>,
) -> Result<(), StoreError> {
    let mut tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut next = Some(first);
    while let Some(job) = next.take() {
        let savepoint = tx.savepoint()?;
        let change = Tx { view: View { sql: &savepoint }, bounds };
        // A panic drops the job with its caller's answer, and the savepoint with what was half done.
        match std::panic::catch_unwind(AssertUnwindSafe(|| job(&change))) {
            Ok((true, deliver)) => {
                delivers.push(deliver);
                savepoint.commit()?;
            }
            Ok((false, deliver)) => delivers.push(deliver),
            Err(_) => tracing::error!("a change of the store panicked; this is a bug"),
        }
        if delivers.len() < BATCH {
            next = jobs.try_recv().ok();
        }
    }
    tx.commit()?;
    Ok(())
}

fn read_loop(mut connection: Connection, jobs: &Mutex<Receiver<Job>>, bounds: &Settings) {
    loop {
        let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = job else { return };
        let tx = match connection.transaction_with_behavior(TransactionBehavior::Deferred) {
            Ok(tx) => tx,
            Err(why) => {
                tracing::error!(%why, "the store cannot be read");
                continue;
            }
        };
        let view = Tx { view: View { sql: &tx }, bounds };
        match std::panic::catch_unwind(AssertUnwindSafe(|| job(&view))) {
            Ok((_, deliver)) => deliver(Ok(())),
            Err(_) => tracing::error!("a question to the store panicked; this is a bug"),
        }
    }
}

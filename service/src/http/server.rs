//! The listener: accepts connections within bounds, and ends in order.

use crate::ServiceError;
use crate::access::watch;
use crate::fleets::{Precondition, demo};
use crate::http::config::Config;
use crate::http::front::Front;
use crate::http::routes::routes;
use crate::http::stall::Stall;
use crate::http::state::{App, Readiness};
use crate::input;
use crate::jobs::Desk;
use crate::pipeline::{self, Request, Sizes};
use ecomap_instances::format::Format;
use ecomap_solver::CancelToken;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

/// Scenario of the self-solve.
const SELF_SOLVE: &str = "tiny";
/// How long the self-solve may take.
const SELF_SOLVE_LIMIT: Duration = Duration::from_secs(60);
/// How long cancelled solves have to write their answers before connections are cut.
const LAST_WORDS: Duration = Duration::from_secs(5);
/// Pause after the system refuses a connection (out of descriptors), and between looks at what still runs.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Most bytes of a request's head.
const MAX_HEAD: usize = 64 << 10;

/// A server that listens but does not answer yet.
#[derive(Debug)]
pub struct Server {
    app: Arc<App>,
    listener: TcpListener,
    address: SocketAddr,
}

impl Server {
    /// Listens and starts the pools.
    ///
    /// # Errors
    /// [`ServiceError::Bind`] or [`ServiceError::Start`].
    pub async fn bind(config: Config) -> Result<Self, ServiceError> {
        let addr = config.listen;
        let listener = TcpListener::bind(addr).await.map_err(|source| ServiceError::Bind { addr, source })?;
        let address = listener.local_addr().map_err(|source| ServiceError::Bind { addr, source })?;
        Ok(Self { app: App::new(config)?, listener, address })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What the requests share.
    #[must_use]
    pub fn app(&self) -> Arc<App> {
        Arc::clone(&self.app)
    }

    /// Proves itself with a small solve, then answers until `stop` ends. Then: no new connections;
    /// running requests have [`Config::grace`] to finish; after that their solves are cancelled and
    /// answer with the best plan they have; what is still open a little later is cut.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        prove(&self.app);
        begin(&self.app).await;
        match self.app.jobs.recover(&self.app).await {
            Ok(0) => {}
            Ok(count) => tracing::info!(count, "jobs of an earlier run are taken up"),
            Err(problem) => tracing::error!(problem.detail, "jobs of an earlier run could not be taken up"),
        }
        let sweep = tokio::spawn(Desk::sweep(Arc::downgrade(&self.app)));
        let keys = tokio::spawn(watch::follow(Arc::clone(&self.app.gate)));
        self.serve(stop).await;
        keys.abort();
        sweep.abort();
    }

    async fn serve(self, stop: impl Future<Output = ()>) {
        let Self { app, listener, .. } = self;
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new()).header_read_timeout(app.config.header_timeout).max_buf_size(MAX_HEAD);
        let service = TowerToHyperService::new(warp::service(routes(&app)));
        let graceful = GracefulShutdown::new();
        let places = Arc::new(Semaphore::new(app.config.max_connections.max(1)));
        let mut tasks = tokio::task::JoinSet::new();
        let mut stop = pin!(stop);
        loop {
            while tasks.try_join_next().is_some() {}
            let next = async {
                // The semaphore is never closed, so a place comes.
                let place = Arc::clone(&places).acquire_owned().await.ok();
                (place, listener.accept().await)
            };
            let (place, accepted) = tokio::select! {
                () = &mut stop => break,
                next = next => next,
            };
            let (socket, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let _ = socket.set_nodelay(true);
            let io = TokioIo::new(Stall::new(socket, app.config.write_timeout));
            let front = Front::new(service.clone(), Arc::clone(&app), peer.ip());
            let connection = graceful.watch(http.serve_connection(io, front));
            let app = Arc::clone(&app);
            tasks.spawn(async move {
                app.metrics.connections.inc();
                if let Err(error) = connection.await {
                    tracing::debug!(%error, "connection ended early");
                }
                app.metrics.connections.dec();
                drop(place);
            });
        }
        drop(listener);
        app.set_readiness(Readiness::Stopping);
        // Streams and long polls end now, not with the grace period.
        app.fleets.close();
        tracing::info!(open = graceful.count(), "stopping");
        let mut drained = pin!(graceful.shutdown());
        if tokio::time::timeout(app.config.grace, &mut drained).await.is_err() {
            tracing::warn!("grace period over: cancelling what still runs");
            app.solves.cancel_all();
            app.short.cancel_all();
            let _ = tokio::time::timeout(LAST_WORDS, &mut drained).await;
        }
        tasks.shutdown().await;
        app.solves.cancel_all();
        app.solves.close();
        app.short.close();
        // Jobs that are cut short go back to the store, which the next run may open at once.
        let idle = async {
            while app.solves.load().running > 0 {
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        };
        if tokio::time::timeout(LAST_WORDS, idle).await.is_err() {
            tracing::warn!("a solve does not stop; it is left behind");
        }
        app.spans.end().await;
        tracing::info!("stopped");
    }
}

/// Starts the stored fleets, and the first one where there is to be one.
async fn begin(app: &Arc<App>) {
    let begun = app.clock.now();
    match app.fleets.start().await {
        Ok(fleets) => {
            let ms = app.clock.now().saturating_sub(begun).as_millis();
            tracing::info!(fleets, ms, "fleets started");
        }
        Err(error) => tracing::error!(%error, "the stored fleets cannot be started"),
    }
    // Only a new store: who deleted the fleet does not want it back.
    let new = app.store.read(|v| v.event_range()).await.is_ok_and(|(_, last)| last == 0);
    if !app.config.demo || !new {
        return;
    }
    let Some(document) = &app.config.scenario else { return };
    let put = match serde_json::from_slice(&document.bytes) {
        Ok(scenario) => {
            let fleet = demo::fleet(scenario, app.fleets.boards().names());
            app.fleets.put(demo::ID, &fleet, Precondition::Absent).await.map_err(|e| e.to_string())
        }
        Err(error) => Err(error.to_string()),
    };
    if let Err(error) = put {
        tracing::error!(error, "the demonstration's fleet cannot be started");
    }
}

/// Solves a small scenario on the pool, checks the plan, and sets readiness accordingly.
fn prove(app: &Arc<App>) {
    let job = || -> Result<(), String> {
        let document = input::embedded(SELF_SOLVE).ok_or("the embedded scenario is missing")?;
        let request = Request::default();
        let deadline = Some(request.clock.now() + SELF_SOLVE_LIMIT);
        let request = Request { deadline, ..request };
        let clock = &*request.clock;
        let loaded =
            pipeline::load(SELF_SOLVE, &document.bytes, Some(Format::Scenario), Sizes::UNBOUNDED, clock)
                .and_then(|loaded| pipeline::price(loaded, Sizes::UNBOUNDED, clock))
                .and_then(|priced| {
                    let answer = pipeline::solve(&priced, &request, &mut ())?;
                    pipeline::recheck(&priced, &answer.result, None, None)
                });
        match loaded {
            Ok(recheck) if recheck.pass && recheck.checker.is_some() => Ok(()),
            Ok(recheck) => Err(format!("the plan does not hold: {}", recheck.findings.join("; "))),
            Err(error) => Err(error.to_string()),
        }
    };
    let ticket = app.solves.submit(CancelToken::default(), job);
    let app = Arc::clone(app);
    tokio::spawn(async move {
        let outcome = match ticket {
            Ok(ticket) => ticket.await.unwrap_or_else(|_| Err("the self-solve did not finish".to_owned())),
            Err(_) => Err("the pool takes no job".to_owned()),
        };
        match outcome {
            Ok(()) => {
                tracing::info!("ready: the self-solve passed the checker");
                app.set_readiness(Readiness::Ready);
            }
            Err(reason) => {
                tracing::error!(%reason, "the self-solve failed");
                app.set_readiness(Readiness::Failed(reason));
            }
        }
    });
}

/// Ends on SIGTERM or SIGINT.
pub async fn signals() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = tokio::signal::ctrl_c() => {}
            }
            return;
        }
    }
    let _ = tokio::signal::ctrl_c().await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    async fn status_of(address: SocketAddr, path: &str) -> String {
        let mut socket = TcpStream::connect(address).await.expect("connects");
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        socket.write_all(request.as_bytes()).await.expect("writes");
        let mut text = String::new();
        socket.read_to_string(&mut text).await.expect("reads");
        text.split_whitespace().nth(1).unwrap_or_default().to_owned()
    }

    #[tokio::test]
    async fn ready_only_after_the_self_solve() {
        let config = Config { listen: SocketAddr::from(([127, 0, 0, 1], 0)), ..Config::default() };
        let server = Server::bind(config).await.expect("binds");
        let (address, app) = (server.address(), server.app());
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let serving = tokio::spawn(server.serve(async move {
            let _ = stopped.await;
        }));
        assert_eq!(status_of(address, "/live").await, "200");
        assert_eq!(status_of(address, "/ready").await, "503");
        prove(&app);
        let mut readiness = app.watch_readiness();
        let reached = readiness.wait_for(|r| *r != Readiness::Starting).await.expect("the app lives").clone();
        assert_eq!(reached, Readiness::Ready);
        assert_eq!(status_of(address, "/ready").await, "200");
        app.set_readiness(Readiness::Stopping);
        app.set_readiness(Readiness::Ready);
        assert_eq!(status_of(address, "/ready").await, "503");
        stop.send(()).expect("still serving");
        serving.await.expect("ends");
    }
}

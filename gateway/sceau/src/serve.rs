//! The running service: ports, delivery, reloads, and a stop that finishes what it has begun.

use std::{io, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use ident::{Clock, SystemClock};
use store::{Changes, Store as _};
use tokio::{
    net::TcpListener,
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
    task::JoinSet,
};
use trail::{Event, Record, SafeText};

use crate::{
    audit,
    config::{ListenerKind, Problem},
    delivery,
    directory::{self, Loader},
    gateway::{Gateway, StartError},
    hardening, health, http, keys, ldap, mailboxes,
    net::listener::Port,
    partners, refresh, trust,
};

/// How long sessions and deliveries may go on after a stop was asked for.
const DRAIN: Duration = Duration::from_secs(60);

/// How long the last trail records may take.
const LAST_WORDS: Duration = Duration::from_secs(10);

/// Where a started gateway listens.
#[derive(Debug, Clone)]
pub struct Listening {
    /// Purpose of the port.
    pub kind: ListenerKind,
    /// Address and port really bound.
    pub address: SocketAddr,
}

/// Why the service ended badly.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// It did not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// A port could not be bound, or a signal handler not installed.
    #[error("cannot listen: {0}")]
    Listen(#[from] io::Error),
}

/// Runs a gateway until SIGTERM or SIGINT. `ready` is called once every port is bound.
///
/// # Errors
/// See [`ServeError`].
pub async fn serve(configuration: PathBuf, ready: impl FnOnce(&[Listening])) -> Result<(), ServeError> {
    run(configuration, Arc::new(SystemClock), Loader::own(), ready).await
}

/// The same inside another program, by another clock: ours itself has the machine's and no other.
///
/// # Errors
/// See [`ServeError`].
pub async fn serve_by(
    configuration: PathBuf,
    clock: Arc<dyn Clock>,
    ready: impl FnOnce(&[Listening]),
) -> Result<(), ServeError> {
    run(configuration, clock, Loader::Here, ready).await
}

async fn run(
    configuration: PathBuf,
    clock: Arc<dyn Clock>,
    loader: Loader,
    ready: impl FnOnce(&[Listening]),
) -> Result<(), ServeError> {
    hardening::no_core_dumps()?;
    hardening::private_files();
    // Lists and directories are replaced for as long as we run.
    pki::memory::large_buffers_go_back();
    // Before anybody can know that we are there: a reload ordered too early must not end us.
    let orders = Orders::listen()?;
    let (gateway, records) = Gateway::open(configuration, clock)?;
    gateway.tell_wrapping().await.map_err(StartError::Store)?;
    let writer = tokio::spawn(Gateway::write_records(Arc::clone(&gateway.store), records));
    let (stop, stopping) = watch::channel(false);
    let mut tasks = JoinSet::new();
    let mut listening = Vec::new();
    let listeners = gateway.snapshot().config.listeners.clone();
    let pages = usize::from(gateway.snapshot().config.http.listen.is_some());
    let searched = gateway.snapshot().config.ldap.listeners.clone();
    let ports = listeners.len().saturating_add(pages).saturating_add(searched.len());
    let room = hardening::connections_per_port(ports);
    if room < gateway.snapshot().config.limits.connections {
        tracing::warn!(
            room,
            "the system gives us descriptors for fewer connections at each port than limits.connections"
        );
    }
    for listener in listeners {
        let kind = listener.kind;
        let port = Port::bind(listener, room).await?;
        listening.push(Listening { kind, address: port.address()? });
        tasks.spawn(port.serve(Arc::clone(&gateway), stopping.clone()));
    }
    if let Some(at) = gateway.snapshot().config.health.listen {
        let listener = TcpListener::bind(at).await?;
        tasks.spawn(health::pages::serve(listener, Arc::clone(&gateway), stopping.clone()));
    }
    if let Some(at) = gateway.snapshot().config.http.listen {
        let door = http::Door::bind(at, room, &gateway).await?;
        tasks.spawn(door.serve(Arc::clone(&gateway), stopping.clone()));
    }
    let face = ldap::Face::new()?;
    for listener in searched {
        let port = ldap::Port::bind(listener, room).await?;
        tasks.spawn(port.serve(Arc::clone(&gateway), Arc::clone(&face), stopping.clone()));
    }
    let (finish, finishing) = watch::channel(false);
    let keeper = tokio::spawn(audit::run(Arc::clone(&gateway), Arc::clone(&gateway.secrets), finishing));
    tasks.spawn(delivery::run(Arc::clone(&gateway), stopping.clone()));
    tasks.spawn(reload_regularly(Arc::clone(&gateway), stopping.clone()));
    tasks.spawn(partners::watch::run(Arc::clone(&gateway), stopping.clone()));
    tasks.spawn(write_knocks(Arc::clone(&gateway), stopping.clone()));
    tasks.spawn(keys::watch::tokens(Arc::clone(&gateway), stopping.clone()));
    tasks.spawn(keys::watch::certificates(Arc::clone(&gateway), stopping.clone()));
    tasks.spawn(health::watch(Arc::clone(&gateway), stopping.clone()));
    tasks.spawn(trust::watch(Arc::clone(&gateway), stopping.clone()));
    tasks.spawn(refresh::run(Arc::clone(&gateway), stopping.clone()));
    tasks.spawn(directory::run(Arc::clone(&gateway), loader, stopping.clone()));
    tasks.spawn(directory::bring::run(Arc::clone(&gateway), stopping.clone()));
    tasks.spawn(mailboxes::watch::run(Arc::clone(&gateway), stopping.clone()));
    tasks.spawn(mailboxes::publishing::run(Arc::clone(&gateway), stopping.clone()));
    tasks.spawn(mailboxes::unused::run(Arc::clone(&gateway), stopping.clone()));
    tasks.spawn(health::forget(Arc::clone(&gateway), stopping));
    started(&gateway).await;
    ready(&listening);
    orders.obey(&gateway).await;
    tracing::info!("stopping: no new sessions, finishing what is under way");
    let _ = stop.send(true);
    let drained = tokio::time::timeout(DRAIN, async { while tasks.join_next().await.is_some() {} }).await;
    if drained.is_err() {
        tracing::warn!("some sessions did not end in {} s and were cut; nothing acknowledged is lost", DRAIN.as_secs());
        tasks.abort_all();
    }
    gateway.record(Record::new(gateway.now(), Event::ServiceStopped { reason: SafeText::of("signal") }));
    drop(tasks);
    // Everything that was decided is in the trail before the end, unless it cannot be written.
    gateway.flush_records(writer).await;
    let _ = finish.send(true);
    let _ = tokio::time::timeout(LAST_WORDS, keeper).await;
    Ok(())
}

/// What a service manager or an operator at a terminal orders.
struct Orders {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Orders {
    /// From now on no signal ends the process by itself.
    fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Reloads when asked to, until the end is asked for.
    async fn obey(mut self, gateway: &Arc<Gateway>) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                _ = self.hangup.recv() => tokio::select! {
                    () = reload(gateway) => {}
                    _ = self.terminate.recv() => return,
                    _ = self.interrupt.recv() => return,
                },
            }
        }
    }
}

async fn reload_regularly(gateway: Arc<Gateway>, mut stopping: watch::Receiver<bool>) {
    loop {
        let every = gateway.snapshot().config.trust.reload.0;
        tokio::select! {
            () = tokio::time::sleep(every) => {}
            _ = stopping.wait_for(|stopping| *stopping) => return,
        }
        reload(&gateway).await;
    }
}

/// Writes down each minute who knocked and was turned away.
async fn write_knocks(gateway: Arc<Gateway>, mut stopping: watch::Receiver<bool>) {
    loop {
        let stop = tokio::select! {
            () = tokio::time::sleep(Duration::from_secs(60)) => false,
            _ = stopping.wait_for(|stopping| *stopping) => true,
        };
        let records = gateway.knocks.take(&gateway, gateway.now());
        if !records.is_empty() {
            tracing::info!(kinds = records.len(), "strangers were turned away in the last minute: see the trail");
        }
        records.into_iter().for_each(|record| gateway.record(record));
        gateway.tell_unrecorded();
        if stop {
            return;
        }
    }
}

/// What is said when everything is read and in force.
pub(crate) const READ_AGAIN: &str = "configuration, trust list, revocation lists and directory read again";

/// Reads everything again; what cannot be read leaves the old state in force and is told. Another generation of the
/// directory comes into service behind it ([`directory::bring`]), and only then is it said that all is read.
pub(crate) async fn reload(gateway: &Arc<Gateway>) {
    let one_at_a_time = gateway.reloading.lock().await;
    let worker = Arc::clone(gateway);
    let outcome = gateway.compute(move || worker.reload_all_else()).await;
    drop(one_at_a_time);
    match outcome {
        Ok(Ok(directory_waits)) => {
            if let Err(error) = gateway.tell_wrapping().await {
                tracing::error!(%error, "which storage key is in use could not be noted: the older ones cannot be retired");
            }
            gateway.wake.notify_one();
            loaded(gateway);
            if directory_waits {
                tracing::info!(
                    "configuration, trust list and revocation lists are in force; another directory is being read"
                );
            } else {
                tell_directory(gateway);
                tracing::info!("{READ_AGAIN}");
            }
            refused(gateway, &gateway.snapshot().keys.kept, "new keys refused, those in service stay");
            keys::watch::refused(gateway);
        }
        Ok(Err(problems)) => refused(gateway, &problems, "reload refused, the state before stays in force"),
        Err(error) => tracing::error!(%error, "reload could not run"),
    }
}

fn refused(gateway: &Gateway, problems: &[Problem], what: &'static str) {
    for problem in problems {
        tracing::error!(%problem, "{what}");
        let reason = gateway.masker.text(&problem.to_string());
        gateway.record(Record::new(gateway.now(), Event::ConfigurationRefused { reason }));
    }
}

/// Says in the trail what the start found. Only when that is durable is it told: a start may be killed
/// before it has spoken.
async fn started(gateway: &Gateway) {
    let version = env!("CARGO_PKG_VERSION").to_owned();
    let recovery = &gateway.recovery;
    let recovered = recovery.unclean.then(|| gateway.masker.text(&recovery.explain().en)).into_iter().collect();
    let event = Event::ServiceStarted { version, unclean: recovery.unclean, recovered };
    let record = Record::new(gateway.now(), event);
    let written = match gateway.store.commit(Changes::records(vec![record.clone()])).await {
        Ok(_) => gateway.store.told().await,
        Err(error) => Err(error),
    };
    if let Err(error) = written {
        tracing::error!(%error, "the start could not be written to the trail yet");
        gateway.record(record);
    }
    loaded(gateway);
    tell_directory(gateway);
}

fn loaded(gateway: &Gateway) {
    let snapshot = gateway.snapshot();
    for concern in &snapshot.keys.concerns {
        tracing::warn!(%concern, "a certificate in service is not as it should be: others may refuse what we do with it");
    }
    let list = &snapshot.trust_list;
    let domains = u64::try_from(list.domains().count()).unwrap_or(u64::MAX);
    let event = Event::TrustListLoaded { digest: list.digest(), generated: list.generated(), domains, change: None };
    gateway.record(Record::new(gateway.now(), event));
}

/// Says in the trail which directory is in service.
pub(crate) fn tell_directory(gateway: &Gateway) {
    if let Some(generation) = &gateway.snapshot().generation {
        let event = Event::DirectoryLoaded {
            generation: generation.id().to_owned(),
            data_as_of: Some(generation.data_as_of()),
        };
        gateway.record(Record::new(gateway.now(), event));
    }
}

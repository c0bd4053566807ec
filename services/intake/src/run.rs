//! Starts the decider and the endpoint, and stops them.

use std::sync::{
    Arc, RwLock,
    atomic::{AtomicBool, Ordering},
};

use gridkeeper_district::District;
use gridkeeper_http::{About, Clock, ComparedClock, Health, Standard, application};
use gridkeeper_identity::Verifier;
use gridkeeper_proto::{
    checkpoint::CheckpointSigner,
    code::Coded as _,
    envelope::Position,
    id::{CaseId, LogId},
    rules::RulesCommand,
    sealed::CaseKey,
};
use tokio::{net::TcpListener, time::sleep};
use tokio_util::sync::CancellationToken;
use utoipa::openapi::OpenApi;

use crate::{
    Error, Options, adopt,
    appends::Appends,
    decider::Decider,
    disk::{DiskWatch, FreeSpace},
    evidence::{Evidence, Notary},
    http::{self, Handle, Intake},
    log::{Keys, Log, ReadError},
    queue::Queue,
    state::State,
};

/// What the whole process shares.
pub struct Parts {
    /// Areas, categories, shapes.
    pub district: Arc<District>,
    /// The rules of the district's folder: years of the calendar that the log does not know, and a newer policy
    /// than the log's, are adopted at the start.
    pub rules: Vec<RulesCommand>,
    /// By whose keys tokens are believed.
    pub verifier: Arc<Verifier>,
    /// The time.
    pub clock: Clock,
    /// Signs checkpoints, and names the log that this intake writes.
    pub signer: CheckpointSigner,
}

const ABOUT: About = About {
    title: "Gridkeeper intake",
    description: "Takes reports and steps, decides them and records them in the log.",
};

/// The document of the endpoint, without starting it.
#[must_use]
pub fn document() -> OpenApi {
    /// Stands where routes need to know a store of keys, and is never made.
    enum Nowhere {}

    impl Keys for Nowhere {
        async fn put_if_absent(&self, _: CaseId, _: CaseKey) -> Result<CaseKey, Error> {
            match *self {}
        }

        async fn destroy(&self, _: CaseId) -> Result<(), Error> {
            match *self {}
        }

        async fn begin(&self, _: LogId, _: bool) -> Result<(), ReadError> {
            match *self {}
        }
    }

    gridkeeper_http::document(&ABOUT, &http::routes::<Nowhere>())
}

/// Listens at the address of the options, and then is [`run_on`].
///
/// # Errors
/// [`Error::Endpoint`], and those of [`run_on`].
pub async fn run<L: Log, K: Keys>(
    options: Options,
    parts: Parts,
    stores: (L, K),
    shutdown: CancellationToken,
) -> Result<(), Error> {
    let listener = gridkeeper_http::listen(&options.listen)
        .await
        .map_err(|error| endpoint(&error))?;
    run_on(listener, options, parts, stores, shutdown).await
}

/// Serves at the listener, on this log and these keys, until it is told to stop.
///
/// A log that breaks its own rules turns health red and closes the door to commands; the endpoint goes
/// on to say so, and the error is returned when intake is told to stop.
///
/// # Errors
/// [`Error::Option`], and what the log is broken by.
pub async fn run_on<L: Log, K: Keys>(
    listener: TcpListener,
    options: Options,
    parts: Parts,
    (log, keys): (L, K),
    shutdown: CancellationToken,
) -> Result<(), Error> {
    run_watched(
        listener,
        options,
        parts,
        (log, keys),
        FreeSpace::system(),
        shutdown,
    )
    .await
}

/// As [`run_on`], on disks of which somebody else says how much is free.
pub(crate) async fn run_watched<L: Log, K: Keys>(
    listener: TcpListener,
    options: Options,
    parts: Parts,
    (log, keys): (L, K),
    free: FreeSpace,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    options.check()?;
    let Parts {
        district,
        rules,
        verifier,
        clock,
        signer,
    } = parts;
    let metrics = gridkeeper_http::metrics::recorder().map_err(|error| endpoint(&error))?;
    let signer = Arc::new(signer);
    let compared = ComparedClock::new(clock, options.clock_tolerance_ms);
    // Whatever asks for the time gets the one that commands are decided at.
    let clock = compared.clock();
    let health = Health::new(&options.http, clock.now());
    let check = health.register("intake position", clock.now());
    let appends = Appends::new(health.register("appends", clock.now()));
    let clock_check = health.register("clock", clock.now());
    let disk_check = health.register("disk", clock.now());
    let evidence = Evidence::open(&options.folder, signer.verifier())?;
    let disk = DiskWatch::new(&options.folder, &options.disk, free, disk_check);
    disk.look().await;
    let open = Arc::new(AtomicBool::new(false));
    let progress = {
        let (check, clock, open) = (check.clone(), clock.clone(), Arc::clone(&open));
        // Whoever is told that intake is ready finds its door open.
        move |own: Position, last: Position| match open.load(Ordering::Acquire) {
            true => check.progress(own.0, last.0, clock.now()),
            false => check.starting(own.0, last.0, clock.now()),
        }
    };
    let keys = Arc::new(keys);
    let state = Arc::new(RwLock::new(State::default()));
    let queue = Arc::new(Queue::new(&options));
    let log = Arc::new(log);
    let notary = Notary {
        signer: Arc::clone(&signer),
        folder: evidence.checkpoints().clone(),
        watermark: evidence.watermark().clone(),
        state: Arc::clone(&state),
        appends: appends.clone(),
    };
    let own = adopt::Own {
        district: district.code(),
        rules,
        clock: clock.clone(),
        deadline: options.append_deadline(),
    };
    let intake = Intake {
        district,
        verifier,
        clock: clock.clone(),
        options: options.clone(),
        queue: Arc::clone(&queue),
        open: Arc::clone(&open),
        state: Arc::clone(&state),
        keys: Arc::clone(&keys),
        tree: evidence.tree(),
        signer: Arc::clone(&signer),
        disk: disk.clone(),
    };
    let standard = Standard {
        health,
        clock: clock.clone(),
        metrics,
        options: options.http.clone(),
    };
    let state_of_routes = Handle(Arc::new(intake));
    let (router, _document) = application(&ABOUT, http::routes(), state_of_routes, standard);
    let decider = Decider::new(
        Arc::clone(&log),
        keys,
        (state, evidence),
        appends,
        (compared, clock_check),
        options.clone(),
        Box::new(progress),
    );
    // The endpoint ends first, so that every command it took in is answered.
    let stop_deciding = CancellationToken::new();
    let deciding = async {
        let starting = Starting {
            log: &*log,
            decider: &decider,
            own: &own,
            options: &options,
            signer: &signer,
        };
        let decided = match starting.start(&shutdown).await {
            Ok(Some(read_from)) => {
                open.store(true, Ordering::Release);
                let decided = tokio::select! {
                    decided = decider.run(&queue, stop_deciding.clone()) => decided,
                    () = notary.run(&*log) => Ok(()),
                    () = decider.compare_histories(read_from) => Ok(()),
                };
                if decided.is_ok() {
                    notary.sign(&*log, &mut Position(0)).await;
                }
                decided
            }
            Ok(None) => Ok(()),
            Err(error) => Err(error),
        };
        if let Err(error) = &decided {
            tracing::error!(code = %error.code(), %error, "intake takes no more commands");
            check.failed(error);
        }
        open.store(false, Ordering::Release);
        decided
    };
    let serving = async {
        gridkeeper_http::serve(listener, router, shutdown.clone(), options.http.drain()).await;
        stop_deciding.cancel();
    };
    tokio::select! {
        (decided, ()) = async { tokio::join!(deciding, serving) } => decided,
        () = disk.run() => Ok(()),
    }
}

/// What a start needs.
struct Starting<'a, L, K> {
    log: &'a L,
    decider: &'a Decider<L, K>,
    own: &'a adopt::Own,
    options: &'a Options,
    signer: &'a CheckpointSigner,
}

impl<L: Log, K: Keys> Starting<'_, L, K> {
    /// Reads the log to its end, however long the broker takes to answer, and gives the run of the
    /// server that it was read from; none when told to stop before.
    async fn start(&self, shutdown: &CancellationToken) -> Result<Option<L::Run>, Error> {
        loop {
            let caught_up = tokio::select! {
                caught_up = self.catch_up() => caught_up,
                () = shutdown.cancelled() => return Ok(None),
            };
            match caught_up {
                Ok(read_from) => {
                    self.decider.destroy_keys().await;
                    return Ok(Some(read_from));
                }
                Err(ReadError::Broken(error)) => return Err(error),
                Err(ReadError::Unavailable(detail)) => {
                    tracing::warn!(detail, "the log does not answer yet");
                    tokio::select! {
                        () = sleep(self.options.follow_every()) => {}
                        () = shutdown.cancelled() => return Ok(None),
                    }
                }
            }
        }
    }

    async fn catch_up(&self) -> Result<L::Run, ReadError> {
        self.decider.begin(self.signer).await?;
        let read_from = self.log.server_run();
        self.decider.catch_up().await?;
        self.decider.compare_end().map_err(ReadError::Broken)?;
        adopt::adopt(self.decider, self.own).await?;
        Ok(read_from)
    }
}

fn endpoint(error: &gridkeeper_http::HttpError) -> Error {
    Error::Endpoint {
        detail: error.to_string(),
        code: error.code(),
    }
}

//! An installation: its configuration, its data folder, its district, and how each service runs in it.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use gridkeeper_broker::{Binary, Broker};
use gridkeeper_district::District;
use gridkeeper_districtviews::KeptHere;
use gridkeeper_eventlog::{EventLog, KeyStore, LogError, Witnessed};
use gridkeeper_http::Clock;
use gridkeeper_identity::{
    KeyError, SigningKey, Verifier, load_checkpoint_signer, load_checkpoint_verifier,
};
use gridkeeper_intake::NewestCheckpoint;
use gridkeeper_proto::{area::AreaCode, rules::RulesCommand};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::{
    error::Error,
    layout::{Layout, exists, io_error, keys_in},
    watermarks,
};

/// How long to wait before asking a broker again that is not there.
const PAUSE: Duration = Duration::from_secs(1);

/// Where an installation is.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Place {
    /// The configuration; without one that in the data folder, or else the defaults. `gridkeeper config` explains it.
    #[arg(long)]
    config: Option<PathBuf>,
    /// The folder of the installation's data. Folders that the configuration names lie in it.
    #[arg(long, default_value = "data")]
    data: PathBuf,
    /// The folder of the district.
    #[arg(long, default_value = "deploy/districts/panzhihua-dongqu")]
    district: PathBuf,
}

impl Place {
    /// The folder of the district.
    pub(crate) fn district(&self) -> &Path {
        &self.district
    }

    /// Where the parts of the installation are, or will be.
    ///
    /// # Errors
    /// There is a configuration that cannot be read.
    pub(crate) fn layout(&self) -> Result<Layout, Error> {
        Layout::read(&self.data, self.config.as_deref())
    }

    /// The options that name this place, each with a blank before it.
    pub(crate) fn arguments(&self) -> String {
        let config = self.config.iter().map(|path| option("config", path));
        let folders = [
            option("data", &self.data),
            option("district", &self.district),
        ];
        config.chain(folders).collect()
    }
}

/// Which broker a command uses.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct BrokerChoice {
    /// Address of the broker; intake's when left out.
    #[arg(long)]
    nats: Option<String>,
    /// Start the broker of the installation for as long as the command runs, as `up` does, which may not run meanwhile.
    #[arg(long, conflicts_with = "nats")]
    own_broker: bool,
}

/// A broker that a command uses.
pub(crate) struct ChosenBroker {
    /// Where it is.
    pub(crate) url: String,
    own: Option<Broker>,
}

impl BrokerChoice {
    /// The address that is named.
    pub(crate) fn named(&self) -> Option<&str> {
        self.nats.as_deref()
    }

    /// The broker, started if it is to be.
    ///
    /// # Errors
    /// It does not start.
    pub(crate) async fn open(&self, layout: &Layout) -> Result<ChosenBroker, Error> {
        let config = &layout.config;
        if !self.own_broker {
            let url = self.nats.as_ref().unwrap_or(&config.intake.nats_url);
            let (url, own) = (url.clone(), None);
            return Ok(ChosenBroker { url, own });
        }
        let options = gridkeeper_broker::Options {
            folder: config.broker.folder.clone(),
            port: config.broker.port,
        };
        let own = Broker::start(Binary::find().await?, &options).await?;
        Ok(ChosenBroker {
            url: own.url(),
            own: Some(own),
        })
    }
}

impl ChosenBroker {
    /// Stops the broker if it was started.
    ///
    /// # Errors
    /// It does not stop.
    pub(crate) async fn stop(self) -> Result<(), Error> {
        match self.own {
            Some(mut own) => Ok(own.stop().await?),
            None => Ok(()),
        }
    }
}

/// An installation.
pub(crate) struct Installation {
    pub(crate) layout: Layout,
    pub(crate) district: Arc<District>,
    pub(crate) clock: Clock,
    /// What an aggregator of this process keeps.
    views: KeptHere,
}

impl Installation {
    /// Reads the configuration and the district.
    ///
    /// # Errors
    /// Either cannot be read, or is not as it has to be.
    pub(crate) fn open(place: &Place) -> Result<Self, Error> {
        if let Some(named) = &place.config
            && !exists(named)?
        {
            return Err(io_error("read", named)(std::io::ErrorKind::NotFound.into()));
        }
        Ok(Self {
            layout: place.layout()?,
            district: Arc::new(District::load(&place.district)?),
            clock: Clock::system(),
            views: KeptHere::default(),
        })
    }

    /// As [`Installation::open`], for a command that finds its broker by the data folder unless
    /// one is named: whoever mistypes the folder may not reach another installation's broker.
    ///
    /// # Errors
    /// [`Error::NotInstalled`] where there is no data folder and no broker is named.
    pub(crate) fn open_made(place: &Place, nats: Option<&str>) -> Result<Self, Error> {
        let installation = Self::open(place)?;
        let data = &installation.layout.data;
        match nats.is_some() || exists(data)? {
            true => Ok(installation),
            false => Err(Error::NotInstalled { data: data.clone() }),
        }
    }

    /// Checks that this is an installation whose keys are whole, and denies it to other users of the machine.
    ///
    /// # Errors
    /// It was never made, or a key is lost or damaged.
    pub(crate) fn check(&self) -> Result<(), Error> {
        self.verifier()?;
        let data = &self.layout.data;
        let closed = gridkeeper_private::close(data).map_err(io_error("close to others", data))?;
        if let Some(mode) = closed {
            let (data, mode) = (data.display(), format!("{mode:o}"));
            tracing::warn!(%data, mode, "closed the data folder, which others could reach");
        }
        Ok(())
    }

    /// Lets all services use this broker.
    pub(crate) fn use_broker(&mut self, url: &str) {
        for service in self.layout.config.nats_urls() {
            url.clone_into(service);
        }
    }

    /// Lets intake watch the disk of the broker that this process starts.
    pub(crate) fn watch_own_broker(&mut self) {
        let config = &mut self.layout.config;
        config
            .intake
            .disk
            .folders
            .push(config.broker.folder.clone());
    }

    /// Lets the escalator use the intake of this installation.
    pub(crate) fn use_own_intake(&mut self) {
        self.layout.config.escalator.intake_url =
            format!("http://{}", self.layout.config.intake.listen);
    }

    /// The key that signs tokens.
    ///
    /// # Errors
    /// It is missing or damaged.
    pub(crate) fn signing_key(&self) -> Result<SigningKey, Error> {
        let loaded = SigningKey::load(&self.layout.keys());
        loaded.map_err(|error| without_keys(&self.layout, error))
    }

    fn verifier(&self) -> Result<Arc<Verifier>, Error> {
        let verifier = Verifier::load(&self.layout.keys(), Some(self.district.code()));
        let verifier = verifier.map_err(|error| without_keys(&self.layout, error))?;
        Ok(Arc::new(verifier))
    }

    /// Runs intake.
    ///
    /// # Errors
    /// What it ended with.
    pub(crate) async fn intake(self: Arc<Self>, stop: CancellationToken) -> Result<(), Error> {
        let options = self.layout.config.intake.clone();
        let parts = gridkeeper_intake::Parts {
            district: Arc::clone(&self.district),
            rules: rules_of(&self.district)?,
            verifier: self.verifier()?,
            clock: self.clock.clone(),
            signer: load_checkpoint_signer(&self.layout.keys())?,
        };
        let Some(stores) = self.stores(&options.nats_url, &stop).await? else {
            return Ok(());
        };
        Ok(gridkeeper_intake::run(options, parts, stores, stop).await?)
    }

    /// Runs the escalator.
    ///
    /// # Errors
    /// What it ended with.
    pub(crate) async fn escalator(self: Arc<Self>, stop: CancellationToken) -> Result<(), Error> {
        let options = self.layout.config.escalator.clone();
        // Before it waits for the broker: a key that is lost does not come back by waiting.
        let key = self.signing_key()?;
        let broker = self.broker(&options.nats_url);
        let Some(log) = patiently(|| broker.clone().log(), &stop).await? else {
            return Ok(());
        };
        let log = self.witnessed(log);
        let parts = gridkeeper_escalator::Parts {
            log,
            key,
            clock: self.clock.clone(),
        };
        Ok(gridkeeper_escalator::run(options, parts, stop).await?)
    }

    /// Whether the query service answers from views of its own process, so that an aggregator has to run in it.
    pub(crate) fn keeps_views_for_query(&self) -> bool {
        self.layout.config.query.views == gridkeeper_query::Keeper::Own
    }

    /// Runs the query service.
    ///
    /// # Errors
    /// What it ended with.
    pub(crate) async fn query(self: Arc<Self>, stop: CancellationToken) -> Result<(), Error> {
        let options = self.layout.config.query.clone();
        let parts = gridkeeper_query::Parts {
            district: Arc::clone(&self.district),
            verifier: self.verifier()?,
            clock: self.clock.clone(),
            own_views: self.keeps_views_for_query().then(|| self.views.clone()),
        };
        let Some(stores) = self.stores(&options.nats_url, &stop).await? else {
            return Ok(());
        };
        Ok(gridkeeper_query::run(options, parts, stores, stop).await?)
    }

    /// Runs an aggregator.
    ///
    /// # Errors
    /// What it ended with.
    pub(crate) async fn aggregator(self: Arc<Self>, stop: CancellationToken) -> Result<(), Error> {
        let options = self.layout.config.aggregator.clone();
        let broker = self.broker(&options.nats_url);
        let Some(log) = patiently(|| broker.clone().log(), &stop).await? else {
            return Ok(());
        };
        let log = self.witnessed(log);
        let parts = gridkeeper_aggregator::Parts {
            district: Arc::clone(&self.district),
            clock: self.clock.clone(),
            views: self.views.clone(),
        };
        Ok(gridkeeper_aggregator::run(options, parts, log, stop).await?)
    }

    /// The log, compared also with what the services of this data folder have acknowledged, signed and read.
    fn witnessed(&self, log: EventLog) -> EventLog {
        let config = self.layout.config.clone();
        let verifier = load_checkpoint_verifier(&self.layout.keys()).ok();
        let newest =
            verifier.map(|verifier| NewestCheckpoint::new(&config.intake.folder, verifier));
        log.with_witness(move || {
            let reached = watermarks::kept(&config).into_iter();
            let reached = reached.map(|kept| Witnessed::from(kept.watermark));
            let signed = newest.as_ref().and_then(|newest| {
                Some(Witnessed {
                    log: newest.log(),
                    checkpoint: newest.read()?,
                    leaf: None,
                })
            });
            reached.chain(signed).collect()
        })
    }

    /// The log and the keys, as soon as the broker answers; none when told to stop before.
    async fn stores(
        &self,
        url: &str,
        stop: &CancellationToken,
    ) -> Result<Option<(EventLog, KeyStore)>, Error> {
        let broker = self.broker(url);
        let Some(log) = patiently(|| broker.clone().log(), stop).await? else {
            return Ok(None);
        };
        let keys = patiently(|| broker.clone().keys(), stop).await?;
        Ok(keys.map(|keys| (self.witnessed(log), keys)))
    }

    fn broker(&self, url: &str) -> BrokerOfDistrict {
        BrokerOfDistrict {
            url: url.to_owned(),
            district: self.district.code(),
            options: self.layout.config.log.clone(),
        }
    }
}

/// What the streams of a district are opened with.
#[derive(Clone)]
struct BrokerOfDistrict {
    url: String,
    district: AreaCode,
    options: gridkeeper_eventlog::Options,
}

impl BrokerOfDistrict {
    async fn log(self) -> Result<EventLog, LogError> {
        EventLog::open(&self.url, self.district, &self.options).await
    }

    async fn keys(self) -> Result<KeyStore, LogError> {
        KeyStore::open(&self.url, self.district, &self.options).await
    }
}

/// The rules of a district.
///
/// # Errors
/// It has no policy.
pub(crate) fn rules_of(district: &District) -> Result<Vec<RulesCommand>, Error> {
    match district.timetable() {
        Some(_) => Ok(district.rules()),
        None => Err(Error::NoPolicy {
            district: district.code(),
        }),
    }
}

/// The key that signs tokens in a data folder.
///
/// # Errors
/// It is missing or damaged.
pub(crate) fn signing_key_in(data: &Path) -> Result<SigningKey, Error> {
    match SigningKey::load(&keys_in(data)) {
        Err(error) => Err(without_keys(&Layout::read(data, None)?, error)),
        Ok(key) => Ok(key),
    }
}

/// Why an installation's keys cannot be loaded: it may never have been made, or have lost them.
fn without_keys(layout: &Layout, error: KeyError) -> Error {
    if !matches!(error, KeyError::NoKeys { .. }) {
        return error.into();
    }
    match layout.sign_of_life() {
        Ok(Some(sign)) => Error::KeysLost {
            keys: layout.keys(),
            sign,
        },
        Ok(None) => Error::NotInstalled {
            data: layout.data.clone(),
        },
        Err(error) => error,
    }
}

/// An option of the command line, with a blank before it.
pub(crate) fn option(name: &str, path: &Path) -> String {
    let path = path.display().to_string();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-+=:,@%".contains(&byte);
    match path.bytes().all(plain) {
        true => format!(" --{name} {path}"),
        false => format!(" --{name} '{}'", path.replace('\'', r"'\''")),
    }
}

/// Opens as soon as the broker answers; none when told to stop before.
async fn patiently<T, F>(open: impl Fn() -> F, stop: &CancellationToken) -> Result<Option<T>, Error>
where
    F: Future<Output = Result<T, LogError>>,
{
    loop {
        let opened = tokio::select! {
            () = stop.cancelled() => return Ok(None),
            opened = open() => opened,
        };
        match opened {
            Ok(opened) => return Ok(Some(opened)),
            Err(error) if error.is_unavailable() => {
                tracing::warn!(%error, "waiting for the broker");
                tokio::select! {
                    () = stop.cancelled() => return Ok(None),
                    () = sleep(PAUSE) => {}
                }
            }
            Err(error) => return Err(error.into()),
        }
    }
}

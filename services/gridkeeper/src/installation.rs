//! An installation: its configuration, its data folder, its district, and how each service runs in it.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use gridkeeper_district::District;
use gridkeeper_districtviews::KeptHere;
use gridkeeper_eventlog::{EventLog, KeyStore, LogError};
use gridkeeper_http::Clock;
use gridkeeper_identity::{SigningKey, Verifier};
use gridkeeper_proto::{area::AreaCode, rules::RulesCommand};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::{config::Config, error::Error, files};

/// How long to wait before asking a broker again that is not there.
const PAUSE: Duration = Duration::from_secs(1);

/// Where an installation is.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Place {
    /// The configuration; the defaults without one. `gridkeeper config` explains it.
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
}

/// An installation.
pub(crate) struct Installation {
    pub(crate) config: Config,
    pub(crate) data: PathBuf,
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
        let mut config = match &place.config {
            None => Config::default(),
            Some(path) => Config::parse(path, &files::read(path)?)?,
        };
        let data = place.data.clone();
        config.lie_in(&data);
        Ok(Self {
            config,
            data,
            district: Arc::new(District::load(&place.district)?),
            clock: Clock::system(),
            views: KeptHere::default(),
        })
    }

    /// Lets all services use this broker.
    pub(crate) fn use_broker(&mut self, url: &str) {
        for service in self.config.nats_urls() {
            url.clone_into(service);
        }
    }

    /// Lets the escalator use the intake of this installation.
    pub(crate) fn use_own_intake(&mut self) {
        self.config.escalator.intake_url = format!("http://{}", self.config.intake.listen);
    }

    fn keys(&self) -> PathBuf {
        keys_in(&self.data)
    }

    /// The key that signs tokens, made at the first start.
    ///
    /// # Errors
    /// It cannot be read or made.
    pub(crate) fn signing_key(&self) -> Result<SigningKey, Error> {
        Ok(SigningKey::load_or_create(&self.keys())?)
    }

    fn verifier(&self) -> Result<Arc<Verifier>, Error> {
        let verifier = Verifier::load(&self.keys(), Some(self.district.code()))?;
        Ok(Arc::new(verifier))
    }

    fn rules(&self) -> Result<Vec<RulesCommand>, Error> {
        match self.district.timetable() {
            Some(_) => Ok(self.district.rules()),
            None => Err(Error::NoPolicy {
                district: self.district.code(),
            }),
        }
    }

    /// Runs intake.
    ///
    /// # Errors
    /// What it ended with.
    pub(crate) async fn intake(self: Arc<Self>, stop: CancellationToken) -> Result<(), Error> {
        let options = self.config.intake.clone();
        let parts = gridkeeper_intake::Parts {
            district: Arc::clone(&self.district),
            rules: self.rules()?,
            verifier: self.verifier()?,
            clock: self.clock.clone(),
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
        let options = self.config.escalator.clone();
        let broker = self.broker(&options.nats_url);
        let Some(log) = patiently(|| broker.clone().log(), &stop).await? else {
            return Ok(());
        };
        let parts = gridkeeper_escalator::Parts {
            log,
            key: SigningKey::load(&self.keys())?,
            clock: self.clock.clone(),
        };
        Ok(gridkeeper_escalator::run(options, parts, stop).await?)
    }

    /// Whether the query service answers from views of its own process, so that an aggregator has to run in it.
    pub(crate) fn keeps_views_for_query(&self) -> bool {
        self.config.query.views == gridkeeper_query::Keeper::Own
    }

    /// Runs the query service.
    ///
    /// # Errors
    /// What it ended with.
    pub(crate) async fn query(self: Arc<Self>, stop: CancellationToken) -> Result<(), Error> {
        let options = self.config.query.clone();
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
        let options = self.config.aggregator.clone();
        let broker = self.broker(&options.nats_url);
        let Some(log) = patiently(|| broker.clone().log(), &stop).await? else {
            return Ok(());
        };
        let parts = gridkeeper_aggregator::Parts {
            district: Arc::clone(&self.district),
            clock: self.clock.clone(),
            views: self.views.clone(),
        };
        Ok(gridkeeper_aggregator::run(options, parts, log, stop).await?)
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
        Ok(keys.map(|keys| (log, keys)))
    }

    fn broker(&self, url: &str) -> BrokerOfDistrict {
        BrokerOfDistrict {
            url: url.to_owned(),
            district: self.district.code(),
            options: self.config.log.clone(),
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

/// The folder of the keys of tokens in a data folder.
pub(crate) fn keys_in(data: &Path) -> PathBuf {
    data.join("keys")
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

//! The log of an installation, as those commands open it that verify and mend it.

use gridkeeper_eventlog::{EventLog, KeyStore};

use crate::{
    error::Error,
    installation::{Installation, Place},
};

/// Which installation, and where its log is.
#[derive(Debug, clap::Args)]
pub(crate) struct LogPlace {
    #[command(flatten)]
    pub(crate) place: Place,
    /// Address of the broker; intake's when left out.
    #[arg(long)]
    nats: Option<String>,
}

/// An installation and its log.
pub(crate) struct OpenedLog {
    pub(crate) installation: Installation,
    /// Address of the broker.
    pub(crate) url: String,
    pub(crate) log: EventLog,
}

impl LogPlace {
    /// Opens the log.
    ///
    /// # Errors
    /// The installation is none, or the broker does not answer.
    pub(crate) async fn open(&self) -> Result<OpenedLog, Error> {
        let installation = Installation::open_made(&self.place, self.nats.as_deref())?;
        let config = &installation.layout.config;
        let url = self.nats.as_ref().unwrap_or(&config.intake.nats_url);
        let url = url.clone();
        let log = EventLog::open(&url, installation.district.code(), &config.log).await?;
        Ok(OpenedLog {
            installation,
            url,
            log,
        })
    }
}

impl OpenedLog {
    /// The keys of sealed sections, beside the log.
    ///
    /// # Errors
    /// The broker does not answer.
    pub(crate) async fn keys(&self) -> Result<KeyStore, Error> {
        let config = &self.installation.layout.config;
        Ok(KeyStore::open(&self.url, self.log.district(), &config.log).await?)
    }
}

//! What the views of a running aggregator know of the log.

use std::time::Duration;

use async_nats::Client;
use gridkeeper_aggregator::known::{self, Known};
use gridkeeper_identity::load_checkpoint_verifier;
use gridkeeper_proto::{area::AreaCode, envelope::Position, id::LogId};

use crate::{error::Error, opened_log::OpenedLog};

/// How long to wait for an aggregator that tells what its views know.
const PATIENCE: Duration = Duration::from_secs(30);

/// The views of the aggregator of an installation, asked over the broker.
pub(crate) struct RunningViews {
    client: Client,
    district: AreaCode,
    /// The installation's log; `None` where there is no key of it.
    log: Option<LogId>,
}

impl RunningViews {
    /// Those of the installation of this log.
    ///
    /// # Errors
    /// The broker cannot be reached.
    pub(crate) async fn of(opened: &OpenedLog) -> Result<Self, Error> {
        let client = async_nats::connect(&opened.url).await;
        let client = client.map_err(|error| gridkeeper_aggregator::Error::Broker {
            detail: error.to_string(),
        })?;
        let verifier = load_checkpoint_verifier(&opened.installation.layout.keys()).ok();
        Ok(Self {
            client,
            district: opened.installation.district.code(),
            log: verifier.map(|verifier| verifier.origin().log),
        })
    }

    /// What they know from a position on; `None` where none answer, or such that were made from
    /// another log.
    ///
    /// # Errors
    /// The answer is none that an aggregator gives.
    pub(crate) async fn known(
        &self,
        stretch: (Position, Option<Position>),
    ) -> Result<Option<Known>, Error> {
        let known = known::request(&self.client, self.district, stretch, PATIENCE).await?;
        let own = self.log;
        Ok(known.filter(|known| known.log.is_none() || own.is_none() || known.log == own))
    }
}

//! What questions are answered from, and which area they are about.

use std::sync::Arc;

use axum::extract::FromRef;
use gridkeeper_district::District;
use gridkeeper_eventlog::{EventLog, KeyStore};
use gridkeeper_http::Clock;
use gridkeeper_identity::Verifier;
use gridkeeper_proto::{access::Claims, area::AreaCode, envelope::Position, view::ViewQuestion};
use tokio::sync::Semaphore;

use crate::{
    Error, Options,
    feed::Feed,
    rules::{KnownRosters, KnownRules},
    views::{Freshness, Views},
};

/// What questions are answered from.
pub(crate) struct Questions {
    pub(crate) district: Arc<District>,
    pub(crate) verifier: Arc<Verifier>,
    pub(crate) clock: Clock,
    pub(crate) options: Options,
    pub(crate) views: Views,
    pub(crate) log: EventLog,
    pub(crate) keys: KeyStore,
    pub(crate) feed: Feed,
    pub(crate) known_rules: KnownRules,
    pub(crate) known_rosters: KnownRosters,
    /// Places for questions that read the whole log.
    pub(crate) past_places: Semaphore,
    /// Places for those who listen to live events.
    pub(crate) live_places: Arc<Semaphore>,
}

/// The routes' handle on [`Questions`].
#[derive(Clone)]
pub(crate) struct Handle(pub(crate) Arc<Questions>);

impl FromRef<Handle> for Arc<Verifier> {
    fn from_ref(handle: &Handle) -> Self {
        Self::clone(&handle.0.verifier)
    }
}

impl FromRef<Handle> for Clock {
    fn from_ref(handle: &Handle) -> Self {
        handle.0.clock.clone()
    }
}

impl Questions {
    /// The area that a question is about: the one it names, or the bearer's only one.
    pub(crate) fn area(&self, claims: &Claims, asked: Option<AreaCode>) -> Result<AreaCode, Error> {
        let area = match (asked, &*claims.areas) {
            (Some(area), _) => area,
            (None, [own]) => *own,
            (None, _) => return Err(Error::WhichArea),
        };
        claims.within(area)?;
        match self.district.area(area) {
            Some(_) => Ok(area),
            None => Err(Error::UnknownArea {
                area,
                district: self.district.code(),
            }),
        }
    }

    /// Whether answers may be read from the log itself: views that found it, or what is before
    /// their position, to be another one than what they were folded from say no, and so do those
    /// that have not compared it yet.
    pub(crate) async fn may_read_log(&self) -> Result<(), Error> {
        if let Some(error) = self.feed.stopped() {
            return Err(error);
        }
        self.views
            .ask(Freshness::default(), ViewQuestion::History)
            .await
            .map(drop)
    }

    /// Whether the log has come to this position.
    pub(crate) async fn is_in_log(&self, after: Position) -> Result<(), Error> {
        if after <= self.feed.position() {
            return Ok(());
        }
        let last = self.log.last_position().await?;
        match after <= last {
            true => Ok(()),
            false => Err(Error::Beyond { after, last }),
        }
    }
}

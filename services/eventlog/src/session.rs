//! A connection for appending, to one run of one server.
//!
//! A client that reconnects sends what waits to whatever server it finds, and a server that came back may hold less
//! than the one that went. A session does not reconnect: it is opened, the log is confirmed over it, and all that is
//! appended over it reaches the very server that was asked.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_nats::{Auth, AuthError, ConnectOptions};
use gridkeeper_proto::anchor::Anchor;

use crate::{EventLog, LogError, connection::Connection};

/// A connection that ends for good when it is lost.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) connection: Connection,
    /// Whether the server was lost, so that nothing more is sent.
    lost: Arc<AtomicBool>,
}

impl Session {
    pub(crate) fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Acquire)
    }

    /// Lets the next append open another session.
    pub(crate) fn give_up(&self) {
        self.lost.store(true, Ordering::Release);
    }
}

impl EventLog {
    /// The session for appending; a new one only after the log was confirmed over it.
    ///
    /// # Errors
    /// As [`EventLog::confirm`].
    pub(crate) async fn session(&self, anchor: &Anchor) -> Result<Arc<Session>, LogError> {
        let mut session = self.session.lock().await;
        if let Some(session) = session.as_ref().filter(|session| !session.is_lost()) {
            return Ok(Arc::clone(session));
        }
        *session = None;
        // Apart, since each append carries the room for it.
        let opened = Box::pin(self.open_confirmed_session(anchor)).await?;
        Ok(Arc::clone(session.insert(Arc::new(opened))))
    }

    async fn open_confirmed_session(&self, anchor: &Anchor) -> Result<Session, LogError> {
        let opened = self.open_session().await?;
        self.confirm_over(&opened.connection, anchor).await?;
        Ok(opened)
    }

    async fn open_session(&self) -> Result<Session, LogError> {
        let lost = Arc::new(AtomicBool::new(false));
        let greeted = Arc::new(AtomicBool::new(false));
        // The client introduces itself at each connection. A second time is a reconnect, and ends it.
        let options = ConnectOptions::with_auth_callback(move |_nonce| {
            let again = greeted.swap(true, Ordering::AcqRel);
            async move {
                match again {
                    false => Ok(Auth::default()),
                    true => Err(AuthError::new("a session does not reconnect")),
                }
            }
        });
        let watched = Arc::clone(&lost);
        let client = options
            .name("gridkeeper event log, appending")
            .ping_interval(Duration::from_secs(2))
            .request_timeout(Some(self.options.request_timeout()))
            .max_reconnects(1)
            .event_callback(move |event| {
                let lost = Arc::clone(&watched);
                async move {
                    use async_nats::Event;
                    if matches!(event, Event::Disconnected | Event::Closed) {
                        lost.store(true, Ordering::Release);
                    }
                }
            })
            .connect(&self.url)
            .await
            .map_err(|error| LogError::unavailable("connect")(error.into()))?;
        Ok(Session {
            connection: self.reading.elsewhere(client, &self.options).await?,
            lost,
        })
    }
}

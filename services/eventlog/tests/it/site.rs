//! A real broker with the log of a district.

use bytes::Bytes;
use gridkeeper_broker::Broker;
use gridkeeper_eventlog::{Append, Appended, EventLog, KeyStore, Options};
use gridkeeper_proto::{
    anchor::Anchor,
    area::AreaCode,
    envelope::Position,
    id::{EventId, LogId},
};

pub(crate) struct Site {
    pub(crate) broker: Broker,
    _folder: tempfile::TempDir,
}

pub(crate) async fn site() -> Site {
    let folder = tempfile::tempdir().unwrap();
    let broker = gridkeeper_tests::broker(folder.path()).await;
    Site {
        broker,
        _folder: folder,
    }
}

/// Options under which an answer that is lost is given up soon.
pub(crate) fn impatient() -> Options {
    Options {
        request_timeout_ms: 500,
        ..Options::default()
    }
}

impl Site {
    pub(crate) async fn log(&self) -> EventLog {
        let log = self.unbegun().await;
        log.begin(log_id()).await.unwrap();
        log
    }

    /// A handle on a log that may not be there.
    pub(crate) async fn unbegun(&self) -> EventLog {
        EventLog::open(&self.broker.url(), district(), &impatient())
            .await
            .unwrap()
    }

    pub(crate) async fn keys(&self) -> KeyStore {
        let keys = KeyStore::open(&self.broker.url(), district(), &Options::default())
            .await
            .unwrap();
        keys.begin(log_id()).await.unwrap();
        keys
    }

    pub(crate) async fn kill_and_restart(&mut self) {
        self.broker.kill().await.unwrap();
        self.broker.restart().await.unwrap();
    }
}

pub(crate) fn district() -> AreaCode {
    "510402".parse().unwrap()
}

pub(crate) fn log_id() -> LogId {
    LogId::from_bytes([5; 16])
}

/// The anchor of a reader that has read the log up to a position.
pub(crate) async fn at(log: &EventLog, position: u64) -> Anchor {
    log.anchor(Position(position)).await.unwrap()
}

pub(crate) fn grid(number: u8) -> AreaCode {
    format!("510402002005{number:02}").parse().unwrap()
}

pub(crate) fn event(number: u32) -> EventId {
    format!("01980000-0000-8000-8000-{number:012}")
        .parse()
        .unwrap()
}

pub(crate) fn append(grid: AreaCode, number: u32, expected: u64) -> Append {
    let bytes = Bytes::from(format!("event {number}"));
    Append {
        area: grid,
        event_id: event(number),
        bytes,
        expected: Position(expected),
    }
}

pub(crate) fn appended(first: u64, last: u64) -> Appended {
    Appended {
        first: Position(first),
        last: Position(last),
    }
}

//! A real broker with the log of a district.

use bytes::Bytes;
use gridkeeper_broker::Broker;
use gridkeeper_eventlog::{Append, Appended, EventLog, KeyStore, Options};
use gridkeeper_proto::{area::AreaCode, envelope::Position, id::EventId};

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
        EventLog::open(&self.broker.url(), district(), &Options::default())
            .await
            .unwrap()
    }

    pub(crate) async fn keys(&self) -> KeyStore {
        KeyStore::open(&self.broker.url(), district(), &Options::default())
            .await
            .unwrap()
    }

    pub(crate) async fn kill_and_restart(&mut self) {
        self.broker.kill().await.unwrap();
        self.broker.restart().await.unwrap();
    }
}

pub(crate) fn district() -> AreaCode {
    "510402".parse().unwrap()
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

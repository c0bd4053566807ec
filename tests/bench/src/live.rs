//! One who listens to live events, and notes when each came.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::watch,
    task::JoinHandle,
    time::timeout,
};

use crate::{load, site::Site};

/// How long the events may take that are still to come.
const BOUND: Duration = Duration::from_secs(60);

/// When events came, by position.
type Shown = HashMap<u64, Instant>;

/// Listens.
pub(crate) struct Listener {
    wanted: watch::Sender<u64>,
    listening: JoinHandle<Shown>,
}

impl Listener {
    /// Begins to listen to all events of the district from now on.
    pub(crate) async fn start(site: &Site) -> Self {
        let mut stream = TcpStream::connect(site.address("query")).await.unwrap();
        let mut request = Vec::new();
        let path = format!("/v1/live?area={}", site.grids[0].district());
        load::get(&mut request, &path, &site.token);
        stream.write_all(&request).await.unwrap();
        // The answer begins once the service knows after which event it is.
        let mut buffer = Vec::with_capacity(1 << 16);
        while !buffer.windows(4).any(|end| end == b"\r\n\r\n") {
            assert_ne!(stream.read_buf(&mut buffer).await.unwrap(), 0);
        }
        assert!(buffer.starts_with(b"HTTP/1.1 200"));
        let (wanted, until) = watch::channel(u64::MAX);
        Self {
            wanted,
            listening: tokio::spawn(listen(stream, buffer, until)),
        }
    }

    /// Listens on until the event at a position has come; gives when all came.
    pub(crate) async fn until(self, position: u64) -> Shown {
        self.wanted.send_replace(position);
        timeout(BOUND, self.listening).await.unwrap().unwrap()
    }
}

async fn listen(
    mut stream: TcpStream,
    mut buffer: Vec<u8>,
    mut until: watch::Receiver<u64>,
) -> Shown {
    let (mut shown, mut last) = (Shown::new(), 0);
    loop {
        if last >= *until.borrow_and_update() {
            return shown;
        }
        let read = tokio::select! {
            read = stream.read_buf(&mut buffer) => read.unwrap(),
            _ = until.changed() => continue,
        };
        assert_ne!(read, 0, "the service ended the stream");
        let now = Instant::now();
        // Each event is a chunk of its own, so a line is never cut by what lies between chunks.
        let whole = buffer.iter().rposition(|byte| *byte == b'\n');
        let whole = whole.map_or(0, |end| end + 1);
        for line in buffer[..whole].split(|byte| *byte == b'\n') {
            if let Some(id) = line.strip_prefix(b"id: ") {
                last = String::from_utf8_lossy(id).trim().parse().unwrap();
                shown.insert(last, now);
            }
        }
        buffer.drain(..whole);
    }
}

//! Finds a server that a full disk has stopped from writing.
//!
//! A stream of nats-server 2.15.1 that once failed to write takes no message any more, and does not answer, until the
//! server is started again; its report of health says so.

use std::{path::Path, time::Duration};

use serde::Deserialize;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{sleep, timeout},
};

/// How often the server is asked.
const ASK_EVERY: Duration = Duration::from_secs(1);
/// How long an answer may take, and how many bytes of it are read.
const ANSWER_LIMIT: Duration = Duration::from_secs(2);
const ANSWER_BYTES: u64 = 64 << 10;
/// So many bytes have to be free before the server is started again: less would be full at once.
const ROOM: u64 = 8 << 20;
/// By what a report says that it is of failed writing.
const WRITE_ERROR: &str = "write error";

#[derive(Deserialize)]
struct Health {
    #[serde(default)]
    error: String,
}

/// Waits until the server says that it failed to write, and there is space in its folder; gives what it said.
pub(crate) async fn unwritable(port: u16, folder: &Path) -> String {
    loop {
        sleep(ASK_EVERY).await;
        let asked = timeout(ANSWER_LIMIT, health(port)).await;
        if let Ok(Some(Health { error })) = asked
            && error.contains(WRITE_ERROR)
            && has_room(folder)
        {
            return error;
        }
    }
}

fn has_room(folder: &Path) -> bool {
    rustix::fs::statvfs(folder)
        .is_ok_and(|found| found.f_bavail.saturating_mul(found.f_frsize) >= ROOM)
}

/// What the server says of its health; `None` if it does not answer as it should.
async fn health(port: u16) -> Option<Health> {
    let mut connection = TcpStream::connect(("127.0.0.1", port)).await.ok()?;
    let request = b"GET /healthz HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n";
    connection.write_all(request).await.ok()?;
    let mut answer = String::new();
    let mut limited = connection.take(ANSWER_BYTES);
    limited.read_to_string(&mut answer).await.ok()?;
    let (_, body) = answer.split_once("\r\n\r\n")?;
    serde_json::from_str(body).ok()
}

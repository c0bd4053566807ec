//! Serving over a real connection, and stopping within the bound.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::Body,
    http::header,
    response::{IntoResponse, Response},
    routing,
};
use futures::StreamExt as _;
use gridkeeper_http::{Json, body_limit, listen, serve};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::Notify,
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

/// No step of a test may take longer.
const BOUND: Duration = Duration::from_secs(5);

struct Running {
    address: SocketAddr,
    shutdown: CancellationToken,
    served: JoinHandle<()>,
}

async fn run(router: Router, drain: Duration) -> Running {
    let listener = listen("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let shutdown = CancellationToken::new();
    let served = tokio::spawn(serve(listener, router, shutdown.clone(), drain));
    Running {
        address,
        shutdown,
        served,
    }
}

impl Running {
    async fn send(&self, request: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    }

    async fn stop(self) -> Duration {
        let started = Instant::now();
        self.shutdown.cancel();
        tokio::time::timeout(BOUND, self.served)
            .await
            .expect("it stops")
            .unwrap();
        started.elapsed()
    }
}

fn request(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n")
}

/// Reads until the text has come, or to the end.
async fn read_until(stream: &mut TcpStream, text: &str) -> String {
    let mut read = Vec::new();
    let reading = async {
        let mut buffer = [0; 4096];
        while !String::from_utf8_lossy(&read).contains(text) {
            match stream.read(&mut buffer).await.unwrap() {
                0 => break,
                count => read.extend_from_slice(&buffer[..count]),
            }
        }
    };
    tokio::time::timeout(BOUND, reading)
        .await
        .expect("an answer in time");
    String::from_utf8(read).unwrap()
}

async fn events() -> Response {
    let first = futures::stream::iter([Ok::<_, Infallible>("data: first\n\n")]);
    let stream = first.chain(futures::stream::pending());
    (
        [(header::CONTENT_TYPE, "text/event-stream")],
        Body::from_stream(stream),
    )
        .into_response()
}

#[tokio::test]
async fn a_request_under_way_is_answered_and_new_connections_are_refused() {
    let (begun, finish) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (begins, finishes) = (Arc::clone(&begun), Arc::clone(&finish));
    let slow = move || async move {
        begins.notify_one();
        finishes.notified().await;
        "done at last"
    };
    let running = run(Router::new().route("/slow", routing::get(slow)), BOUND).await;
    let mut client = running.send(&request("/slow")).await;
    begun.notified().await;
    running.shutdown.cancel();
    // The listener is gone as soon as the stop has begun.
    let refused = async {
        while TcpStream::connect(running.address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(BOUND, refused)
        .await
        .expect("no new connections");
    finish.notify_one();
    assert!(
        read_until(&mut client, "done at last")
            .await
            .contains("200 OK")
    );
    running.stop().await;
}

#[tokio::test]
async fn event_streams_and_idle_connections_do_not_hold_up_the_stop() {
    let router = Router::new()
        .route("/live", routing::get(events))
        .route("/quick", routing::get(async || "quick"));
    let running = run(router, BOUND).await;
    let mut live = running.send(&request("/live")).await;
    assert!(
        read_until(&mut live, "data: first")
            .await
            .contains("text/event-stream")
    );
    let mut idle = running.send(&request("/quick")).await;
    read_until(&mut idle, "quick").await;
    let silent = TcpStream::connect(running.address).await.unwrap();
    let took = running.stop().await;
    assert!(took < BOUND / 2, "{took:?}");
    let rest = read_until(&mut live, "never comes").await;
    assert!(
        rest.ends_with("0\r\n\r\n"),
        "the stream ends properly: {rest:?}"
    );
    drop(silent);
}

#[tokio::test]
async fn what_does_not_finish_is_cut_and_nothing_of_it_stays() {
    let held = Arc::new(());
    let holds = Arc::clone(&held);
    let begun = Arc::new(Notify::new());
    let begins = Arc::clone(&begun);
    let stuck = move || {
        let (holds, begins) = (Arc::clone(&holds), Arc::clone(&begins));
        async move {
            begins.notify_one();
            std::future::pending::<()>().await;
            drop(holds);
        }
    };
    let running = run(
        Router::new().route("/stuck", routing::get(stuck)),
        Duration::from_millis(50),
    )
    .await;
    let mut client = running.send(&request("/stuck")).await;
    begun.notified().await;
    running.stop().await;
    assert_eq!(
        Arc::strong_count(&held),
        1,
        "the handler and the router are gone"
    );
    assert_eq!(read_until(&mut client, "never comes").await, "");
}

#[tokio::test]
async fn a_client_that_writes_too_much_before_it_reads_sees_the_refusal() {
    let take = async |Json(_): Json<serde_json::Value>| "taken";
    let router = Router::new()
        .route("/", routing::post(take))
        .layer(body_limit(1_000));
    let running = run(router, BOUND).await;
    let length = 8 * 1024 * 1024;
    let head = format!(
        "POST / HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
    );
    let mut client = running.send(&head).await;
    let body = vec![b' '; length];
    let writing = client.write_all(&body);
    tokio::time::timeout(BOUND, writing)
        .await
        .expect("the body is read")
        .unwrap();
    let answer = read_until(&mut client, "GK0024").await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    running.stop().await;
}

#[tokio::test]
async fn a_taken_port_is_named() {
    let taken = listen("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let error = listen(&address).await.unwrap_err().to_string();
    assert!(error.contains(&address), "{error}");
}

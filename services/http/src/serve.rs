//! Listening, serving, and stopping within a bound.

use std::{io, net::SocketAddr, pin::pin, time::Duration};

use axum::{
    Router,
    body::Body,
    http::{HeaderMap, header},
    middleware,
    response::Response,
};
use futures::StreamExt as _;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream, lookup_host},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use crate::HttpError;

/// The longest that a client may take to send the head of a request, and that a connection may idle.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// How long no connection is taken after the system had no room for one.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How many connections may wait to be taken, as far as the system allows: after an outage all phones come at once, and
/// one that finds no place tries again only after a second.
const WAITING_CONNECTIONS: u32 = 4_096;

/// Listens at a host and port such as `127.0.0.1:8080`; port 0 takes a free one.
///
/// # Errors
/// [`HttpError::Listen`].
pub async fn listen(address: &str) -> Result<TcpListener, HttpError> {
    let refused = |source| HttpError::Listen {
        address: address.to_owned(),
        source,
    };
    let mut outcome = Err(io::ErrorKind::AddrNotAvailable.into());
    for address in lookup_host(address).await.map_err(refused)? {
        outcome = listen_at(address);
        if outcome.is_ok() {
            break;
        }
    }
    outcome.map_err(refused)
}

fn listen_at(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // A service that starts again finds its port even while old connections to it still close.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(WAITING_CONNECTIONS)
}

/// Serves until `shutdown`. Then no connection is taken, event streams (`text/event-stream`) end at
/// once, and the other requests under way have `drain` to finish before their connections are cut.
/// When this returns, no task of it is left.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    shutdown: CancellationToken,
    drain: Duration,
) {
    let end_of_streams = shutdown.clone();
    let router = router.layer(middleware::map_response(move |response: Response| {
        let shutdown = end_of_streams.clone();
        async move { ending_with(shutdown, response) }
    }));
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            // Finished connections are taken out, so that the set stays as small as their number.
            Some(ended) = connections.join_next() => log_end(ended),
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    connections.spawn(connection(stream, peer, router.clone(), shutdown.clone()));
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::select! {
                        () = shutdown.cancelled() => break,
                        () = tokio::time::sleep(ACCEPT_PAUSE) => {}
                    }
                }
            },
        }
    }
    drop(listener);
    let drained = async {
        while let Some(ended) = connections.join_next().await {
            log_end(ended);
        }
    };
    if tokio::time::timeout(drain, drained).await.is_err() {
        tracing::warn!(
            left = connections.len(),
            "connections are cut: the time to stop is over"
        );
        connections.shutdown().await;
    }
}

async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    shutdown: CancellationToken,
) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, %peer, "TCP_NODELAY is not to be had");
    }
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        // Clients that go away are everyday; what the server did wrong is logged where it did it.
        tracing::debug!(%error, %peer, "connection ended early");
    }
}

fn log_end(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "a connection's task panicked");
    }
}

/// The response, whose event stream ends when the service stops.
fn ending_with(shutdown: CancellationToken, response: Response) -> Response {
    if !is_event_stream(response.headers()) {
        return response;
    }
    let (parts, body) = response.into_parts();
    let chunks = body
        .into_data_stream()
        .take_until(shutdown.cancelled_owned());
    Response::from_parts(parts, Body::from_stream(chunks))
}

fn is_event_stream(headers: &HeaderMap) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.starts_with("text/event-stream"))
}

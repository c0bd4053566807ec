//! Load over HTTP: so many connections, each with one request under way, until the time is over.
//!
//! A connection is a plain socket and the answer is read only as far as its length and status: a full client would
//! take more of the two cores than the services that are measured.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinSet,
    time::sleep,
};

/// Makes the requests of one connection, each with method, path and headers.
pub(crate) type Requests = Box<dyn FnMut(&mut Vec<u8>) + Send>;

/// What came of a load.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// Requests answered with 200.
    pub(crate) answered: u64,
    /// Requests turned away with 429.
    pub(crate) turned_away: u64,
    /// From the first request to the last answer.
    pub(crate) took: Duration,
    /// How long each answered request took, in microseconds, in order.
    pub(crate) micros: Vec<u32>,
}

impl Outcome {
    /// Answered requests in a second.
    pub(crate) fn per_second(&self) -> f64 {
        self.answered as f64 / self.took.as_secs_f64()
    }

    /// The time in milliseconds that the share of requests does not exceed.
    pub(crate) fn percentile_ms(&self, share: f64) -> f64 {
        percentile_ms(&self.micros, share)
    }
}

/// Of times in microseconds, in order, the one in milliseconds that the share does not exceed.
pub(crate) fn percentile_ms(micros: &[u32], share: f64) -> f64 {
    let rank = (micros.len() as f64 * share).ceil().max(1.0) as usize;
    let found = micros.get(rank - 1).copied().unwrap_or(0);
    f64::from(found) / 1_000.0
}

/// A POST of JSON with a token.
pub(crate) fn post(into: &mut Vec<u8>, path: &str, token: &str, body: &[u8]) {
    into.extend_from_slice(
        format!(
            "POST {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {token}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        )
        .as_bytes(),
    );
    into.extend_from_slice(body);
}

/// A GET with a token.
pub(crate) fn get(into: &mut Vec<u8>, path: &str, token: &str) {
    into.extend_from_slice(
        format!("GET {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {token}\r\n\r\n")
            .as_bytes(),
    );
}

/// Loads an address for a time.
pub(crate) async fn run(
    address: &str,
    connections: usize,
    time: Duration,
    mut requests: impl FnMut(usize) -> Requests,
) -> Outcome {
    let over = Arc::new(AtomicBool::new(false));
    let mut all = JoinSet::new();
    let mut streams = Vec::new();
    for number in 0..connections {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        streams.push((stream, requests(number)));
    }
    let began = Instant::now();
    for (stream, requests) in streams {
        all.spawn(converse(stream, requests, Arc::clone(&over)));
    }
    sleep(time).await;
    over.store(true, Ordering::Relaxed);
    let mut outcome = Outcome::default();
    while let Some(one) = all.join_next().await {
        let one = one.unwrap().unwrap();
        outcome.answered += one.answered;
        outcome.turned_away += one.turned_away;
        outcome.micros.extend(one.micros);
    }
    outcome.took = began.elapsed();
    outcome.micros.sort_unstable();
    outcome
}

async fn converse(
    mut stream: TcpStream,
    mut requests: Requests,
    over: Arc<AtomicBool>,
) -> io::Result<Outcome> {
    let mut outcome = Outcome::default();
    let (mut request, mut answer) = (Vec::new(), Vec::with_capacity(4_096));
    while !over.load(Ordering::Relaxed) {
        request.clear();
        requests(&mut request);
        let began = Instant::now();
        stream.write_all(&request).await?;
        let status = read_answer(&mut stream, &mut answer).await?;
        let micros = u32::try_from(began.elapsed().as_micros()).unwrap_or(u32::MAX);
        match status {
            200 => {
                outcome.answered += 1;
                outcome.micros.push(micros);
            }
            429 => {
                outcome.turned_away += 1;
                // What a phone is asked for in seconds.
                sleep(Duration::from_millis(20)).await;
            }
            other => panic!("{other}: {}", String::from_utf8_lossy(&answer)),
        }
    }
    Ok(outcome)
}

/// Reads one answer whole; gives its status.
async fn read_answer(stream: &mut TcpStream, answer: &mut Vec<u8>) -> io::Result<u16> {
    answer.clear();
    loop {
        if stream.read_buf(answer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let Some(head) = answer.windows(4).position(|end| end == b"\r\n\r\n") else {
            continue;
        };
        let text = String::from_utf8_lossy(&answer[..head]);
        let status = text.split(' ').nth(1).and_then(|word| word.parse().ok());
        let length = text.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            let is_length = name.eq_ignore_ascii_case("content-length");
            is_length.then(|| value.trim().parse::<usize>().ok())?
        });
        let (Some(status), Some(length)) = (status, length) else {
            panic!("an answer without status or length: {text}");
        };
        let whole = head + 4 + length;
        while answer.len() < whole {
            if stream.read_buf(answer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        return Ok(status);
    }
}

/// A connection on which one request follows the other.
pub(crate) struct Conversation {
    stream: TcpStream,
    answer: Vec<u8>,
}

impl Conversation {
    pub(crate) async fn with(address: &str) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            stream,
            answer: Vec::new(),
        }
    }

    /// Sends a request and reads the answer; gives its status.
    pub(crate) async fn ask(&mut self, request: &[u8]) -> io::Result<u16> {
        self.stream.write_all(request).await?;
        read_answer(&mut self.stream, &mut self.answer).await
    }

    /// The body of the latest answer.
    pub(crate) fn body(&self) -> &[u8] {
        let mut ends = self.answer.windows(4);
        let head = ends.position(|end| end == b"\r\n\r\n");
        head.map_or(&[], |head| &self.answer[head + 4..])
    }
}

/// Asks once; gives status and body, or nothing when nobody answers.
pub(crate) async fn ask(address: &str, path: &str, token: &str) -> Option<(u16, Vec<u8>)> {
    let mut conversation = Conversation {
        stream: TcpStream::connect(address).await.ok()?,
        answer: Vec::new(),
    };
    let mut request = Vec::new();
    get(&mut request, path, token);
    let status = conversation.ask(&request).await.ok()?;
    Some((status, conversation.body().to_owned()))
}

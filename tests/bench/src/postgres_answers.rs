//! The same HTTP server with handlers that answer from PostgreSQL: a row of a case by its primary key, a row of an
//! area by its own, over a few connections on which questions follow each other without waiting.
//!
//! The rows hold all that an answer needs, so that nothing is joined; what Gridkeeper reckons at each answer, such
//! as how much of the time is gone, is reckoned here too, by subtraction.

use std::{
    path::Path as Folder,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::{
    extract::{FromRef, State},
    response::{IntoResponse as _, Response},
};
use gridkeeper_http::{About, Bearer, Clock, Json, Path, Problem};
use gridkeeper_identity::Verifier;
use gridkeeper_proto::{area::AreaCode, id::CaseId, time::Timestamp};
use serde::Serialize;
use serde_json::value::RawValue;
use tokio_postgres::{Client, NoTls, Row, Statement};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::server;

/// How many connections to the database.
const CONNECTIONS: usize = 16;

pub(crate) const TABLES: &str = "
    create table cases (
        id uuid not null, grid text not null, state text not null, open bool not null,
        holder_level text not null, holder_area text not null, holder_unit text, holder_person text,
        held_since int8 not null, due_since int8 not null, due_at int8 not null, overdue bool not null,
        stage text, post text, limit_policy int4, limit_path text, limit_text text,
        suspended bool not null, supervised bool not null, extensions int4 not null, returns int4 not null,
        history text);
    create table areas (
        code text primary key, name text not null, level text not null,
        reported int8 not null, open int8 not null, overdue int8 not null, supervised int8 not null,
        closed_late int8 not null, satisfied int8 not null, dissatisfied int8 not null,
        by_state text not null, open_by_level text not null, open_by_severity text not null,
        open_by_category text not null, by_category text not null, by_source_state text not null)";

const CASE: &str = "
    select grid, state, open, holder_level, holder_area, holder_unit, holder_person,
           held_since, due_since, due_at, overdue, stage, post, limit_policy, limit_path, limit_text,
           suspended, supervised, extensions, returns, history
    from cases where id = $1";
const AREA: &str = "select * from areas where code = $1";

/// What the handlers share.
#[derive(Clone)]
struct Handle(Arc<Shared>);

struct Shared {
    verifier: Arc<Verifier>,
    clock: Clock,
    connections: Vec<Connection>,
    next: AtomicUsize,
}

struct Connection {
    client: Client,
    case: Statement,
    area: Statement,
}

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

impl Shared {
    fn connection(&self) -> &Connection {
        let next = self.next.fetch_add(1, Ordering::Relaxed);
        &self.connections[next % self.connections.len()]
    }
}

/// Serves until the process is ended, by the tokens of the keys in a folder.
pub(crate) async fn run(address: &str, database: &str, keys: &Folder) {
    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS {
        let connected = tokio_postgres::connect(database, NoTls).await;
        let (client, connection) = connected.unwrap();
        tokio::spawn(connection);
        let case = client.prepare(CASE).await.unwrap();
        let area = client.prepare(AREA).await.unwrap();
        connections.push(Connection { client, case, area });
    }
    let state = Handle(Arc::new(Shared {
        verifier: Arc::new(Verifier::load(keys, None).unwrap()),
        clock: Clock::system(),
        connections,
        next: AtomicUsize::new(0),
    }));
    let about = About {
        title: "PostgreSQL",
        description: "Answers from PostgreSQL.",
    };
    let routes = OpenApiRouter::new()
        .routes(routes!(escalation))
        .routes(routes!(area));
    server::run(address, about, routes, state).await;
}

#[derive(Serialize)]
struct Status<'a> {
    position: u64,
    case_id: CaseId,
    state: &'a str,
    holder: Holder<'a>,
    since: Timestamp,
    due_at: Option<Timestamp>,
    used_permille: Option<i64>,
    clock: Option<&'static str>,
    beyond_calendar: bool,
    overdue: bool,
    stage: Option<&'a str>,
    post: Option<&'a str>,
    held_by: Option<()>,
    limit: Option<Limit<'a>>,
    supervised: bool,
    extensions: i32,
    returns: i32,
    next: Option<Next<'a>>,
    reminder_at: Option<Timestamp>,
    history: &'a RawValue,
}

#[derive(Serialize)]
struct Holder<'a> {
    level: &'a str,
    area: &'a str,
    unit: Option<&'a str>,
    person: Option<&'a str>,
}

#[derive(Serialize)]
struct Limit<'a> {
    policy: i32,
    path: &'a str,
    limit: &'a str,
}

#[derive(Serialize)]
struct Next<'a> {
    action: &'static str,
    at: Timestamp,
    level: &'a str,
}

#[utoipa::path(get, path = "/v1/cases/{id}/escalation", params(("id" = CaseId, Path)), responses((status = 200)))]
async fn escalation(
    State(Handle(shared)): State<Handle>,
    Bearer(claims): Bearer,
    Path(id): Path<CaseId>,
) -> Result<Response, Problem> {
    let Connection { client, case, .. } = shared.connection();
    let row = client.query_one(case, &[&id.uuid()]).await.unwrap();
    let grid: AreaCode = row.get::<_, &str>(0).parse().unwrap();
    claims.within(grid)?;
    Ok(Json(status(id, &row, shared.clock.now())).into_response())
}

fn status(case_id: CaseId, row: &Row, now: Timestamp) -> Status<'_> {
    let open: bool = row.get(2);
    let moment = |column: usize| Timestamp::from_millis(row.get(column)).unwrap();
    let (due_since, due_at, overdue): (i64, i64, bool) = (row.get(8), row.get(9), row.get(10));
    let level: &str = row.get(3);
    let used = (now.millis() - due_since).max(0) * 1_000 / (due_at - due_since).max(1);
    let suspended: bool = row.get(16);
    let next = Next {
        action: if suspended { "resume" } else { "escalate" },
        at: moment(9),
        level,
    };
    let history = row.get::<_, Option<&str>>(20);
    Status {
        position: 1,
        case_id,
        state: row.get(1),
        holder: Holder {
            level,
            area: row.get(4),
            unit: row.get(5),
            person: row.get(6),
        },
        since: moment(7),
        due_at: open.then(|| moment(9)),
        used_permille: open.then_some(used),
        clock: open.then_some(if suspended { "suspended" } else { "runs" }),
        beyond_calendar: false,
        overdue,
        stage: row.get(11),
        post: row.get(12),
        held_by: None,
        limit: row.get::<_, Option<i32>>(13).map(|policy| Limit {
            policy,
            path: row.get(14),
            limit: row.get(15),
        }),
        supervised: row.get(17),
        extensions: row.get(18),
        returns: row.get(19),
        next: open.then_some(next),
        reminder_at: open.then(|| moment(9)),
        history: json(history.unwrap_or("[]")),
    }
}

/// JSON as it is stored, for the answer as it stands.
fn json(text: &str) -> &RawValue {
    serde_json::from_str(text).unwrap()
}

#[derive(Serialize)]
struct Area<'a> {
    position: u64,
    code: AreaCode,
    name: &'a str,
    level: &'a str,
    reported: i64,
    open: i64,
    overdue: i64,
    supervised: i64,
    closed_late: i64,
    by_state: &'a RawValue,
    open_by_level: &'a RawValue,
    open_by_severity: &'a RawValue,
    open_by_category: &'a RawValue,
    by_category: &'a RawValue,
    by_source_state: &'a RawValue,
    satisfied: i64,
    dissatisfied: i64,
}

#[utoipa::path(get, path = "/v1/areas/{code}", params(("code" = AreaCode, Path)), responses((status = 200)))]
async fn area(
    State(Handle(shared)): State<Handle>,
    Bearer(claims): Bearer,
    Path(code): Path<AreaCode>,
) -> Result<Response, Problem> {
    claims.within(code)?;
    let Connection { client, area, .. } = shared.connection();
    let row = client.query_one(area, &[&code.as_str()]).await.unwrap();
    let counts = |column: usize| json(row.get(column));
    let answer = Area {
        position: 1,
        code,
        name: row.get(1),
        level: row.get(2),
        reported: row.get(3),
        open: row.get(4),
        overdue: row.get(5),
        supervised: row.get(6),
        closed_late: row.get(7),
        satisfied: row.get(8),
        dissatisfied: row.get(9),
        by_state: counts(10),
        open_by_level: counts(11),
        open_by_severity: counts(12),
        open_by_category: counts(13),
        by_category: counts(14),
        by_source_state: counts(15),
    };
    Ok(Json(answer).into_response())
}

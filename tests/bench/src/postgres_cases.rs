//! The tables that [`crate::postgres_answers`] answers from, filled with the same cases that are in the log.

use std::{
    fmt::{Display, Write as _},
    path::PathBuf,
    pin::pin,
};

use bytes::Bytes;
use futures::SinkExt as _;
use gridkeeper_district::District;
use gridkeeper_proto::{
    api::{AreaAnswer, EscalationStatus},
    area::AreaCode,
    case::Case,
    id::CaseId,
    policy::Timetable,
};
use gridkeeper_tests::{free_address, history::id, until};
use serde::{Serialize, de::DeserializeOwned};
use tokio::{
    process::{Child, Command},
    sync::mpsc,
    task::JoinHandle,
};
use tokio_postgres::{Client, types::ToSql};

use crate::{
    cases::{self, Done},
    load::ask,
    postgres::Postgres,
    postgres_answers::TABLES,
    site::{Site, beside_this},
};

/// About how many bytes of rows are sent at once.
const PIECE: usize = 1 << 20;

/// PostgreSQL with its tables, and the server that answers from it.
pub(crate) struct Peer {
    /// Where it answers.
    pub(crate) address: String,
    postgres: Postgres,
    keys: PathBuf,
    rows: Option<mpsc::UnboundedSender<String>>,
    copying: Option<JoinHandle<()>>,
    answering: Option<Child>,
}

impl Peer {
    /// Starts the database, ready for rows; nothing where PostgreSQL is not installed.
    pub(crate) async fn start(site: &Site) -> Option<Self> {
        let postgres = Postgres::start().await?;
        let client = postgres.connect().await;
        client.batch_execute(TABLES).await.unwrap();
        let (rows, mut pieces) = mpsc::unbounded_channel::<String>();
        let copying = tokio::spawn(async move {
            let copied = client.copy_in("copy cases from stdin").await.unwrap();
            let mut copied = pin!(copied);
            while let Some(piece) = pieces.recv().await {
                copied.send(Bytes::from(piece)).await.unwrap();
            }
            copied.finish().await.unwrap();
        });
        Some(Self {
            address: free_address(),
            postgres,
            keys: site.data().join("keys"),
            rows: Some(rows),
            copying: Some(copying),
            answering: None,
        })
    }

    /// Takes each case as a row. To be called once.
    pub(crate) fn rows(&mut self, district: &District) -> Done {
        let mut writer = Writer {
            timetable: district.timetable().unwrap().clone(),
            piece: String::new(),
            rows: self.rows.take().unwrap(),
        };
        Box::new(move |case| writer.write(case))
    }

    /// Waits until all rows are there, and makes the index as one does after a large load.
    pub(crate) async fn filled(&mut self) {
        self.copying.take().unwrap().await.unwrap();
        let client = self.postgres.connect().await;
        let index = "alter table cases add primary key (id)";
        client.batch_execute(index).await.unwrap();
    }

    /// Takes over what only the views tell: the figures of areas, and the history of cases that are late. Then
    /// starts to answer.
    pub(crate) async fn take_over(&mut self, site: &Site, areas: &[AreaCode], cases: u64) {
        let views = Answering(site.address("query"), &site.token);
        let client = self.postgres.connect().await;
        take_areas(&client, &views, areas).await;
        let update = "update cases set history = $2 where id = $1";
        for case in (0..cases).filter(|case| cases::is_late(*case)) {
            let id = id(case);
            let status = views.status(id).await;
            let history = serde_json::to_string(&status.history).unwrap();
            client
                .execute(update, &[&id.uuid(), &history])
                .await
                .unwrap();
        }
        // What a database that has run for a while has done by itself.
        client.batch_execute("vacuum analyze").await.unwrap();
        self.answer().await;
        let own = Answering(&self.address, &site.token);
        for case in (0..cases).take(201) {
            let [theirs, ours] = [views.status(id(case)).await, own.status(id(case)).await];
            let compared = |status: EscalationStatus| {
                let history = serde_json::to_string(&status.history).unwrap();
                let times = (status.since, status.due_at);
                let about = (status.state, status.stage, status.overdue, status.post);
                (about, status.holder, times, status.limit, history)
            };
            assert_eq!(compared(ours), compared(theirs));
        }
    }

    async fn answer(&mut self) {
        let child = Command::new(beside_this("gridkeeper-bench"))
            .args([
                "postgres-answers",
                &self.address,
                &self.postgres.parameters(),
            ])
            .arg(&self.keys)
            .env("RUST_LOG", "warn")
            .kill_on_drop(true)
            .spawn();
        self.answering = Some(child.unwrap());
        until("the server on PostgreSQL is ready", async || {
            let answer = ask(&self.address, "/readyz", "").await?;
            (answer.0 == 200).then_some(())
        })
        .await;
    }
}

/// A server that answers, and the token to ask it with.
struct Answering<'a>(&'a str, &'a str);

impl Answering<'_> {
    async fn status(&self, case: CaseId) -> EscalationStatus {
        self.asked(&format!("/v1/cases/{case}/escalation")).await
    }

    async fn asked<T: DeserializeOwned>(&self, path: &str) -> T {
        let (status, body) = ask(self.0, path, self.1).await.unwrap();
        let text = String::from_utf8_lossy(&body);
        assert_eq!(status, 200, "{path}: {text}");
        serde_json::from_str(&text).unwrap()
    }
}

/// Writes the figures of areas, as the views tell them.
async fn take_areas(client: &Client, views: &Answering<'_>, areas: &[AreaCode]) {
    let insert = "insert into areas values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)";
    for area in areas {
        let answer: AreaAnswer = views.asked(&format!("/v1/areas/{area}")).await;
        let figures = answer.figures;
        let counts = [
            figures.reported,
            figures.open,
            figures.overdue,
            figures.supervised,
            figures.closed_late,
            figures.satisfied,
            figures.dissatisfied,
        ];
        let counts = counts.map(|count| i64::try_from(count).unwrap());
        let by_name = [
            figures.by_state,
            figures.open_by_level,
            figures.open_by_severity,
            figures.open_by_category,
            figures.by_category,
            figures.by_source_state,
        ]
        .map(|counts| serde_json::to_string(&counts).unwrap());
        let (code, level) = (area.to_string(), word(&figures.level));
        let mut row: Vec<&(dyn ToSql + Sync)> = vec![&code, &figures.name, &level];
        row.extend(counts.iter().map(|count| -> &(dyn ToSql + Sync) { count }));
        row.extend(by_name.iter().map(|text| -> &(dyn ToSql + Sync) { text }));
        client.execute(insert, &row).await.unwrap();
    }
}

/// The word that the API writes for a value without fields.
fn word(value: &impl Serialize) -> String {
    let value = serde_json::to_value(value).unwrap();
    value.as_str().unwrap().to_owned()
}

/// Writes rows in the form that `copy` reads.
struct Writer {
    timetable: Timetable,
    piece: String,
    rows: mpsc::UnboundedSender<String>,
}

impl Writer {
    fn write(&mut self, case: &Case) {
        const NULL: &str = "\\N";
        let holder = &case.holder;
        let named = holder.unit.is_some() || holder.person.is_some();
        let open = case.state.is_open();
        let post = self.timetable.policy().ladder.post(holder.level);
        let rule = case.concerned().map(|of| self.timetable.rule(of));
        let columns: [&dyn Display; 22] = [
            &case.id,
            &case.grid,
            &word(&case.state),
            &open,
            &word(&holder.level),
            &holder.area,
            &holder.unit.as_deref().unwrap_or(NULL),
            &holder.person.as_deref().unwrap_or(NULL),
            &case.held_since.millis(),
            &case.due_since.millis(),
            &case.due_at.millis(),
            &case.overdue,
            &case.stage.map_or(NULL.to_owned(), |stage| word(&stage)),
            &if open && !named { post } else { NULL },
            &rule
                .as_ref()
                .map_or(NULL.to_owned(), |rule| rule.policy.to_string()),
            &rule.as_ref().map_or(NULL, |rule| &rule.path),
            &rule.as_ref().map_or(NULL, |rule| &rule.limit),
            &case.suspension.is_some(),
            &case.supervised,
            &case.extensions,
            &case.returns,
            &NULL,
        ];
        for (index, column) in columns.iter().enumerate() {
            let between = if index == 0 { "" } else { "\t" };
            write!(self.piece, "{between}{column}").unwrap();
        }
        self.piece.push('\n');
        if self.piece.len() >= PIECE {
            self.send();
        }
    }

    fn send(&mut self) {
        // Whoever copies says better what went wrong.
        let _ = self.rows.send(std::mem::take(&mut self.piece));
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.send();
    }
}

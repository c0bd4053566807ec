//! PostgreSQL applying the same events in batches: what the views hold, in tables, set by set.

use std::{sync::Arc, time::Instant};

use gridkeeper_liveviews::log::RawEvent;
use gridkeeper_proto::{
    time::Zone,
    view::{CaseView, Histogram},
};
use tokio::{sync::mpsc, task::spawn_blocking};
use tokio_postgres::{Client, Statement, Transaction, types::ToSql};

use super::rows::{DAY_NAMES, Fold, Rows, day_numbers, number, summary_names};
use crate::postgres::Postgres;

/// How many events go in one transaction.
pub(super) const BATCH: usize = 1_000;
/// How many batches are decoded and folded ahead of the one that is written.
const AHEAD: usize = 4;
const CELL_E7: i32 = 10_000;

const CASES: &str = "
    INSERT INTO case_view SELECT * FROM unnest(
        $1::uuid[], $2::bigint[], $3::boolean[], $4::smallint[], $5::smallint[], $6::boolean[], $7::text[],
        $8::bigint[], $9::text[], $10::text[], $11::int[], $12::int[], $13::int[], $14::bytea[])
    ON CONFLICT (id) DO UPDATE SET
        open = excluded.open, state = excluded.state, level = excluded.level, overdue = excluded.overdue,
        category = excluded.category, area = excluded.area, unit = excluded.unit, person = excluded.person,
        policy = excluded.policy, body = excluded.body";
const DUE: &str = "
    INSERT INTO due SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::smallint[])
    ON CONFLICT (id) DO UPDATE SET moment = excluded.moment, level = excluded.level";
const NOT_DUE: &str = "DELETE FROM due WHERE id = ANY ($1)";
const UNITS: &str = "INSERT INTO unit SELECT * FROM unnest($1::bigint[], $2::text[])";
const HEADS: &str = "
    INSERT INTO head SELECT * FROM unnest($1::bigint[], $2::bytea[])
    ON CONFLICT (area) DO UPDATE SET hash = excluded.hash";
const POSITION: &str = "UPDATE place_in_log SET position = $1";
const SIZE: &str = "
    SELECT sum(pg_total_relation_size(oid))::bigint FROM pg_class
    WHERE relnamespace = 'views'::regnamespace AND relkind = 'r'";

/// What came of a round.
pub(super) struct Outcome {
    pub(super) per_second: f64,
    pub(super) bytes: u64,
}

/// Applies all events to empty tables.
pub(super) async fn apply(server: &Postgres, log: &Arc<[RawEvent]>, zone: &Zone) -> Outcome {
    let mut client = server.connect().await;
    let tables = include_str!("postgres.sql");
    client.batch_execute(tables).await.unwrap();
    let table = |name: &str, keys: &str, numbers: &[String]| {
        let columns = numbers.join(" bigint NOT NULL, ");
        format!(
            "CREATE TABLE {name} ({keys} bigint, {columns} bigint NOT NULL, PRIMARY KEY ({})) WITH (fillfactor = 50)",
            keys.replace(" int", "").replace(" bigint", "")
        )
    };
    let day_names = DAY_NAMES.map(str::to_owned);
    for made in [
        table("summary", "area", &summary_names()),
        table("day", "day int, scope", &day_names),
    ] {
        client.batch_execute(&made).await.unwrap();
    }
    let statements = Statements::prepare(&client, &day_names).await;
    let (made, mut ready) = mpsc::channel(AHEAD);
    let (log, events) = (Arc::clone(log), log.len());
    let mut fold = Fold::new(zone.clone());
    let began = Instant::now();
    let folding = spawn_blocking(move || {
        for events in log.chunks(BATCH) {
            made.blocking_send(fold.rows(events)).unwrap();
        }
    });
    while let Some(rows) = ready.recv().await {
        let transaction = client.transaction().await.unwrap();
        statements.write(&transaction, &rows).await;
        transaction.commit().await.unwrap();
    }
    folding.await.unwrap();
    let per_second = events as f64 / began.elapsed().as_secs_f64();
    let bytes: i64 = client.query_one(SIZE, &[]).await.unwrap().get(0);
    Outcome {
        per_second,
        bytes: bytes.unsigned_abs(),
    }
}

/// Adds numbers to rows that are there, and inserts the others.
fn adding(table: &str, keys: &[(&str, &str)], numbers: &[String]) -> String {
    let types = keys.iter().map(|key| key.1);
    let types = types.chain(numbers.iter().map(|_| "bigint"));
    let arrays = (1..)
        .zip(types)
        .map(|(at, of): (usize, _)| format!("${at}::{of}[]"));
    let names: Vec<_> = keys.iter().map(|key| key.0).collect();
    let (names, columns) = (names.join(", "), numbers.join(", "));
    let sums = numbers
        .iter()
        .map(|name| format!("{name} = {table}.{name} + excluded.{name}"));
    format!(
        "INSERT INTO {table} ({names}, {columns}) SELECT * FROM unnest({}) ON CONFLICT ({names}) DO UPDATE SET {}",
        arrays.collect::<Vec<_>>().join(", "),
        sums.collect::<Vec<_>>().join(", ")
    )
}

struct Statements {
    cases: Statement,
    due: Statement,
    not_due: Statement,
    summaries: Statement,
    categories: Statement,
    units: Statement,
    days: Statement,
    durations: Statement,
    heads: Statement,
    position: Statement,
}

impl Statements {
    async fn prepare(client: &Client, day_names: &[String]) -> Self {
        let prepare = async |text: &str| client.prepare(text).await.unwrap();
        let area = ("area", "bigint");
        let category = ["open", "reported"].map(str::to_owned);
        let scope = [("scope", "bigint"), ("day", "int")];
        let duration = [
            scope[0],
            scope[1],
            ("step", "smallint"),
            ("bucket", "smallint"),
        ];
        Self {
            cases: prepare(CASES).await,
            due: prepare(DUE).await,
            not_due: prepare(NOT_DUE).await,
            summaries: prepare(&adding("summary", &[area], &summary_names())).await,
            categories: prepare(&adding(
                "category",
                &[area, ("category", "text")],
                &category,
            ))
            .await,
            units: prepare(UNITS).await,
            days: prepare(&adding("day", &scope, day_names)).await,
            durations: prepare(&adding("day_duration", &duration, &["count".to_owned()])).await,
            heads: prepare(HEADS).await,
            position: prepare(POSITION).await,
        }
    }

    async fn write(&self, to: &Transaction<'_>, rows: &Rows) {
        self.write_cases(to, &rows.cases).await;
        self.write_due(to, rows).await;
        let sums: Vec<_> = rows
            .summaries
            .iter()
            .filter(|(_, sums)| sums.iter().any(|sum| *sum != 0))
            .collect();
        let areas: Vec<i64> = sums.iter().map(|(area, _)| **area).collect();
        let numbers = columns(
            summary_names().len(),
            sums.iter().map(|(_, sums)| sums.as_slice()),
        );
        execute(to, &self.summaries, &[&areas], &numbers).await;
        let sums: Vec<_> = rows
            .categories
            .iter()
            .filter(|(_, sums)| **sums != [0, 0])
            .collect();
        let areas: Vec<i64> = sums.iter().map(|((area, _), _)| *area).collect();
        let names: Vec<&str> = sums.iter().map(|((_, name), _)| name.as_str()).collect();
        let numbers = columns(2, sums.iter().map(|(_, sums)| sums.as_slice()));
        execute(to, &self.categories, &[&areas, &names], &numbers).await;
        if !rows.units.is_empty() {
            let (units, names): (Vec<i64>, Vec<String>) = rows.units.iter().cloned().unzip();
            execute(to, &self.units, &[&units, &names], &[]).await;
        }
        self.write_days(to, rows).await;
        let areas: Vec<i64> = rows.heads.keys().copied().collect();
        let hashes: Vec<&[u8]> = rows.heads.values().map(|hash| hash.0.as_slice()).collect();
        execute(to, &self.heads, &[&areas, &hashes], &[]).await;
        execute(to, &self.position, &[&rows.last], &[]).await;
    }

    async fn write_cases(&self, to: &Transaction<'_>, cases: &[Arc<CaseView>]) {
        macro_rules! column {
            ($view:ident => $value:expr) => {
                &cases.iter().map(|$view| $value).collect::<Vec<_>>()
            };
        }
        let cell = |view: &CaseView, longitude: bool| {
            let point = view.place.point?;
            let e7 = if longitude {
                point.longitude_e7
            } else {
                point.latitude_e7
            };
            Some(e7.div_euclid(CELL_E7))
        };
        let parameters: [&(dyn ToSql + Sync); 14] = [
            column!(view => uuid::Uuid::from_bytes(*view.case.id.as_bytes())),
            column!(view => number(view.case.grid)),
            column!(view => view.is_open()),
            column!(view => view.case.state as i16),
            column!(view => view.case.holder.level as i16),
            column!(view => view.case.overdue),
            column!(view => view.case.category.as_str()),
            column!(view => number(view.case.holder.area)),
            column!(view => view.case.holder.unit.as_deref()),
            column!(view => view.case.holder.person.as_deref()),
            column!(view => view.case.policy.cast_signed()),
            column!(view => cell(view, false)),
            column!(view => cell(view, true)),
            column!(view => postcard::to_allocvec(&**view).unwrap()),
        ];
        execute(to, &self.cases, &parameters, &[]).await;
    }

    async fn write_due(&self, to: &Transaction<'_>, rows: &Rows) {
        let id = |view: &CaseView| uuid::Uuid::from_bytes(*view.case.id.as_bytes());
        let (mut ids, mut moments, mut grids, mut levels) = (vec![], vec![], vec![], vec![]);
        let mut over = Vec::new();
        for (view, moment) in &rows.due {
            let Some(moment) = moment else {
                over.push(id(view));
                continue;
            };
            ids.push(id(view));
            moments.push(moment.millis());
            grids.push(number(view.case.grid));
            levels.push(view.case.holder.level as i16);
        }
        execute(to, &self.due, &[&ids, &moments, &grids, &levels], &[]).await;
        execute(to, &self.not_due, &[&over], &[]).await;
    }

    async fn write_days(&self, to: &Transaction<'_>, rows: &Rows) {
        let days: Vec<_> = rows
            .days
            .iter()
            .filter(|(_, day)| !day.is_empty())
            .collect();
        let (scopes, numbers_of_days): (Vec<i64>, Vec<i32>) =
            days.iter().map(|(key, _)| **key).unzip();
        let counted: Vec<_> = days.iter().map(|(_, day)| day_numbers(day)).collect();
        let numbers = columns(DAY_NAMES.len(), counted.iter().map(<[i64; 15]>::as_slice));
        execute(to, &self.days, &[&scopes, &numbers_of_days], &numbers).await;
        let (mut scopes, mut of_day, mut steps, mut buckets, mut counts) =
            (vec![], vec![], vec![], vec![], vec![]);
        for ((scope, day), rollup) in days {
            for (step, durations) in [
                (0_i16, &rollup.time_to_accept),
                (1, &rollup.time_to_resolve),
            ] {
                for (bucket, count) in buckets_of(durations) {
                    scopes.push(*scope);
                    of_day.push(*day);
                    steps.push(step);
                    buckets.push(bucket);
                    counts.push(count);
                }
            }
        }
        execute(
            to,
            &self.durations,
            &[&scopes, &of_day, &steps, &buckets],
            &[counts],
        )
        .await;
    }
}

/// The buckets of a sketch and what they count: what its bytes are.
fn buckets_of(durations: &Histogram) -> Vec<(i16, i64)> {
    let bytes = postcard::to_allocvec(durations).unwrap();
    let buckets: Vec<(u16, u64)> = postcard::from_bytes(&bytes).unwrap();
    let signed = |(bucket, count): (u16, u64)| (bucket.cast_signed(), count.cast_signed());
    buckets.into_iter().map(signed).collect()
}

/// Rows of numbers as columns.
fn columns<'a>(width: usize, rows: impl Iterator<Item = &'a [i64]>) -> Vec<Vec<i64>> {
    let mut columns = vec![Vec::new(); width];
    for row in rows {
        columns
            .iter_mut()
            .zip(row)
            .for_each(|(column, number)| column.push(*number));
    }
    columns
}

async fn execute(
    to: &Transaction<'_>,
    statement: &Statement,
    keys: &[&(dyn ToSql + Sync)],
    numbers: &[Vec<i64>],
) {
    let numbers = numbers.iter().map(|column| column as &(dyn ToSql + Sync));
    let parameters: Vec<_> = keys.iter().copied().chain(numbers).collect();
    to.execute(statement, &parameters).await.unwrap();
}

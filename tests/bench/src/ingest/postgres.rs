//! PostgreSQL doing the work of a report in one transaction: the event, the case, and the counters of its four areas.
//!
//! All transactions want the district's counter, and whoever has changed it keeps it until its commit is on the disk.
//! Counters in slots, which a reader adds up, are how that is got around.

use std::{
    cmp::Reverse,
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use gridkeeper_proto::area::AreaCode;
use tokio_postgres::{Client, types::ToSql};
use uuid::Uuid;

use crate::{
    figures::Figures,
    postgres::{Postgres, load},
    raw::EVENT_BYTES,
};

/// The most connections.
const MOST: usize = 128;
const REPORT: &str = "SELECT report($1, $2, $3, $4, $5, $6, $7)";
const REPORT_MANY: &str = "SELECT report_many($1, $2, $3, $4, $5)";
pub(super) const BEST: &str = "PostgreSQL, its best number of connections";

/// A server with the tables, and who asks it.
pub(super) struct Peer {
    clients: Vec<Client>,
    _server: Postgres,
}

impl Peer {
    /// Nothing where PostgreSQL is not installed.
    pub(super) async fn start() -> Option<Self> {
        let server = Postgres::start().await?;
        let clients = server.connections(MOST).await;
        let made = clients[0].batch_execute(include_str!("postgres.sql"));
        made.await.unwrap();
        Some(Self {
            clients,
            _server: server,
        })
    }

    /// One round.
    pub(super) async fn measure(
        &mut self,
        figures: &mut Figures,
        grids: &[AreaCode],
        time: Duration,
    ) {
        let mut best: f64 = 0.0;
        for connections in [1, 4, 16, 64, MOST] {
            let rate = self.single(connections, 1, grids, time).await;
            let name = format!("PostgreSQL, {connections} connections");
            figures.add(&name, "reports/s", rate);
            best = best.max(rate);
        }
        figures.add(BEST, "reports/s", best);
        let rate = self.single(64, 64, grids, time).await;
        let name = "PostgreSQL, 64 connections, counters in 64 slots";
        figures.add(name, "reports/s", rate);
        let rate = self.many(8, 500, grids, time).await;
        let name = "PostgreSQL, 8 connections, 500 reports in a transaction";
        figures.add(name, "reports/s", rate);
    }

    async fn single(
        &mut self,
        connections: usize,
        slots: usize,
        grids: &[AreaCode],
        time: Duration,
    ) -> f64 {
        let grids: Arc<[_]> = grids.into();
        let work = |client: Client, number: usize, began: Instant| {
            let grids = Arc::clone(&grids);
            async move {
                let report = client.prepare(REPORT).await.unwrap();
                let slot = i16::try_from(number % slots).unwrap();
                let (bytes, mut done) = (vec![7_u8; EVENT_BYTES], 0_u64);
                while began.elapsed() < time {
                    let grid = grids[(number * 7 + usize::try_from(done).unwrap()) % grids.len()];
                    let [grid, community, street, district] = areas(grid);
                    let id = Uuid::now_v7();
                    let parameters: [&(dyn ToSql + Sync); 7] =
                        [&id, &grid, &community, &street, &district, &slot, &bytes];
                    client.execute(&report, &parameters).await.unwrap();
                    done += 1;
                }
                (client, done)
            }
        };
        load(&mut self.clients, connections, work).await
    }

    async fn many(
        &mut self,
        connections: usize,
        count: usize,
        grids: &[AreaCode],
        time: Duration,
    ) -> f64 {
        let grids: Arc<[_]> = grids.into();
        let work = |client: Client, number: usize, began: Instant| {
            let grids = Arc::clone(&grids);
            async move {
                let report = client.prepare(REPORT_MANY).await.unwrap();
                let bytes = vec![vec![7_u8; EVENT_BYTES]; count];
                let (mut next, mut done) = (number * 7, 0_u64);
                while began.elapsed() < time {
                    let ids: Vec<_> = (0..count).map(|_| Uuid::now_v7()).collect();
                    let mut counters = BTreeMap::new();
                    let mut filed_in = Vec::with_capacity(count);
                    for _ in 0..count {
                        next += 1;
                        let all = areas(grids[next % grids.len()]);
                        filed_in.push(all[0]);
                        for area in all {
                            // Longer codes are greater: the same order in all transactions, and the district last.
                            *counters.entry(Reverse(area)).or_insert(0_i64) += 1;
                        }
                    }
                    let named: Vec<_> = counters.keys().map(|area| area.0).collect();
                    let counts: Vec<_> = counters.into_values().collect();
                    let parameters: [&(dyn ToSql + Sync); 5] =
                        [&ids, &filed_in, &bytes, &named, &counts];
                    client.execute(&report, &parameters).await.unwrap();
                    done += count as u64;
                }
                (client, done)
            }
        };
        load(&mut self.clients, connections, work).await
    }
}

/// The codes of a grid and of what it lies in, up to the district.
fn areas(grid: AreaCode) -> [i64; 4] {
    let mut codes = grid
        .and_ancestors()
        .map(|area| area.as_str().parse().unwrap());
    std::array::from_fn(|_| codes.next().unwrap())
}

//! PostGIS answering in which grid a point lies.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use gridkeeper_district::{Area, District, coordinates::degrees};
use gridkeeper_proto::case::Point;
use tokio_postgres::Client;

use crate::{
    figures::Figures,
    postgres::{Postgres, load},
};

const TABLES: &str = "
    CREATE EXTENSION postgis;
    CREATE TABLE grid (code bigint NOT NULL, shape geometry(MultiPolygon, 4326) NOT NULL);
    CREATE TABLE point (number int NOT NULL, place geometry(Point, 4326) NOT NULL);
";
const INDEX: [&str; 3] = [
    "CREATE INDEX ON grid USING gist (shape)",
    "VACUUM ANALYZE grid",
    "VACUUM ANALYZE point",
];
/// Planned once and not at every question.
const PLAN_ONCE: &str = "SET plan_cache_mode = force_generic_plan";
const ONE: &str = "SELECT code FROM grid WHERE ST_Covers(shape, ST_Point($1, $2, 4326))";
const ALL: &str = "SELECT count(code) FROM point JOIN grid ON ST_Covers(shape, place)";
const COMPARE: &str =
    "SELECT number, min(code) FROM point LEFT JOIN grid ON ST_Covers(shape, place) GROUP BY number";
const CONNECTIONS: usize = 16;
/// How many shapes go in one statement.
const SHAPES: usize = 10_000;

/// A server with the shapes of a district's grids.
pub(super) struct Peer {
    clients: Vec<Client>,
    _server: Postgres,
}

impl Peer {
    /// Nothing where PostgreSQL or PostGIS is not installed.
    pub(super) async fn start(district: &District, points: &[Point]) -> Option<Self> {
        let server = Postgres::start().await?;
        let clients = server.connections(CONNECTIONS).await;
        let client = &clients[0];
        let available = "SELECT 1 FROM pg_available_extensions WHERE name = 'postgis'";
        if client.query_opt(available, &[]).await.unwrap().is_none() {
            eprintln!("PostGIS is missing: its figures are left out");
            return None;
        }
        client.batch_execute(TABLES).await.unwrap();
        fill(client, district, points).await;
        for statement in INDEX {
            client.batch_execute(statement).await.unwrap();
        }
        agree(client, district, points).await;
        for client in &clients {
            client.batch_execute(PLAN_ONCE).await.unwrap();
        }
        Some(Self {
            clients,
            _server: server,
        })
    }

    /// Measures each way once; gives points in a second of the best.
    pub(super) async fn measure(
        &mut self,
        grids: usize,
        points: &[Point],
        time: Duration,
        figures: &mut Figures,
    ) -> f64 {
        let mut best: f64 = 0.0;
        let mut add = |way: &str, rate: f64| {
            figures.add(&format!("{grids} grids: PostGIS, {way}"), "points/s", rate);
            best = best.max(rate);
        };
        for connections in [1, CONNECTIONS] {
            let rate = self.one_by_one(connections, points, time).await;
            add(&format!("one by one, {connections} connections"), rate);
        }
        add(
            "a table of points",
            self.all_at_once(points.len(), time).await,
        );
        best
    }

    async fn one_by_one(&mut self, connections: usize, points: &[Point], time: Duration) -> f64 {
        let points: Arc<[_]> = points.into();
        let work = |client: Client, number: usize, began: Instant| {
            let points = Arc::clone(&points);
            async move {
                let locate = client.prepare(ONE).await.unwrap();
                let (mut next, mut done) = (number * 997, 0_u64);
                while began.elapsed() < time {
                    let (x, y) = degrees(points[next % points.len()]);
                    let found = client.query(&locate, &[&x, &y]).await.unwrap();
                    assert!(!found.is_empty());
                    next += 1;
                    done += 1;
                }
                (client, done)
            }
        };
        load(&mut self.clients, connections, work).await
    }

    async fn all_at_once(&self, points: usize, time: Duration) -> f64 {
        let client = &self.clients[0];
        let locate = client.prepare(ALL).await.unwrap();
        let (began, mut done) = (Instant::now(), 0);
        while began.elapsed() < time {
            client.query_one(&locate, &[]).await.unwrap();
            done += points;
        }
        done as f64 / began.elapsed().as_secs_f64()
    }
}

async fn fill(client: &Client, district: &District, points: &[Point]) {
    let insert = "INSERT INTO grid SELECT code, ST_Multi(ST_GeomFromText(text, 4326)) \
        FROM unnest($1::bigint[], $2::text[]) AS shape (code, text)";
    let grids: Vec<_> = district.grids().map(Area::code).collect();
    for some in grids.chunks(SHAPES) {
        let codes: Vec<i64> = some
            .iter()
            .map(|code| code.as_str().parse().unwrap())
            .collect();
        let shape = |code| {
            let polygons = district.polygon(code).unwrap().iter();
            // The grids of a generated division have no holes.
            let rings = polygons.map(|polygon| {
                let corners = polygon.exterior().coords();
                let corners: Vec<_> = corners.map(|at| format!("{} {}", at.x, at.y)).collect();
                format!("(({}))", corners.join(","))
            });
            format!("MULTIPOLYGON({})", rings.collect::<Vec<_>>().join(","))
        };
        let shapes: Vec<String> = some.iter().map(|code| shape(*code)).collect();
        client.execute(insert, &[&codes, &shapes]).await.unwrap();
    }
    let insert = "INSERT INTO point SELECT number - 1, ST_Point(x, y, 4326) \
        FROM unnest($1::float8[], $2::float8[]) WITH ORDINALITY AS place (x, y, number)";
    let (x, y): (Vec<_>, Vec<_>) = points.iter().map(|point| degrees(*point)).unzip();
    client.execute(insert, &[&x, &y]).await.unwrap();
}

/// Both give the same answers.
async fn agree(client: &Client, district: &District, points: &[Point]) {
    for row in client.query(COMPARE, &[]).await.unwrap() {
        let (number, code): (i32, Option<i64>) = (row.get(0), row.get(1));
        let point = points[usize::try_from(number).unwrap()];
        let ours = district.locate(point).unwrap();
        assert_eq!(
            code.map(|code| code.to_string()).as_deref(),
            Some(ours.as_str()),
            "{point:?}"
        );
    }
}

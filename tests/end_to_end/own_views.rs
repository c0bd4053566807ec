//! `gridkeeper query` alone, with views of its own: one process that answers and keeps them.

use gridkeeper_tests::sample_district;

use crate::site::{Site, new_id, report};

const GRID: &str = "51040200200501";

#[tokio::test(flavor = "multi_thread")]
async fn the_query_service_alone_serves_cases_also_after_a_crash_and_rebuilds() {
    let mut site = Site::new(&sample_district()).await;
    for service in ["intake", "query"] {
        site.start(service);
        site.until_ready(service).await;
    }
    // The aggregator of the same process has its endpoint as ever.
    site.until_ready("aggregator").await;
    let filed = site.door().file(&[report(&new_id(), GRID)]).await.remove(0);
    let path = format!(
        "/v1/cases/{}/escalation?at_least={}",
        filed.case_id, filed.position
    );
    let status = site.answer(&path).await;
    assert_eq!(status["holder"]["area"], GRID);

    site.kill("query").await;
    site.start("query");
    site.until_ready("query").await;
    assert_eq!(site.answer(&path).await["holder"], status["holder"]);
    site.run(&["rebuild", "--diff"]).await;
    assert_eq!(site.answer(&path).await["holder"], status["holder"]);

    // The views have one process.
    let said = site.fails_elsewhere("aggregator").await;
    assert!(said.contains("GK0400"), "{said}");
}

//! What every service answers besides its own routes.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod service;

use axum::http::StatusCode;
use gridkeeper_http::Problem;
use serde_json::json;
use service::{Service, get};

#[tokio::test]
async fn request_ids_are_echoed_when_sane_and_made_when_not() {
    let service = Service::start();
    for (sent, echoed) in [
        ("phone-7.retry:2", true),
        ("", false),
        ("a b", false),
        ("x\"y", false),
    ] {
        let mut request = get("/healthz");
        request
            .headers_mut()
            .insert("x-request-id", sent.parse().unwrap());
        let id = service
            .call(request)
            .await
            .header("x-request-id")
            .to_owned();
        assert_eq!(id == sent, echoed, "{sent}: {id}");
        assert!(!id.is_empty());
    }
    let mut long = get("/nothing");
    long.headers_mut()
        .insert("x-request-id", "a".repeat(65).parse().unwrap());
    let id = service.call(long).await.header("x-request-id").to_owned();
    assert_eq!(uuid::Uuid::try_parse(&id).unwrap().get_version_num(), 7);
}

#[tokio::test]
async fn health_follows_the_age_of_the_position() {
    let service = Service::start();
    let both = async |service: &Service| {
        let health = service.call(get("/healthz")).await;
        let ready = service.call(get("/readyz")).await;
        (health.status.as_u16(), ready.status.as_u16())
    };
    assert_eq!(
        both(&service).await,
        (200, 503),
        "before the first position"
    );
    service.follower.progress(9, 9, service.now());
    assert_eq!(both(&service).await, (200, 200), "caught up");
    service.advance(40_000);
    assert_eq!(both(&service).await, (503, 503), "silent");
    service.follower.progress(10, 5_000, service.now());
    assert_eq!(both(&service).await, (200, 503), "behind, moving");
    let check = service.call(get("/readyz")).await.json()["checks"][0].clone();
    assert_eq!(
        (&check["name"], &check["behind_events"], &check["age_ms"]),
        (&json!("test follower"), &json!(4_990), &json!(0))
    );
    service
        .follower
        .failed(&gridkeeper_http::HttpError::Recorder);
    assert_eq!(both(&service).await, (503, 503), "failed");
    let report = service.call(get("/healthz")).await.json();
    assert_eq!(report["checks"][0]["code"], "GK0034");
}

#[tokio::test]
async fn metrics_count_requests_by_route_and_never_by_path() {
    let service = Service::start();
    service.follower.progress(42, 50, service.now());
    for area in ["510402", "510403"] {
        service.call(get(&format!("/areas/{area}"))).await;
    }
    service.call(get("/made/up/by/a/scanner")).await;
    let text = service.call(get("/metrics")).await.text();
    let counted = |labels: &str| {
        let name = format!("gridkeeper_http_request_duration_seconds_count{{{labels}}} ");
        text.lines()
            .find_map(|line| line.strip_prefix(&name))
            .map(|count| count.parse::<u32>().unwrap())
    };
    // The recorder belongs to the process, so other tests count here too.
    assert!(
        counted(r#"method="GET",route="/areas/{area}",status="200""#) >= Some(2),
        "{text}"
    );
    assert!(
        counted(r#"method="GET",route="none",status="404""#) >= Some(1),
        "{text}"
    );
    assert!(
        !text.contains("scanner") && !text.contains("510403"),
        "{text}"
    );
    for line in [
        "# TYPE gridkeeper_http_request_duration_seconds histogram",
        "gridkeeper_build_info{version=",
        "process_resident_memory_bytes ",
        "gridkeeper_follower_position{part=\"test follower\"} ",
    ] {
        assert!(text.contains(line), "{line} is missing in {text}");
    }
}

#[tokio::test]
async fn the_document_holds_own_and_standard_routes_problems_and_the_token() {
    let service = Service::start();
    let document = service.call(get("/openapi.json")).await.json();
    for path in [
        "/echo",
        "/healthz",
        "/readyz",
        "/metrics",
        "/openapi.json",
        "/errors/{code}",
    ] {
        assert!(document["paths"][path].is_object(), "{path}: {document}");
    }
    let components = &document["components"];
    assert_eq!(components["securitySchemes"]["bearer"]["scheme"], "bearer");
    assert_eq!(
        document["paths"]["/echo"]["post"]["security"],
        json!([{"bearer": []}])
    );
    let problem = &components["schemas"]["Problem"];
    for member in [
        "type",
        "title",
        "status",
        "code",
        "detail",
        "retry_after",
        "errors",
    ] {
        assert!(
            problem["properties"][member].is_object(),
            "{member}: {problem}"
        );
    }
    assert!(
        problem["additionalProperties"].get("type").is_none(),
        "{problem}"
    );
    let refused = &document["paths"]["/echo"]["post"]["responses"]["401"]["content"];
    let schema = json!({"$ref": "#/components/schemas/Problem"});
    assert_eq!(refused["application/problem+json"]["schema"], schema);
    assert_eq!(document, serde_json::to_value(service::document()).unwrap());
    let mut references = Vec::new();
    collect_references(&document, &mut references);
    for reference in references {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(
            document.pointer(pointer).is_some(),
            "{reference} leads nowhere"
        );
    }
}

fn collect_references(value: &serde_json::Value, found: &mut Vec<String>) {
    match value {
        serde_json::Value::Object(members) => {
            for (name, member) in members {
                match (name.as_str(), member) {
                    ("$ref", serde_json::Value::String(target)) => found.push(target.clone()),
                    _ => collect_references(member, found),
                }
            }
        }
        serde_json::Value::Array(items) => {
            items
                .iter()
                .for_each(|item| collect_references(item, found));
        }
        _ => {}
    }
}

#[tokio::test]
async fn the_type_of_a_problem_leads_to_its_page() {
    let service = Service::start();
    let problem = service.call(get("/nothing")).await.json();
    let page = service.call(get(problem["type"].as_str().unwrap())).await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.text().starts_with("# GK0030: "), "{}", page.text());
    assert!(page.header("content-type").starts_with("text/markdown"));
    for unknown in ["/errors/GK9999", "/errors/gk0030", "/errors/..%2FGK0030"] {
        assert_eq!(
            service.call(get(unknown)).await.code(),
            "GK0030",
            "{unknown}"
        );
    }
}

#[test]
fn a_problem_survives_its_json() {
    let code = gridkeeper_proto::code::Code(203);
    let problem = Problem::new(StatusCode::CONFLICT, code, "stale")
        .detail("why")
        .retry_after(3)
        .error("/a", "b")
        .with("row", 7);
    let text = serde_json::to_string(&problem).unwrap();
    let read: Problem = serde_json::from_str(&text).unwrap();
    assert_eq!(read, problem);
    assert_eq!(
        (read.code(), read.status(), read.get("row")),
        ("GK0203", StatusCode::CONFLICT, Some(&json!(7)))
    );
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(&text).unwrap()["type"],
        "/errors/GK0203"
    );
}

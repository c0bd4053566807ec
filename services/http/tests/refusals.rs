//! What a client gets for requests that are wrong, in one process without a network.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod service;

use axum::{body::Body, http::StatusCode};
use gridkeeper_proto::access::Role;
use serde_json::json;
use service::{Service, get, post};

#[tokio::test]
async fn a_good_request_is_answered() {
    let service = Service::start();
    let token = service.token(Role::Centre, "510402");
    let answer = service
        .call(post("/echo", Some(&token), r#"{"name":"网格","count":2}"#))
        .await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(
        answer.json(),
        json!({"by": "wang.li", "name": "网格", "count": 2})
    );
}

#[tokio::test]
async fn bodies_are_refused_each_for_its_own_reason() {
    let service = Service::start();
    let large = format!(
        r#"{{"name":"{}","count":1}}"#,
        "x".repeat(service::BODY_LIMIT)
    );
    let cases: [(&[u8], u16, &str); 11] = [
        (b"", 400, "GK0021"),
        (br#"{"name":"a","#, 400, "GK0021"),
        (br#"{"name":"a","count":1} {}"#, 400, "GK0021"),
        (br#"{"name":"a","count":1e999}"#, 400, "GK0021"),
        (b"{\"name\":\"\xff\xfe\",\"count\":1}", 400, "GK0023"),
        (br#"{"name":"a"}"#, 422, "GK0022"),
        (br#"{"name":"a","count":-1}"#, 422, "GK0022"),
        (br#"{"name":"a","count":1,"extra":true}"#, 422, "GK0022"),
        (br#"{"name":"a","name":"b","count":1}"#, 422, "GK0022"),
        (br#"[]"#, 422, "GK0022"),
        (large.as_bytes(), 413, "GK0024"),
    ];
    for (body, status, code) in cases {
        let answer = service.call(post("/open", None, body.to_vec())).await;
        let shown = String::from_utf8_lossy(&body[..body.len().min(60)]).into_owned();
        assert_eq!(
            (answer.status.as_u16(), answer.code().as_str()),
            (status, code),
            "{shown}"
        );
        assert_eq!(answer.header("content-type"), "application/problem+json");
        assert!(
            answer.json()["detail"]
                .as_str()
                .unwrap()
                .contains("Nothing was changed"),
            "{shown}"
        );
    }
}

#[tokio::test]
async fn a_wrong_shape_names_its_place_and_broken_grammar_its_line() {
    let service = Service::start();
    let body = r#"{"items":[{"a/b":1},{"a/b":"x"}]}"#;
    let answer = service.call(post("/nested", None, body)).await;
    assert_eq!(answer.json()["errors"][0]["pointer"], "/items/1/a~1b");

    let answer = service
        .call(post("/nested", None, "{\n  \"items\": [}"))
        .await;
    assert_eq!(
        (&answer.json()["line"], &answer.json()["column"]),
        (&json!(2), &json!(13))
    );
}

#[tokio::test]
async fn the_limit_of_a_route_is_told_and_can_differ() {
    let service = Service::start();
    let body = format!(
        r#"{{"name":"{}","count":1}}"#,
        "x".repeat(service::BODY_LIMIT)
    );
    let small = service.call(post("/open", None, body.clone())).await;
    assert_eq!(small.json()["limit_bytes"], service::BODY_LIMIT);
    let large = service.call(post("/large", None, body)).await;
    assert_eq!(large.status, StatusCode::OK);
}

#[tokio::test]
async fn only_json_is_taken_as_json() {
    let service = Service::start();
    let body = r#"{"name":"a","count":1}"#;
    for (media, fine) in [
        ("application/json", true),
        ("application/json; charset=utf-8", true),
        ("Application/JSON", true),
        ("application/vnd.gridkeeper+json", true),
        ("text/plain", false),
        ("application/jsonx", false),
        ("", false),
    ] {
        let mut request = post("/open", None, body);
        request
            .headers_mut()
            .insert("content-type", media.parse().unwrap());
        let answer = service.call(request).await;
        assert_eq!(answer.status == StatusCode::OK, fine, "{media}");
        if !fine {
            assert_eq!(
                (answer.status.as_u16(), answer.code().as_str()),
                (415, "GK0020"),
                "{media}"
            );
        }
    }
}

#[tokio::test]
async fn paths_and_queries_are_typed() {
    let service = Service::start();
    let fine = service.call(get("/areas/510402?limit=5")).await;
    assert_eq!(fine.json(), json!({"area": "510402", "limit": 5}));
    for (uri, code) in [
        ("/areas/5104", "GK0025"),
        ("/areas/%FF", "GK0025"),
        ("/areas/510402?limit=x", "GK0026"),
        ("/areas/510402?limit=-1", "GK0026"),
        ("/areas/510402?limit=1&limit=2", "GK0026"),
        ("/areas/510402?limt=1", "GK0026"),
    ] {
        let answer = service.call(get(uri)).await;
        assert_eq!(
            (answer.status.as_u16(), answer.code().as_str()),
            (400, code),
            "{uri}"
        );
    }
    let named = service.call(get("/areas/510402?limt=1")).await;
    assert!(
        named.json()["detail"].as_str().unwrap().contains("limt"),
        "{:?}",
        named.json()
    );
}

#[tokio::test]
async fn the_bearer_is_who_the_token_names_while_it_holds() {
    let service = Service::start();
    let token = service.token(Role::Centre, "510402");
    let body = r#"{"name":"a","count":1}"#;
    let authorized = |value: &str| {
        let mut request = post("/echo", None, body);
        request
            .headers_mut()
            .insert("authorization", value.parse().unwrap());
        request
    };
    let (message, signature) = token.rsplit_once('.').unwrap();
    let forged = format!("{message}.{}", signature.chars().rev().collect::<String>());
    let forged = format!("{}A", &forged[..forged.len() - 1]);
    for (value, code) in [
        ("", "GK0001"),
        ("Bearer", "GK0001"),
        ("Basic dTpw", "GK0001"),
        ("Bearer x", "GK0002"),
        (&format!("Bearer {forged}"), "GK0003"),
        (&format!("Bearer {token} {token}"), "GK0002"),
    ] {
        let answer = service.call(authorized(value)).await;
        assert_eq!(
            (answer.status.as_u16(), answer.code().as_str()),
            (401, code),
            "{value}"
        );
        assert!(
            answer.header("www-authenticate").starts_with("Bearer"),
            "{value}"
        );
    }
    let mut twice = authorized(&format!("Bearer {token}"));
    twice
        .headers_mut()
        .append("authorization", "Bearer x".parse().unwrap());
    assert_eq!(service.call(twice).await.code(), "GK0002");

    for scheme in ["Bearer", "bearer", "BEARER"] {
        assert_eq!(
            service
                .call(authorized(&format!("{scheme} {token}")))
                .await
                .status,
            StatusCode::OK
        );
    }
    service.advance(3_600_000);
    assert_eq!(
        service
            .call(authorized(&format!("Bearer {token}")))
            .await
            .code(),
        "GK0004"
    );
}

#[tokio::test]
async fn an_area_that_is_not_the_bearers_is_forbidden() {
    let service = Service::start();
    let token = service.token(Role::Street, "510402002");
    for (area, status) in [("510402002005", 200), ("510402003", 403)] {
        let mut request = get(&format!("/mine/{area}"));
        request
            .headers_mut()
            .insert("authorization", format!("Bearer {token}").parse().unwrap());
        assert_eq!(
            service.call(request).await.status.as_u16(),
            status,
            "{area}"
        );
    }
}

#[tokio::test]
async fn unknown_addresses_and_methods_are_problems() {
    let service = Service::start();
    let nothing = service.call(get("/nothing/here")).await;
    assert_eq!(
        (nothing.status.as_u16(), nothing.code().as_str()),
        (404, "GK0030")
    );

    let method = service.call(get("/open")).await;
    assert_eq!(
        (method.status.as_u16(), method.code().as_str()),
        (405, "GK0031")
    );
    assert_eq!(method.header("allow"), "POST");
    let standard = service.call(post("/healthz", None, Body::empty())).await;
    assert_eq!(
        (standard.code().as_str(), standard.header("allow")),
        ("GK0031", "GET,HEAD")
    );
}

#[tokio::test]
async fn a_panic_is_a_500_that_tells_nothing_and_the_next_request_is_served() {
    let service = Service::start();
    let answer = service.call(get("/panic")).await;
    assert_eq!(
        (answer.status.as_u16(), answer.code().as_str()),
        (500, "GK0033")
    );
    assert!(!answer.text().contains("secret"), "{}", answer.text());
    assert!(!answer.header("x-request-id").is_empty());
    assert_eq!(
        service.call(get("/areas/510402")).await.status,
        StatusCode::OK
    );
}

#[tokio::test(start_paused = true)]
async fn a_request_that_takes_too_long_is_given_up_with_a_time_to_try_again() {
    let service = Service::start();
    let answer = service.call(get("/never")).await;
    assert_eq!(
        (answer.status.as_u16(), answer.code().as_str()),
        (503, "GK0032")
    );
    assert_eq!(answer.header("retry-after"), "1");
    assert_eq!(answer.json()["retry_after"], 1);
}

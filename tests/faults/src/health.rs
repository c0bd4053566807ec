//! What the services say of themselves.

use std::collections::{BTreeMap, BTreeSet};

use gridkeeper_tests::installation::{ENDPOINTS, Installation};
use serde_json::Value;

use crate::client::Client;

/// How an endpoint says it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Health {
    /// Ready, and at the end of the log.
    Green,
    /// Red, with these codes.
    Red(BTreeSet<String>),
    /// Neither: what it says instead.
    Wordless(String),
}

/// How all endpoints say they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct State(BTreeMap<&'static str, Health>);

impl State {
    /// Asks all endpoints.
    pub(crate) async fn of(client: &Client, installation: &mut Installation) -> Self {
        let mut state = BTreeMap::new();
        for endpoint in ENDPOINTS {
            // The aggregator runs in the process of the query service.
            let process = if endpoint == "aggregator" {
                "query"
            } else {
                endpoint
            };
            let health = match client.health(&installation.url(endpoint)).await {
                Some(report) => health(&report),
                None => match installation.ended(process) {
                    Some((status, said)) => ended(&status.to_string(), &said),
                    None => Health::Wordless("it does not answer".to_owned()),
                },
            };
            state.insert(endpoint, health);
        }
        Self(state)
    }

    pub(crate) fn is_green(&self) -> bool {
        self.0.values().all(|health| *health == Health::Green)
    }

    /// Whether one is red with a code.
    pub(crate) fn is_red(&self) -> bool {
        self.0
            .values()
            .any(|health| matches!(health, Health::Red(_)))
    }

    /// Whether one is neither green nor red with a code.
    pub(crate) fn is_wordless(&self) -> bool {
        let mut all = self.0.values();
        all.any(|health| matches!(health, Health::Wordless(_)))
    }

    /// Whether the endpoint is red with a code.
    pub(crate) fn is_red_at(&self, endpoint: &str) -> bool {
        matches!(self.0.get(endpoint), Some(Health::Red(_)))
    }

    /// All in a line.
    pub(crate) fn line(&self) -> String {
        let all = self.0.iter().map(|(endpoint, health)| match health {
            Health::Green => format!("{endpoint} green"),
            Health::Red(codes) => {
                let codes: Vec<_> = codes.iter().map(String::as_str).collect();
                format!("{endpoint} {}", codes.join("+"))
            }
            Health::Wordless(said) => format!("{endpoint} without a code ({said})"),
        });
        all.collect::<Vec<_>>().join(", ")
    }
}

fn health(report: &Value) -> Health {
    let checks = report["checks"].as_array().cloned().unwrap_or_default();
    let codes: BTreeSet<_> = checks
        .iter()
        .filter_map(|check| check["code"].as_str().map(str::to_owned))
        .collect();
    if !codes.is_empty() {
        return Health::Red(codes);
    }
    let waiting = checks.iter().find(|check| {
        check["ok"] != true || check["ready"] != true || check["behind_events"].as_u64() > Some(0)
    });
    match waiting {
        None if report["ok"] == true && report["ready"] == true => Health::Green,
        None => Health::Wordless(report.to_string()),
        Some(check) => Health::Wordless(check["detail"].as_str().unwrap_or_default().to_owned()),
    }
}

fn ended(status: &str, said: &str) -> Health {
    let codes = codes_in(said);
    match codes.is_empty() {
        true => Health::Wordless(format!("it ended: {status}")),
        false => Health::Red(codes),
    }
}

/// The codes that a text names.
pub(crate) fn codes_in(text: &str) -> BTreeSet<String> {
    let pieces = text.match_indices("GK").filter_map(|(at, _)| {
        let code = text.get(at..at + 6)?;
        let digits = code[2..].chars().all(|digit| digit.is_ascii_digit());
        digits.then(|| code.to_owned())
    });
    pieces.collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn behind_the_log_is_not_green_and_a_code_is_red() {
        let check = json!({ "ok": true, "ready": true, "behind_events": 0, "detail": "caught up" });
        let mut report = json!({ "ok": true, "ready": true, "checks": [check] });
        assert_eq!(health(&report), Health::Green);
        report["checks"][0]["behind_events"] = json!(2);
        assert!(matches!(health(&report), Health::Wordless(_)));
        report["checks"][0]["code"] = json!("GK0308");
        assert_eq!(health(&report), Health::Red(["GK0308".to_owned()].into()));
    }

    #[test]
    fn codes_are_found_in_what_a_process_said() {
        let codes = codes_in("error GK0301: stream; see GK03, GK0301");
        assert_eq!(codes, ["GK0301".to_owned()].into());
    }
}

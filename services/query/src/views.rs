//! The views that questions are answered from: those of this process, or those of aggregators, asked over the broker.

use std::time::Duration;

use async_nats::{Client, ConnectOptions, Request};
use gridkeeper_districtviews::KeptHere;
use gridkeeper_proto::{
    area::AreaCode,
    case::Case,
    envelope::Position,
    id::CaseId,
    time::Day,
    view::{
        AreaDays, AreaSummary, CaseFilter, CasePage, CaseView, DayRollup, EscalationFilter,
        ViewAnswer, ViewQuestion, ViewReply, ViewRequest,
    },
};
use metrics::Histogram;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::{Error, Options};

const ASKED: &str = "gridkeeper_query_views_duration_seconds";

/// How fresh an answer has to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct Freshness {
    /// Answer from views that hold at least this position; a receipt names it.
    #[serde(default)]
    pub(crate) at_least: Position,
    /// How long to wait for it, in milliseconds.
    pub(crate) wait_ms: Option<u32>,
}

/// The way to the views.
pub(crate) struct Views {
    way: Way,
    /// How long questions took.
    asked: Histogram,
    wait_ms: u32,
    wait_limit_ms: u32,
}

/// To views of this process, or of aggregators.
enum Way {
    Own(KeptHere),
    Aggregators(Aggregators),
}

/// Aggregators of a district on a broker.
struct Aggregators {
    client: Client,
    district: AreaCode,
    answer_timeout: Duration,
}

impl Aggregators {
    async fn connect(options: &Options, district: AreaCode) -> Result<Self, Error> {
        let client = ConnectOptions::new()
            .name("gridkeeper query")
            .ping_interval(Duration::from_secs(2))
            // A broker that is not there yet is waited for, like one that restarts.
            .retry_on_initial_connect()
            .connect(&options.nats_url)
            .await
            .map_err(|error| Error::Broker {
                detail: error.to_string(),
            })?;
        Ok(Self {
            client,
            district,
            answer_timeout: options.answer_timeout(),
        })
    }

    async fn reply(&self, request: &ViewRequest) -> Result<ViewReply, Error> {
        let limit = self.answer_timeout + Duration::from_millis(request.wait_ms.into());
        let asked = Request::new()
            .payload(request.encode().into())
            .timeout(Some(limit));
        let message = self
            .client
            .send_request(ViewRequest::subject(self.district), asked)
            .await
            .map_err(|error| Error::NoAggregator {
                detail: error.to_string(),
            })?;
        Ok(ViewReply::decode(&message.payload)?)
    }
}

impl Views {
    /// Views of this process where some are given, else those of aggregators.
    pub(crate) async fn of(
        own: Option<KeptHere>,
        options: &Options,
        district: AreaCode,
    ) -> Result<Self, Error> {
        Ok(Self {
            way: match own {
                Some(own) => Way::Own(own),
                None => Way::Aggregators(Aggregators::connect(options, district).await?),
            },
            asked: metrics::histogram!(ASKED),
            wait_ms: options.wait_ms,
            wait_limit_ms: options.wait_limit_ms,
        })
    }

    /// The answer and the position it is of.
    pub(crate) async fn ask(
        &self,
        fresh: Freshness,
        question: ViewQuestion,
    ) -> Result<(Position, ViewAnswer), Error> {
        let wait_ms = fresh
            .wait_ms
            .unwrap_or(self.wait_ms)
            .min(self.wait_limit_ms);
        let request = ViewRequest {
            at_least: fresh.at_least,
            wait_ms,
            question,
        };
        let began = tokio::time::Instant::now();
        let reply = match &self.way {
            Way::Own(views) => {
                let reply = views.reply(request).await;
                reply.ok_or_else(|| Error::NoAggregator {
                    detail:
                        "the views of this process have not caught up with the log, or are closed"
                            .to_owned(),
                })?
            }
            Way::Aggregators(aggregators) => aggregators.reply(&request).await?,
        };
        self.asked.record(began.elapsed().as_secs_f64());
        Ok((reply.position, reply.answer?))
    }

    pub(crate) async fn case(
        &self,
        fresh: Freshness,
        id: CaseId,
    ) -> Result<(Position, Option<Box<CaseView>>), Error> {
        match self.ask(fresh, ViewQuestion::Case(id)).await? {
            (position, ViewAnswer::Case(case)) => Ok((position, case)),
            _ => Err(Error::OtherAnswer),
        }
    }

    pub(crate) async fn cases(
        &self,
        fresh: Freshness,
        filter: CaseFilter,
    ) -> Result<(Position, CasePage), Error> {
        page(self.ask(fresh, ViewQuestion::Cases(filter)).await?)
    }

    pub(crate) async fn escalations(
        &self,
        fresh: Freshness,
        filter: EscalationFilter,
    ) -> Result<(Position, CasePage), Error> {
        page(self.ask(fresh, ViewQuestion::Escalations(filter)).await?)
    }

    pub(crate) async fn summaries(
        &self,
        fresh: Freshness,
        areas: Vec<AreaCode>,
    ) -> Result<(Position, Vec<(AreaCode, AreaSummary)>), Error> {
        match self.ask(fresh, ViewQuestion::Summaries(areas)).await? {
            (position, ViewAnswer::Summaries(summaries)) => Ok((position, summaries)),
            _ => Err(Error::OtherAnswer),
        }
    }

    pub(crate) async fn spans(
        &self,
        fresh: Freshness,
        areas: Vec<AreaCode>,
        (from, to): (Day, Day),
    ) -> Result<(Position, Vec<(AreaCode, DayRollup)>), Error> {
        let asked = areas.len();
        match self
            .ask(fresh, ViewQuestion::Spans(areas, from, to))
            .await?
        {
            (position, ViewAnswer::Spans(spans)) if spans.len() == asked => Ok((position, spans)),
            _ => Err(Error::OtherAnswer),
        }
    }

    pub(crate) async fn days(
        &self,
        fresh: Freshness,
        area: AreaCode,
        (from, to): (Day, Day),
    ) -> Result<(Position, AreaDays), Error> {
        let question = ViewQuestion::Days(vec![area], from, to);
        match self.ask(fresh, question).await? {
            (position, ViewAnswer::Days(mut days)) if days.len() == 1 => {
                Ok((position, days.remove(0)))
            }
            _ => Err(Error::OtherAnswer),
        }
    }
}

fn page(answer: (Position, ViewAnswer)) -> Result<(Position, CasePage), Error> {
    match answer {
        (position, ViewAnswer::Cases(page)) => Ok((position, page)),
        _ => Err(Error::OtherAnswer),
    }
}

/// Where the next page of a list of cases begins.
pub(crate) fn last_case(page: &CasePage) -> Option<&Case> {
    page.cases
        .last()
        .filter(|_| page.more)
        .map(|view| &view.case)
}

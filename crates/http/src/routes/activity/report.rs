use actix_web::web::Data;
use actix_web::{HttpResponse, post};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use subtle_application::Ports;
use subtle_application::activity::{self, NewActivity, ReportActivityError};
use subtle_domain::ids::{ActivityId, UserId};
use subtle_domain::text::Label;
use utoipa::ToSchema;

use crate::problem::{ApiError, FieldErrors};
use crate::request::{ActivityWrite, Program, Repeat, document, parse_item};
use crate::routes::dto::EventResult;

/// Most events of one request.
const MOST: usize = 1_000;
/// Most bytes of what one carries.
const MOST_DATA: usize = 16_384;

/// What happened on people's accounts.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::routes) struct ActivityEvents {
    /// 1 to 1,000 events, each judged on its own.
    #[schema(value_type = Vec<ActivityEventDto>, min_items = 1, max_items = 1000)]
    events: Vec<Box<RawValue>>,
}

/// Something that happened on an account.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schema(as = ActivityEvent)]
struct ActivityEventDto {
    /// On whose account.
    #[schema(example = "cmb3x0f5e0000abcd1234efgh")]
    user_id: String,
    /// What happened: 1 to 100 characters.
    #[schema(example = "export")]
    action: String,
    /// What is worth knowing about it: any JSON of at most 16,384 bytes. The person sees it.
    #[schema(value_type = Option<serde_json::Value>, example = json!({"format": "pdf"}))]
    data: Option<Box<RawValue>>,
}

impl ActivityEventDto {
    /// Takes an event as it was sent, or tells what is wrong with it.
    fn parse(json: &str) -> Result<NewActivity, String> {
        parse_item::<Self>(json.as_bytes())?.into_event().map_err(|error| error.detail())
    }

    fn into_event(self) -> Result<NewActivity, ApiError> {
        let mut errors = FieldErrors::default();
        let user_id = errors.take("userId", UserId::parse(&self.user_id));
        let action = errors.take("action", Label::parse(&self.action));
        let data =
            errors.take("data", self.data.as_deref().map(|data| document(data, MOST_DATA)).transpose());
        match (user_id, action, data) {
            (Some(user_id), Some(action), Some(data)) => Ok(NewActivity { user_id, action, data }),
            _ => Err(errors.into()),
        }
    }
}

/// What became of the events.
#[derive(Default, Serialize, ToSchema)]
pub(in crate::routes) struct ReportedActivity {
    /// Written.
    #[schema(example = 2)]
    accepted: usize,
    /// Not written: of unknown users, or with unfit values.
    #[schema(example = 0)]
    rejected: usize,
    /// Of each, in their order.
    results: Vec<EventResult>,
}

impl ReportedActivity {
    fn add(&mut self, outcome: Result<ActivityId, String>) {
        let index = self.results.len();
        self.results.push(match outcome {
            Ok(id) => {
                self.accepted += 1;
                EventResult::new(index, "accepted", Some(id.to_string()), None)
            }
            Err(why) => {
                self.rejected += 1;
                EventResult::new(index, "rejected", None, Some(why))
            }
        });
    }
}

/// Tell what happened on people's accounts.
///
/// For service keys of the scope `activity:write`. The answer comes after the commit. With an `Idempotency-Key` the same request is
/// answered as the first time, and written once.
#[utoipa::path(
    operation_id = "reportActivity",
    tag = "activity",
    params(("Idempotency-Key" = Option<String>, Header, description = "1 to 255 printable ASCII characters")),
    request_body = ActivityEvents,
    responses(
        (status = 200, description = "What became of each event", body = ReportedActivity),
        (status = 403, description = "The key lacks the scope"),
    ),
    security(("serviceKey" = []))
)]
#[post("/v1/activity")]
pub(in crate::routes) async fn report(
    ports: Data<Ports>,
    Program { by, asked: Repeat { body, request }, .. }: Program<ActivityWrite, Repeat<ActivityEvents>>,
) -> Result<HttpResponse, ApiError> {
    if !(1..=MOST).contains(&body.events.len()) {
        let mut errors = FieldErrors::default();
        errors.note("events", format!("must be 1 to {MOST}"));
        return Err(errors.into());
    }
    let mut fit = Vec::with_capacity(body.events.len());
    let parsed = body.events.iter().map(|event| ActivityEventDto::parse(event.get()));
    let refusals: Vec<Option<String>> =
        parsed.map(|event| event.map(|event| fit.push(event)).err()).collect();
    let render = |rows: &[Option<ActivityId>]| {
        let mut rows = rows.iter();
        let mut told = ReportedActivity::default();
        for refusal in &refusals {
            told.add(if let Some(why) = refusal {
                Err(why.clone())
            } else {
                let row = rows.next().cloned().flatten();
                row.ok_or_else(|| "userId: there is no such account".to_owned())
            });
        }
        serde_json::to_string(&told).unwrap_or_default()
    };
    let answer = activity::report_activity(&ports, &by, fit, request, &render).await?;
    Ok(HttpResponse::Ok().content_type("application/json").body(answer))
}

impl From<ReportActivityError> for ApiError {
    fn from(error: ReportActivityError) -> Self {
        match error {
            ReportActivityError::KeyTaken(_) => Self::KeyTaken,
            ReportActivityError::Store(store) => Self::Store(store),
        }
    }
}

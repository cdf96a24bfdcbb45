use bigdecimal::BigDecimal;
use serde::Deserialize;
use subtle_application::usage::NewUsageEvent;
use subtle_domain::ids::UserId;
use subtle_domain::money::Cost;
use subtle_domain::text::{IdempotencyKey, Label};
use subtle_domain::usage::{Count, Usage};
use utoipa::ToSchema;

use crate::problem::{ApiError, FieldErrors};
use crate::request::parse_item;
use crate::routes::dto::moment;

/// A cost as it is sent: with its ten decimals.
pub(in crate::routes) fn cost(value: &BigDecimal) -> String {
    subtle_domain::decimal::print(value, Cost::SCALE)
}

/// Usage of an AI backend.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schema(as = UsageEvent)]
pub(super) struct EventDto {
    /// Who used it.
    #[schema(example = "cmb3x0f5e0000abcd1234efgh")]
    user_id: String,
    /// Requests made: 0 to 2³¹ − 1; one, if it is not said.
    #[schema(example = 1, minimum = 0, maximum = 2_147_483_647)]
    request_count: Option<i64>,
    /// Tokens read and written: 0 to 2³¹ − 1.
    #[schema(example = 200, minimum = 0, maximum = 2_147_483_647)]
    total_tokens: i64,
    /// US dollars: a plain decimal of up to ten digits before and ten after the point.
    #[schema(example = "0.00003")]
    total_cost: String,
    /// What for: 1 to 100 characters.
    #[schema(example = "chat")]
    feature_type: Option<String>,
    /// Under which the event counts once for ever: 1 to 255 printable ASCII characters.
    #[schema(example = "req-8f14e45f")]
    idempotency_key: Option<String>,
    /// When it happened, from 1970 to 9999; now, if it is not said.
    #[schema(format = DateTime, example = "2026-11-25T08:00:00Z")]
    occurred_at: Option<String>,
}

impl EventDto {
    /// Takes an event as it was sent, or tells what is wrong with it.
    pub(super) fn parse(json: &[u8]) -> Result<NewUsageEvent, String> {
        parse_item::<Self>(json)?.into_event().map_err(|error| error.detail())
    }

    fn into_event(self) -> Result<NewUsageEvent, ApiError> {
        let mut errors = FieldErrors::default();
        let user_id = errors.take("userId", UserId::parse(&self.user_id));
        let amounts = Amounts {
            request_count: self.request_count,
            total_tokens: Some(self.total_tokens),
            total_cost: Some(self.total_cost),
        };
        let usage = amounts.into_usage(&mut errors);
        let feature = errors.take("featureType", self.feature_type.as_deref().map(Label::parse).transpose());
        let key = self.idempotency_key.as_deref().map(IdempotencyKey::parse).transpose();
        let key = errors.take("idempotencyKey", key);
        let at = errors.take("occurredAt", self.occurred_at.as_deref().map(moment).transpose());
        match (user_id, usage, feature, key, at) {
            (Some(user_id), Some(usage), Some(feature), Some(key), Some(at)) => {
                Ok(NewUsageEvent { user_id, usage, feature, key, at })
            }
            _ => Err(errors.into()),
        }
    }
}

/// An amount of usage, as it is sent.
pub(in crate::routes) struct Amounts {
    pub(in crate::routes) request_count: Option<i64>,
    pub(in crate::routes) total_tokens: Option<i64>,
    pub(in crate::routes) total_cost: Option<String>,
}

impl Amounts {
    /// The amount: one request, and no tokens and cost, where nothing is said.
    pub(in crate::routes) fn into_usage(self, errors: &mut FieldErrors) -> Option<Usage> {
        let requests = errors.take("requestCount", Count::new(self.request_count.unwrap_or(1)));
        let tokens = errors.take("totalTokens", Count::new(self.total_tokens.unwrap_or(0)));
        let cost = errors.take("totalCost", Cost::parse(self.total_cost.as_deref().unwrap_or("0")));
        Some(Usage { requests: requests?, tokens: tokens?, cost: cost? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(fields: &str) -> Result<NewUsageEvent, String> {
        EventDto::parse(format!(r#"{{"userId":"ada","totalTokens":1,{fields}}}"#).as_bytes())
    }

    #[test]
    fn an_event_is_taken_to_the_last_digit() {
        let event = told(r#""totalCost":"0.0000000001","occurredAt":"9999-12-31T23:59:59.9999Z""#).unwrap();
        assert_eq!(event.usage.cost.to_string(), "0.0000000001");
        assert_eq!(event.usage.requests.get(), 1);
        assert_eq!(event.at.unwrap().to_rfc3339(), "9999-12-31T23:59:59.999+00:00");
    }

    #[test]
    fn a_leap_second_is_the_first_of_the_next_minute() {
        let event = told(r#""totalCost":"0","occurredAt":"2016-12-31T23:59:60.5Z""#).unwrap();
        assert_eq!(event.at.unwrap().to_rfc3339(), "2017-01-01T00:00:00.500+00:00");
    }

    #[test]
    fn what_does_not_fit_is_told_by_its_field() {
        for (fields, field) in [
            (r#""totalCost":1"#, "totalCost: is of the wrong type"),
            (r#""totalCost":"1e-7""#, "totalCost: must be a plain decimal"),
            (r#""totalCost":"0.00000000001""#, "totalCost: must have at most 10 digits after"),
            (r#""totalCost":"NaN""#, "totalCost: "),
            (r#""totalCost":"1","requestCount":-1"#, "requestCount: must be a whole number"),
            (r#""totalCost":"1","requestCount":2147483648"#, "requestCount: must be a whole number"),
            (r#""totalCost":"1","featureType":"""#, "featureType: must not be blank"),
            (r#""totalCost":"1","idempotencyKey":"ä""#, "idempotencyKey: must be 1 to 255"),
            (r#""totalCost":"1","occurredAt":"1969-12-31T23:59:59Z""#, "occurredAt: must be a time"),
            (r#""totalCost":"1","occurredAt":"9999-12-31T23:59:60Z""#, "occurredAt: must be a time"),
            (r#""totalCost":"1","occurredAt":"yesterday""#, "occurredAt: must be a time"),
            (r#""totalCost":"1","role":"admin""#, "role: is not a field"),
            (r#""totalCost":"1\u0000""#, "totalCost: must not contain NUL"),
        ] {
            let why = told(fields).unwrap_err();
            assert!(why.starts_with(field), "{fields}: {why}");
        }
    }
}

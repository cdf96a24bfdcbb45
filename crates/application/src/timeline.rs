use subtle_domain::Timestamp;
use subtle_domain::activity::{ActivityAction, ActivityEntry};
use subtle_domain::ids::UserId;
use subtle_domain::session::ClientInfo;

use crate::Ports;

impl Ports {
    /// Leaves a row in the user's timeline, with what the client told of itself.
    pub(crate) fn record(&self, user: &UserId, action: ActivityAction, client: &ClientInfo, now: Timestamp) {
        self.record_why(user, action, None, client, now);
    }

    /// As [`Ports::record`], for a refusal with its reason.
    pub(crate) fn record_why(
        &self,
        user: &UserId,
        action: ActivityAction,
        reason: Option<&str>,
        client: &ClientInfo,
        now: Timestamp,
    ) {
        let details = [
            ("reason", reason.map(str::to_owned)),
            ("ipAddress", client.ip_address.map(|address| address.to_string())),
            ("userAgent", client.user_agent.clone()),
        ];
        self.activity.record(ActivityEntry {
            id: self.ids.activity_id(),
            user_id: user.clone(),
            action,
            details: details.into_iter().filter_map(|(name, value)| Some((name, value?))).collect(),
            at: now,
        });
    }
}

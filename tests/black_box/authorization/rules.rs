use crate::support::Operation;

/// Whom an operation is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Who {
    /// Whoever can reach the server.
    Anybody,
    /// Who has an account, for what is their own.
    SignedIn,
    /// Who has the role `support` or `admin`.
    Staff,
    /// Who has the role `admin`.
    Administrators,
    /// Who has a service key.
    Programs,
    /// Who has a service key, or the role `admin`.
    Billers,
}

/// The rule of an operation. A new one outside of these needs a line here, on purpose.
pub(super) fn rule(operation: &Operation) -> Who {
    match (operation.method.as_str(), operation.path.as_str()) {
        (
            "POST",
            "/v1/auth/register"
            | "/v1/auth/login"
            | "/v1/auth/second-factor"
            | "/v1/auth/refresh"
            | "/v1/auth/logout"
            | "/v1/bridge-tokens/redeem"
            | "/v1/auth/verify-email"
            | "/v1/auth/verify-email/resend"
            | "/v1/auth/password-reset"
            | "/v1/auth/password-reset/confirm",
        )
        | ("GET", "/health/live" | "/health/ready" | "/metrics" | "/.well-known/jwks.json") => Who::Anybody,
        ("POST", "/v1/auth/reauthenticate") => Who::SignedIn,
        (_, path) if path == "/v1/me" || path.starts_with("/v1/me/") => Who::SignedIn,
        ("POST", "/v1/bridge-tokens") => Who::SignedIn,
        (_, path) if path.starts_with("/v1/sync/") => Who::SignedIn,
        (
            "GET",
            "/v1/admin/billing"
            | "/v1/admin/notes"
            | "/v1/admin/audit-logs"
            | "/v1/admin/users/{id}/notes"
            | "/v1/admin/users/{id}/sessions"
            | "/v1/admin/users/{id}/timeline"
            | "/v1/admin/users/{id}/activity"
            | "/v1/admin/users/{id}/usage"
            | "/v1/admin/users/{id}/usage/summary"
            | "/v1/admin/users/{id}/quota"
            | "/v1/admin/users/{id}/billing",
        )
        | ("POST", "/v1/admin/users/{id}/notes")
        | ("PATCH", "/v1/admin/notes/{id}") => Who::Staff,
        (_, path) if path.starts_with("/v1/admin/") => Who::Administrators,
        (_, path) if path == "/v1/activity" || path.starts_with("/v1/usage/") => Who::Programs,
        ("POST", path) if path == "/v1/billing" || path.starts_with("/v1/billing/") => Who::Billers,
        (method, path) => panic!("{method} {path} has no rule: who may call it?"),
    }
}

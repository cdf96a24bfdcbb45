//! What support and administrators do with others' accounts. Each change and its audit entry commit together.

mod authorize;
mod change_quota;
mod change_user;
mod create_admin;
mod end_sessions;
mod look;
mod person;
mod remove_second_factor;

pub use authorize::{Forbidden, Privilege, Privileged, authorize};
pub use change_quota::{ChangeQuotaError, LimitChange, change_quota};
pub use change_user::{ChangeUserError, change_user, disable_user, enable_user, erase_user};
pub use create_admin::{CreateAdmin, CreateAdminError, CreatedAdmin, create_admin};
pub use end_sessions::{EndSessionsError, end_user_session, end_user_sessions};
pub use look::{
    AuditPage, inspect_database, list_all_billing, list_audit, list_user_activity, list_user_billing,
    list_user_sessions, list_user_usage, list_users, show_stats, show_user, show_user_quota,
    summarize_user_usage,
};
pub use person::{PersonPage, show_person};
pub use remove_second_factor::{RemoveSecondFactorError, remove_user_second_factor};

pub(crate) use look::is_there;

#[cfg(test)]
pub(crate) use authorize::tests;

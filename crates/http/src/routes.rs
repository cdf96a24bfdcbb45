//! The routes, a file per resource: DTOs, handlers and their documentation together.

use utoipa_actix_web::service_config::ServiceConfig;

mod activity;
mod admin_stats;
mod admin_users;
mod audit_logs;
mod auth;
mod billing;
mod bridge;
mod database;
mod dto;
mod export;
mod health;
mod jwks;
mod letters;
mod me;
mod metrics;
mod notes;
mod outcomes;
mod quotas;
mod reservations;
mod second_factor;
mod service_keys;
mod sessions;
mod sync;
mod timeline;
mod usage;

pub use admin_users::UserList;
pub(crate) use database::DatabaseDto;
pub(crate) use quotas::QuotaDto;
pub(crate) use second_factor::ChallengeDto;

/// Puts every documented route in its place. They are tried one after the other, and those with a gap in their path by a regular expression: so
/// these come last.
pub(crate) fn all(config: &mut ServiceConfig<'_>) {
    config
        .service(auth::register)
        .service(auth::login)
        .service(second_factor::complete_login)
        .service(auth::refresh)
        .service(auth::logout)
        .service(auth::reauthenticate)
        .service(letters::verify)
        .service(letters::resend)
        .service(letters::request_reset)
        .service(letters::confirm_reset)
        .service(me::show)
        .service(me::change)
        .service(me::erase)
        .service(me::change_password)
        .service(second_factor::show)
        .service(second_factor::enrol)
        .service(second_factor::confirm)
        .service(second_factor::replace_codes)
        .service(second_factor::remove)
        .service(export::export)
        .service(letters::change_email)
        .service(sessions::list_mine)
        .service(sessions::end_others)
        .service(bridge::issue)
        .service(bridge::redeem)
        .service(sync::tell)
        .service(sync::list)
        .service(sync::stream::follow)
        .service(activity::list_mine)
        .service(activity::summarize_mine)
        .service(activity::report::report)
        .service(usage::record)
        .service(usage::list_mine)
        .service(usage::summary::summarize_mine)
        .service(quotas::show_mine)
        .service(reservations::reserve)
        .service(billing::create)
        .service(billing::list_mine)
        .service(billing::list)
        .service(billing::close::close)
        .service(notes::list)
        .service(audit_logs::list)
        .service(service_keys::list)
        .service(service_keys::create)
        .service(admin_stats::show)
        .service(database::show)
        .service(admin_users::list)
        .service(health::live)
        .service(health::ready)
        .service(metrics::show)
        .service(jwks::show);
    config
        .service(sessions::end)
        .service(sessions::list_theirs)
        .service(sessions::end_theirs)
        .service(sessions::end_all_theirs)
        .service(activity::list_theirs)
        .service(usage::list_theirs)
        .service(usage::summary::summarize_theirs)
        .service(quotas::show_theirs)
        .service(quotas::change_theirs)
        .service(reservations::settle)
        .service(reservations::release)
        .service(billing::complete)
        .service(billing::fail)
        .service(billing::refund)
        .service(billing::list_theirs)
        .service(notes::write)
        .service(notes::list_theirs)
        .service(notes::flag)
        .service(timeline::show)
        .service(service_keys::revoke)
        .service(admin_users::show)
        .service(admin_users::change)
        .service(admin_users::erase)
        .service(admin_users::disable)
        .service(admin_users::enable)
        .service(second_factor::remove_theirs);
}

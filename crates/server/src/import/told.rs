//! What an import tells when it is done.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use serde::Serialize;
use subtle_application::import::{ImportReport, Mode, Tally};
use subtle_domain::import::{Change, Refusal, SessionLoss};

/// How many refused accounts are named, of each reason. As JSON, all are.
const NAMED: usize = 20;

pub(super) fn text(report: &ImportReport, mode: Mode) -> String {
    let mut text = String::new();
    let mut line = |line: fmt::Arguments<'_>| {
        let _infallible = writeln!(text, "{line}");
    };
    if mode == Mode::Try {
        line(format_args!("nothing was written; this is what an import would do:"));
    }
    line(format_args!(
        "{} accounts found: {} taken, {} here already, {} refused",
        report.found,
        report.taken,
        report.already_here,
        report.refusals()
    ));
    line(format_args!(
        "with them: {} live sessions, {} identities, {} second factors",
        report.sessions, report.identities, report.second_factors
    ));
    for change in Change::ALL {
        if let Some(tally) = report.changed.get(change.as_str()) {
            line(format_args!("changed {:>8}  {change}: {}", tally.count(), of_change(*change)));
        }
    }
    for why in Refusal::ALL {
        let Some(tally) = report.refused.get(why.as_str()) else { continue };
        line(format_args!("refused {:>8}  {why}: {}", tally.count(), of_refusal(*why)));
        for id in tally.ids.iter().take(NAMED) {
            line(format_args!("                  {id}"));
        }
        if tally.count() > NAMED {
            line(format_args!("                  and {} more (--json names all)", tally.count() - NAMED));
        }
    }
    for why in SessionLoss::ALL {
        if let Some(count) = report.sessions_lost.get(why.as_str()) {
            line(format_args!("signed out {count:>5}  {why}: {}", of_loss(*why)));
        }
    }
    text
}

fn of_change(change: Change) -> &'static str {
    match change {
        Change::AddressRewritten => "the address is written in lower case and ASCII",
        Change::NoPassword => "had no password; they reset it by a letter",
        Change::PasswordLeftOut => {
            "the hash is of a kind that does not verify here; they reset it by a letter"
        }
        Change::NameLeftOut => "the name is not fit to be one",
        Change::PictureLeftOut => "the picture is no web address, or too long",
        Change::PhoneLeftOut => "the telephone number has no place here",
        Change::RightsLeftOut => "rights over others come by no import",
        Change::BanWithoutEnd => "banned: closed until an administrator opens it",
        Change::BeginningUnknown => "when it was made is not known: now",
        Change::FactorsLeftOut => "one of several second factors came, the app that was used last",
        Change::ClosedWithoutFactor => {
            "the second factor cannot come (no app, or encrypted): closed until an administrator opens it"
        }
        Change::SingleSignOnLeftOut => "signed in by single sign-on; they set a password by a letter",
    }
}

fn of_refusal(why: Refusal) -> &'static str {
    match why {
        Refusal::Anonymous => "it belongs to nobody who has said who they are",
        Refusal::Deleted => "it was deleted there",
        Refusal::PhoneOnly => "it has a telephone number and no address",
        Refusal::NoAddress => "it has no address",
        Refusal::UnfitAddress => "letters cannot reach its address",
        Refusal::UnfitId => "its identifier cannot be one here",
        Refusal::AddressTaken => "another account has its address",
    }
}

fn of_loss(why: SessionLoss) -> &'static str {
    match why {
        SessionLoss::Over => "over, or not used for longer than the setting session_idle",
        SessionLoss::AccountClosed => "the account is closed",
        SessionLoss::WithoutFactor => "begun without the second factor that the account asks for",
        SessionLoss::Programs => "an OAuth client's, not the person's own",
        SessionLoss::Unreadable => "the token cannot be known: its key is encrypted",
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ReportText<'a> {
    dry_run: bool,
    found: u64,
    taken: u64,
    already_here: u64,
    refused: BTreeMap<&'static str, TallyText<'a>>,
    changed: BTreeMap<&'static str, TallyText<'a>>,
    identities: u64,
    second_factors: u64,
    sessions: u64,
    sessions_lost: &'a BTreeMap<&'static str, u64>,
}

#[derive(Serialize)]
struct TallyText<'a> {
    count: usize,
    ids: &'a [String],
}

pub(super) fn json(report: &ImportReport, mode: Mode) -> String {
    let told = ReportText {
        dry_run: mode == Mode::Try,
        found: report.found,
        taken: report.taken,
        already_here: report.already_here,
        refused: tallies(&report.refused),
        changed: tallies(&report.changed),
        identities: report.identities,
        second_factors: report.second_factors,
        sessions: report.sessions,
        sessions_lost: &report.sessions_lost,
    };
    // A struct of numbers and text always has a JSON form.
    serde_json::to_string(&told).unwrap_or_default() + "\n"
}

fn tallies<'a>(tallies: &'a BTreeMap<&'static str, Tally>) -> BTreeMap<&'static str, TallyText<'a>> {
    let told = |tally: &'a Tally| TallyText { count: tally.count(), ids: &tally.ids };
    tallies.iter().map(|(name, tally)| (*name, told(tally))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> ImportReport {
        let ids = |many: usize| Tally { ids: (0..many).map(|number| format!("id-{number}")).collect() };
        ImportReport {
            found: 26,
            taken: 3,
            refused: BTreeMap::from([("anonymous", ids(22)), ("deleted", ids(1))]),
            changed: BTreeMap::from([("no_password", ids(2))]),
            sessions_lost: BTreeMap::from([("over", 4)]),
            ..ImportReport::default()
        }
    }

    #[test]
    fn some_are_named_and_the_others_counted() {
        let told = text(&report(), Mode::Take);
        assert!(told.starts_with("26 accounts found: 3 taken, 0 here already, 23 refused\n"), "{told}");
        for part in [
            "changed        2  no_password: ",
            "refused       22  anonymous: ",
            "id-19\n",
            "and 2 more",
            "signed out     4  over: ",
        ] {
            assert!(told.contains(part), "{part}: {told}");
        }
        assert!(!told.contains("id-20"));
        assert!(text(&report(), Mode::Try).starts_with("nothing was written"));
    }

    #[test]
    fn json_names_all() {
        let told: serde_json::Value = serde_json::from_str(&json(&report(), Mode::Try)).unwrap();
        assert_eq!((&told["dryRun"], &told["refused"]["anonymous"]["count"]), (&true.into(), &22.into()));
        assert_eq!(told["refused"]["anonymous"]["ids"].as_array().unwrap().len(), 22);
        assert_eq!(told["sessionsLost"]["over"], 4);
    }
}

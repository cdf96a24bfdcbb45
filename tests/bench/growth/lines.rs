//! What is asked at every size.

use super::get;
use crate::fill::{self, Size, person};
use crate::people::{Person, sign_in};
use crate::stage::Stage;
use crate::trouble::Outcome;

/// What requests are made of.
pub(crate) struct Asked<'a> {
    size: Size,
    /// The number of one of many.
    somebody: u64,
    admin: &'a Person,
    /// That one, and the busiest of all.
    people: Vec<Person>,
}

/// Where in the chart a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Panel {
    Administrators,
    OnePerson,
}

/// One line of the chart.
pub(crate) struct Line {
    pub(crate) name: &'static str,
    pub(crate) panel: Panel,
    /// Lines of one kind have one colour, and are told apart by how they are drawn.
    pub(crate) kind: usize,
    pub(super) request: fn(&Asked) -> Vec<u8>,
    /// The line at whose smallest size its largest is held against, where the design does so.
    pub(super) bounded_by: Option<&'static str>,
}

const PAGE_SIZE: u64 = 20;
/// The page that the design names.
const DEEP: u64 = 10_000;
const FIRST_PAGE: &str = "users, page 1";
const STATS: &str = "stats";

const fn admin(name: &'static str, kind: usize, request: fn(&Asked) -> Vec<u8>) -> Line {
    Line { name, panel: Panel::Administrators, kind, request, bounded_by: None }
}

const fn one(name: &'static str, kind: usize, request: fn(&Asked) -> Vec<u8>) -> Line {
    Line { name, panel: Panel::OnePerson, kind, request, bounded_by: None }
}

/// All of them. The busiest has a hundredth of all rows; everybody else has about as many at every size.
pub(crate) const LINES: [Line; 17] = [
    admin(FIRST_PAGE, 0, |asked| asked.list("")),
    Line { bounded_by: Some(FIRST_PAGE), ..admin("users, page 10,000", 0, |asked| asked.page(DEEP, "")) },
    admin("users, last page", 0, |asked| asked.page(u64::MAX, "")),
    admin("users by email, page 10,000", 1, |asked| asked.page(DEEP, "&sort=email")),
    admin("users by name, page 10,000", 1, |asked| asked.page(DEEP, "&sort=fullName")),
    admin("search that finds one", 2, |asked| {
        asked.list(&format!("?search={}", fill::address(asked.somebody).replace('@', "%40")))
    }),
    admin("search that finds every ninth", 2, |asked| asked.list("?search=lovelace")),
    Line { bounded_by: Some(STATS), ..admin(STATS, 3, |asked| asked.by_admin("/v1/admin/stats")) },
    admin("audit list", 4, |asked| asked.by_admin("/v1/admin/audit-logs")),
    one("timeline", 0, |asked| asked.timeline(asked.somebody)),
    one("timeline of the busiest", 0, |asked| asked.timeline(fill::BUSIEST)),
    one("activity summary", 1, |asked| asked.by_somebody("/v1/me/activity/summary")),
    one("activity summary of the busiest", 1, |asked| asked.by_busiest("/v1/me/activity/summary")),
    one("usage summary", 2, |asked| asked.by_somebody("/v1/me/usage/summary")),
    one("usage summary of the busiest", 2, |asked| asked.by_busiest("/v1/me/usage/summary")),
    one("quota", 3, |asked| asked.by_somebody("/v1/me/quota")),
    one("quota of the busiest", 3, |asked| asked.by_busiest("/v1/me/quota")),
];

impl<'a> Asked<'a> {
    /// Of who is on a stage.
    pub(super) fn on(stage: &'a Stage) -> Outcome<Self> {
        let size = stage.wanted.size;
        let somebody = size.users / 2;
        let emails = [somebody, fill::BUSIEST].map(fill::address);
        let people = sign_in(stage.server.address(), &emails)?;
        Ok(Self { size, somebody, admin: &stage.admin, people })
    }

    fn by_admin(&self, path: &str) -> Vec<u8> {
        get(path, &self.admin.access)
    }

    fn list(&self, query: &str) -> Vec<u8> {
        self.by_admin(&format!("/v1/admin/users{query}"))
    }

    /// A page, or the last where there are not as many.
    fn page(&self, number: u64, query: &str) -> Vec<u8> {
        let number = number.min(self.size.users / PAGE_SIZE).max(1);
        self.list(&format!("?page={number}{query}"))
    }

    fn timeline(&self, number: u64) -> Vec<u8> {
        self.by_admin(&format!("/v1/admin/users/{}/timeline", person(number)))
    }

    fn by_somebody(&self, path: &str) -> Vec<u8> {
        get(path, &self.people[0].access)
    }

    fn by_busiest(&self, path: &str) -> Vec<u8> {
        get(path, &self.people[1].access)
    }
}

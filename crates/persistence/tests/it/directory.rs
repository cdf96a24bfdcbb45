//! The list of accounts and the figures, over a small town of people.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "what fails here fails the test")]

mod pages;
mod reads;
mod search;
mod stats;
mod totals;

use chrono::TimeDelta;
use subtle_domain::directory::{PageStart, UserPage, UserQuery, UserRow, UserSort, UserSortKey};
use subtle_domain::ports::{Directory, NewUser, Store};
use subtle_domain::text::FullName;
use subtle_domain::user::{Role, SubscriptionTier, User};
use subtle_persistence::PgDirectory;

use crate::support::{Home, email, hash, start, store, user};

/// Names that are missing, alike but for case, alike in their first 200 characters, or in other scripts.
const NAMES: &[Option<&str>] = &[
    None,
    Some("ada"),
    Some("Ada"),
    Some("bob"),
    Some("李小龍"),
    Some("zoë"),
    Some("O'Brien"),
    Some("Bob"),
    None,
];

/// Inhabitant `number`. Three at a time moved in at the same moment; identifiers and addresses follow other orders.
fn inhabitant(number: u32) -> User {
    let shuffled = number * 37 % 101;
    let name = NAMES[number as usize % NAMES.len()];
    let long = "n".repeat(205) + &number.to_string();
    let name = if number.is_multiple_of(10) { Some(long.as_str()) } else { name };
    User {
        email: email(&format!("{}{shuffled}@example.com", ["x", "y_", "z."][number as usize % 3])),
        full_name: name.map(|name| FullName::from_stored(name.to_owned())),
        subscription_tier: SubscriptionTier::ALL[number as usize % 3],
        role: Role::ALL[number as usize / 3 % 3],
        created_at: start() + TimeDelta::milliseconds(i64::from(number / 3)),
        ..user(&format!("u{shuffled:03}"))
    }
}

/// A town of `people`, two of whom have been erased before.
async fn town(people: u32) -> Home {
    let home = Home::new().await;
    let erased = |number| User { deleted_at: Some(start()), ..inhabitant(number) };
    let mut unit = store(home.pool()).begin().await.unwrap();
    for user in (0..people).map(inhabitant).chain([200, 201].map(erased)) {
        assert!(unit.users().add(&NewUser { user, hash: hash('a') }).await.unwrap());
    }
    unit.commit().await.unwrap();
    home
}

fn directory(home: &Home) -> PgDirectory {
    PgDirectory::new(home.pool())
}

fn all() -> UserQuery {
    UserQuery {
        start: PageStart::Number(1),
        page_size: 100,
        search: None,
        tier: None,
        role: None,
        sort: UserSort::default(),
    }
}

fn every_sort() -> impl Iterator<Item = UserSort> {
    let both_ways = |&key: &UserSortKey| [false, true].map(|descending| UserSort { key, descending });
    UserSortKey::ALL.iter().flat_map(both_ways)
}

fn ids(rows: &[UserRow]) -> Vec<String> {
    rows.iter().map(|row| row.user.id.to_string()).collect()
}

async fn page(directory: &PgDirectory, query: &UserQuery) -> UserPage {
    directory.page(query).await.unwrap()
}

/// Who is on a page, by identifier.
async fn found(home: &Home, query: UserQuery) -> Vec<String> {
    let page = page(&directory(home), &query).await;
    assert_eq!(page.total, i64::try_from(page.users.len()).unwrap());
    let mut ids = ids(&page.users);
    ids.sort();
    ids
}

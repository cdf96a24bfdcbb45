//! Which accounts are found.

use subtle_domain::directory::UserQuery;
use subtle_domain::text::FullName;
use subtle_domain::user::{Role, SubscriptionTier, User};

use super::{all, directory, found, ids, inhabitant, page, town};
use crate::support::{Home, email, user};

fn searching(part: &str) -> UserQuery {
    UserQuery { search: Some(part.into()), ..all() }
}

/// Three people whose names have to be searched for with care, and one without a name.
async fn tricky() -> Home {
    let home = Home::new().await;
    let people = [
        ("u1", "ada@example.com", Some("100% Ada")),
        ("u2", "snake_case@example.com", Some("Björn")),
        ("u3", "carl@example.com", Some(r"back\slash")),
        ("u4", "dora@example.org", None),
    ];
    for (id, address, name) in people {
        let full_name = name.map(|name| FullName::from_stored(name.to_owned()));
        home.add(&User { email: email(address), full_name, ..user(id) }).await;
    }
    home
}

#[tokio::test]
async fn a_search_finds_parts_of_addresses_and_names() {
    let home = tricky().await;
    for (part, ids) in [
        ("ada", &["u1"][..]),
        ("example.com", &["u1", "u2", "u3"]),
        ("dora", &["u4"]),
        ("jörn", &["u2"]),
        ("00", &["u1"]),
        ("", &["u1", "u2", "u3", "u4"]),
        ("nobody", &[]),
    ] {
        assert_eq!(found(&home, searching(part)).await, ids, "{part}");
    }
}

#[tokio::test]
async fn case_does_not_count() {
    let home = tricky().await;
    for part in ["ADA", "100% aDA", "Ada@Example"] {
        assert_eq!(found(&home, searching(part)).await, ["u1"], "{part}");
    }
}

#[tokio::test]
async fn each_character_stands_for_itself() {
    let home = tricky().await;
    for (part, ids) in [
        ("%", &["u1"][..]),
        ("_", &["u2"]),
        (r"\", &["u3"]),
        ("a%a", &[]),
        ("e_c", &["u2"]),
        ("a_a", &[]),
        (r"k\s", &["u3"]),
        (r"\\", &[]),
        (r"\%", &[]),
        ("'; DROP TABLE users; --", &[]),
    ] {
        assert_eq!(found(&home, searching(part)).await, ids, "{part}");
    }
}

/// Of so many accounts in so many ranges a sample is taken, in which all share a domain and a name, and a part without these is looked up.
#[tokio::test]
async fn the_same_is_found_whatever_part_of_it_is_looked_up() {
    let home = Home::new().await;
    home.run(
        "INSERT INTO users (id, email, full_name, password_hash, created_at)
        SELECT 'p' || n, 'Person' || n * 7919 || '@example.com', 'Ada Lovelace ' || n * 7907, repeat('x', 60), now() - n * interval '1 hour'
        FROM generate_series(1, 3000) AS n",
    )
    .await;
    while home.value("SELECT cut_user_range(40, 4)").await == "t" {}
    let ranges = home.value("SELECT count(*) FROM user_ranges WHERE sort = 'createdAt/wide'").await;
    assert!(ranges.parse::<u32>().unwrap() >= 6, "too few for a sample: {ranges}");
    for part in [
        "person7919000@example.com",
        "PERSON7919000@Example.COM",
        "erson79190@example.com",
        "n7919@example.com",
        "person7919000@example.org",
        "Ada Lovelace 7907000",
        "lovelace 79070",
        "da lovelace 7",
        "person7919@lovelace",
    ] {
        let expected = home
            .first_column(&format!(
                "SELECT id FROM users WHERE strpos(lower(email), lower('{part}')) > 0 OR strpos(lower(full_name), lower('{part}')) > 0"
            ))
            .await;
        let query = searching(part);
        let page = page(&directory(&home), &query).await;
        assert_eq!(page.total, i64::try_from(expected.len()).unwrap(), "{part}");
        for id in ids(&page.users) {
            assert!(expected.contains(&id), "{part}: {id}");
        }
        assert_eq!(page.users.len(), expected.len().min(100), "{part}");
    }
}

#[tokio::test]
async fn filters_combine() {
    let home = town(50).await;
    for tier in SubscriptionTier::ALL.iter().copied().map(Some).chain([None]) {
        for role in Role::ALL.iter().copied().map(Some).chain([None]) {
            for search in [None, Some("Y_"), Some("o'b")] {
                let fits = |user: &User| {
                    let name = user.full_name.as_ref().map_or("", |name| name.as_str()).to_lowercase();
                    let part = search.unwrap_or_default().to_lowercase();
                    tier.is_none_or(|tier| user.subscription_tier == tier)
                        && role.is_none_or(|role| user.role == role)
                        && (user.email.as_str().contains(&part) || name.contains(&part))
                };
                let fitting = (0..50).map(inhabitant).filter(fits).map(|user| user.id.to_string());
                let mut expected: Vec<_> = fitting.collect();
                expected.sort();
                let query = UserQuery { tier, role, search: search.map(Into::into), ..all() };
                assert_eq!(found(&home, query).await, expected, "{tier:?} {role:?} {search:?}");
            }
        }
    }
}

#[tokio::test]
async fn the_total_is_that_of_all_pages_and_obeys_the_filters() {
    let home = town(50).await;
    let query = UserQuery { page_size: 3, tier: Some(SubscriptionTier::Pro), ..all() };
    let page = page(&directory(&home), &query).await;
    assert_eq!((page.users.len(), page.total), (3, 17));
}

#[tokio::test]
async fn erased_accounts_are_not_found() {
    let home = town(3).await;
    let erased = inhabitant(200);
    assert_eq!(found(&home, searching(erased.email.as_str())).await, [""; 0]);
    assert_eq!(found(&home, all()).await.len(), 3);
}

//! Every account comes exactly once, whichever way one walks.

use subtle_domain::directory::{PageStart, UserCursor, UserQuery, UserSort, UserSortKey};
use subtle_domain::ports::{Directory, StoreError};
use subtle_domain::user::User;
use subtle_persistence::PgDirectory;

use super::{all, directory, every_sort, ids, inhabitant, page, town};
use crate::support::{Home, email, start, user, user_id};

/// The order by which a walk has to come, as PostgreSQL understands it.
async fn in_order(home: &Home, sort: UserSort) -> Vec<String> {
    let key = match sort.key {
        UserSortKey::CreatedAt => "created_at",
        UserSortKey::Email => "lower(email)",
        UserSortKey::FullName => "left(coalesce(lower(full_name), ''), 200)",
    };
    let direction = if sort.descending { "DESC" } else { "ASC" };
    let order = format!("{key} {direction}, id {direction}");
    home.first_column(&format!("SELECT id FROM users WHERE deleted_at IS NULL ORDER BY {order}")).await
}

async fn walk_by_number(directory: &PgDirectory, sort: UserSort, page_size: u32) -> Vec<String> {
    let mut seen = Vec::new();
    for number in 1.. {
        let query = UserQuery { start: PageStart::Number(number), page_size, sort, ..all() };
        let page = page(directory, &query).await;
        seen.extend(ids(&page.users));
        if page.next.is_none() {
            break;
        }
    }
    seen
}

async fn walk_by_cursor(directory: &PgDirectory, sort: UserSort, page_size: u32) -> Vec<String> {
    let mut seen = Vec::new();
    let mut start = PageStart::Number(1);
    loop {
        let page = page(directory, &UserQuery { start, page_size, sort, ..all() }).await;
        assert!(page.users.len() <= page_size as usize);
        assert_eq!(page.total, 50);
        seen.extend(ids(&page.users));
        let Some(next) = page.next else { break };
        start = PageStart::After(next);
    }
    seen
}

#[tokio::test]
async fn every_order_comes_both_ways_by_number_and_by_cursor() {
    let home = town(50).await;
    let directory = directory(&home);
    for sort in every_sort() {
        let expected = in_order(&home, sort).await;
        assert_eq!(expected.len(), 50);
        for page_size in [3, 7, 50, 100] {
            assert_eq!(walk_by_number(&directory, sort, page_size).await, expected, "{sort:?} {page_size}");
            assert_eq!(walk_by_cursor(&directory, sort, page_size).await, expected, "{sort:?} {page_size}");
        }
    }
}

#[tokio::test]
async fn the_newest_come_first_and_those_of_one_moment_by_identifier() {
    let home = town(50).await;
    let query = all();
    let page = page(&directory(&home), &query).await;
    let keys = page.users.iter().map(|row| (row.user.created_at, row.user.id.clone()));
    assert!(keys.is_sorted_by(|a, b| a > b));
}

#[tokio::test]
async fn the_nameless_come_first_and_case_does_not_count() {
    let home = town(9).await;
    let sort = UserSort { key: UserSortKey::FullName, descending: false };
    let page = page(&directory(&home), &UserQuery { sort, ..all() }).await;
    let name =
        |user: &User| user.full_name.as_ref().map_or(String::new(), |name| name.as_str().to_lowercase());
    let names: Vec<_> = page.users.iter().map(|row| name(&row.user)).collect();
    assert_eq!(names[..5], ["", "ada", "ada", "bob", "bob"]);
}

#[tokio::test]
async fn a_page_says_where_the_next_begins_unless_it_is_the_last() {
    let home = town(9).await;
    let directory = directory(&home);
    let sized = |page_size| UserQuery { page_size, ..all() };
    assert_eq!(page(&directory, &sized(9)).await.next, None);
    let first = page(&directory, &sized(8)).await;
    let last = &first.users[7].user;
    let next = UserCursor { key: "2023-11-14T22:13:20.123Z".into(), id: last.id.clone() };
    assert_eq!((first.next, last.created_at), (Some(next), start()));
}

#[tokio::test]
async fn there_is_nothing_behind_the_end() {
    let home = town(9).await;
    let directory = directory(&home);
    let nobody = UserCursor { key: "1970-01-01T00:00:00Z".into(), id: user_id("u") };
    for start in [PageStart::Number(2), PageStart::Number(u32::MAX), PageStart::After(nobody)] {
        let page = page(&directory, &UserQuery { start, ..all() }).await;
        assert_eq!((page.users.len(), page.total, page.next), (0, 9, None));
    }
}

#[tokio::test]
async fn a_walk_by_cursor_holds_while_accounts_come_and_go() {
    for sort in every_sort() {
        let home = town(50).await;
        let directory = directory(&home);
        let (mut seen, mut gone) = (Vec::new(), Vec::new());
        let mut start = PageStart::Number(1);
        for step in 0.. {
            let page = page(&directory, &UserQuery { start, page_size: 7, sort, ..all() }).await;
            let here = ids(&page.users);
            // One that was seen goes, and so does one that may not have been; one comes that may belong anywhere.
            gone.extend([here[0].clone(), format!("u{:03}", step * 11)]);
            home.run(&format!("DELETE FROM users WHERE id IN ('{}')", gone.join("', '"))).await;
            home.add(&User { id: user_id(&format!("new{step}")), ..inhabitant(60 + step) }).await;
            seen.extend(here);
            let Some(next) = page.next else { break };
            start = PageStart::After(next);
        }
        let once: std::collections::BTreeSet<_> = seen.iter().collect();
        assert_eq!(once.len(), seen.len(), "{sort:?}: somebody came twice");
        let missed = (0..50).map(|number| inhabitant(number).id.to_string());
        let missed: Vec<_> = missed.filter(|id| !seen.contains(id) && !gone.contains(id)).collect();
        assert_eq!(missed, [""; 0], "{sort:?}: somebody never came");
    }
}

#[tokio::test]
async fn a_cursor_holds_even_if_its_account_is_gone() {
    let home = town(20).await;
    let directory = directory(&home);
    let whole = ids(&page(&directory, &all()).await.users);
    let next = page(&directory, &UserQuery { page_size: 10, ..all() }).await.next.unwrap();
    home.run(&format!("DELETE FROM users WHERE id = '{}'", next.id)).await;
    let rest = page(&directory, &UserQuery { start: PageStart::After(next), ..all() }).await;
    assert_eq!(ids(&rest.users), whole[10..]);
}

#[tokio::test]
async fn a_cursor_whose_key_is_no_time_is_refused_where_it_must_be_one() {
    let home = town(3).await;
    let directory = directory(&home);
    for key in ["", "ada", "now", "2024-13-01T00:00:00Z", "infinity"] {
        let start = PageStart::After(UserCursor { key: key.into(), id: user_id("u") });
        let outcome = directory.page(&UserQuery { start, ..all() }).await;
        assert!(matches!(outcome, Err(StoreError::Conflict(_))), "{key}: {outcome:?}");
    }
}

#[tokio::test]
async fn addresses_written_by_others_are_ordered_without_regard_to_case() {
    let home = Home::new().await;
    for (id, address) in [("u1", "b@example.com"), ("u2", "a@example.com"), ("u3", "c@example.com")] {
        home.add(&User { email: email(address), ..user(id) }).await;
    }
    home.run("UPDATE users SET email = upper(email) WHERE id = 'u1'").await;
    let sort = UserSort { key: UserSortKey::Email, descending: false };
    let directory = directory(&home);
    let first = page(&directory, &UserQuery { page_size: 2, sort, ..all() }).await;
    assert_eq!(ids(&first.users), ["u2", "u1"]);
    let next = first.next.unwrap();
    assert_eq!(next.key, "b@example.com");
    let rest = page(&directory, &UserQuery { start: PageStart::After(next), sort, ..all() }).await;
    assert_eq!(ids(&rest.users), ["u3"]);
}

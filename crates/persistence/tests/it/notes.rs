//! Notes of support.

use subtle_domain::ids::NoteId;
use subtle_domain::note::{Note, NoteCursor, NoteQuery};
use subtle_domain::ports::{Notes, Store, StoreError};
use subtle_domain::text::NoteText;
use subtle_persistence::PgNotes;

use crate::support::{Home, later, store, user_id};

fn note(id: &str, user: &str, at: i64, is_flagged: bool) -> Note {
    Note {
        id: NoteId::parse(id).unwrap(),
        user_id: user_id(user),
        author: user_id("bob"),
        text: NoteText::parse("called twice,\nin Ελληνικά").unwrap(),
        is_flagged,
        created_at: later(at),
    }
}

/// Three notes on Ada and one on Bob; the last two are of one moment.
async fn with_notes() -> (Home, PgNotes) {
    let home = Home::of_three().await;
    let mut unit = store(home.pool()).begin().await.unwrap();
    for written in [
        note("n1", "ada", 1, false),
        note("n2", "ada", 2, true),
        note("n3", "ada", 3, false),
        note("n4", "bob", 3, true),
    ] {
        unit.notes().add(&written).await.unwrap();
    }
    unit.commit().await.unwrap();
    let notes = PgNotes::new(home.pool());
    (home, notes)
}

async fn ids(notes: &PgNotes, query: NoteQuery, after: Option<NoteCursor>) -> Vec<String> {
    let page = notes.page(&query, after, 10).await.unwrap();
    page.into_iter().map(|note| note.id.to_string()).collect()
}

#[tokio::test]
async fn notes_are_listed_newest_first_by_user_and_by_flag() {
    let (_home, notes) = with_notes().await;
    let all = NoteQuery::default;
    assert_eq!(ids(&notes, all(), None).await, ["n4", "n3", "n2", "n1"]);
    assert_eq!(ids(&notes, all(), Some((later(3), "n4".to_owned()))).await, ["n3", "n2", "n1"]);
    let of_ada = NoteQuery { user_id: Some(user_id("ada")), ..all() };
    assert_eq!(ids(&notes, of_ada.clone(), None).await, ["n3", "n2", "n1"]);
    assert_eq!(ids(&notes, NoteQuery { flagged: Some(true), ..all() }, None).await, ["n4", "n2"]);
    assert_eq!(ids(&notes, NoteQuery { flagged: Some(false), ..of_ada.clone() }, None).await, ["n3", "n1"]);
    assert_eq!(notes.page(&of_ada, None, 1).await.unwrap(), [note("n3", "ada", 3, false)]);
}

#[tokio::test]
async fn a_flag_is_set_and_taken_away_within_a_unit_of_work() {
    let (home, notes) = with_notes().await;
    let (n1, nothing) = (NoteId::parse("n1").unwrap(), NoteId::parse("n9").unwrap());
    let mut unit = store(home.pool()).begin().await.unwrap();
    assert_eq!(unit.notes().lock(&n1).await.unwrap(), Some(note("n1", "ada", 1, false)));
    assert_eq!(unit.notes().lock(&nothing).await.unwrap(), None);
    unit.notes().set_flag(&n1, true).await.unwrap();
    unit.commit().await.unwrap();
    let flagged = NoteQuery { flagged: Some(true), ..NoteQuery::default() };
    assert_eq!(ids(&notes, flagged, None).await, ["n4", "n2", "n1"]);
}

#[tokio::test]
async fn no_note_is_written_on_nobody() {
    let home = Home::of_three().await;
    let mut unit = store(home.pool()).begin().await.unwrap();
    let refused = unit.notes().add(&note("n1", "nobody", 1, false)).await;
    assert!(matches!(refused, Err(StoreError::Conflict(_))));
}

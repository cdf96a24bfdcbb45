use subtle_domain::ids::UserId;
use subtle_domain::note::{Note, NoteCursor, NoteQuery};
use subtle_domain::ports::StoreError;

use crate::admin::{Privileged, is_there};
use crate::{Page, Ports};

/// A page of notes, newest first.
pub type NotePage = Page<Note, NoteCursor>;

/// Shows a page of the notes on all users: the flagged ones, the others, or both.
pub async fn list_notes(
    ports: &Ports,
    _by: &Privileged,
    flagged: Option<bool>,
    after: Option<NoteCursor>,
    limit: u32,
) -> Result<NotePage, StoreError> {
    page(ports, &NoteQuery { user_id: None, flagged }, after, limit).await
}

/// Shows a page of the notes on somebody; `None` if there is no such account, or no longer.
pub async fn list_user_notes(
    ports: &Ports,
    _by: &Privileged,
    id: &UserId,
    after: Option<NoteCursor>,
    limit: u32,
) -> Result<Option<NotePage>, StoreError> {
    if !is_there(ports, id).await? {
        return Ok(None);
    }
    page(ports, &NoteQuery { user_id: Some(id.clone()), flagged: None }, after, limit).await.map(Some)
}

async fn page(
    ports: &Ports,
    query: &NoteQuery,
    after: Option<NoteCursor>,
    limit: u32,
) -> Result<NotePage, StoreError> {
    let notes = ports.notes.page(query, after, NotePage::reach(limit)).await?;
    Ok(Page::of(notes, limit, |last| (last.created_at, last.id.to_string())))
}

#[cfg(test)]
mod tests {
    use super::super::write::tests::note;
    use super::*;
    use crate::admin::tests::grace;
    use crate::test_ports::{self, NOW, ada};

    #[tokio::test]
    async fn a_full_page_tells_where_the_next_begins() {
        let mut mocks = test_ports::Mocks::default();
        mocks
            .notes
            .expect_page()
            .withf(|query, _, limit| {
                *query == NoteQuery { user_id: None, flagged: Some(true) } && *limit == 2
            })
            .returning(|_, _, _| Ok(vec![note(), note()]));
        let page = list_notes(&mocks.ports(), &grace(), Some(true), None, 1).await.unwrap();
        assert_eq!(page, NotePage { items: vec![note()], next: Some((NOW, "n-new".to_owned())) });
    }

    #[tokio::test]
    async fn there_are_none_on_an_account_that_is_not_there() {
        let mut mocks = test_ports::Mocks::default();
        mocks.accounts.expect_find().returning(|_| Ok(None));
        let shown = list_user_notes(&mocks.ports(), &grace(), &ada().id, None, 10).await.unwrap();
        assert_eq!(shown, None);
    }
}

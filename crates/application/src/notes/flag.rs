use subtle_domain::audit::{AuditAction, FieldChange};
use subtle_domain::ids::NoteId;
use subtle_domain::note::Note;
use subtle_domain::ports::StoreError;

use crate::Ports;
use crate::actor::{Actor, Told};
use crate::admin::{Forbidden, Privileged};
use crate::again::again;

/// Why a note stays as it was.
#[derive(Debug, thiserror::Error)]
pub enum FlagNoteError {
    /// There is no such note.
    #[error("there is no such note")]
    NotFound,
    /// Who acts has lost the privilege since they were found to hold it.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Flags a note, or takes its flag away.
pub async fn flag_note(
    ports: &Ports,
    by: &Privileged,
    id: &NoteId,
    is_flagged: bool,
) -> Result<Note, FlagNoteError> {
    let now = ports.clock.now();
    let entry = |note: &Note| {
        let change = FieldChange {
            field: "isFlagged",
            before: Some(note.is_flagged.to_string()),
            after: Some(is_flagged.to_string()),
        };
        let told = Told { changes: vec![change], facts: vec![("noteId", id.to_string())] };
        ports.audit_entry(&Actor::from(by), AuditAction::NoteUpdated, Some(&note.user_id), told, now)
    };
    let flagged = again(|| async {
        let mut unit = ports.store.begin().await?;
        let done = if let Err(lost) = by.confirm(unit.as_mut()).await? {
            Err(FlagNoteError::Forbidden(lost))
        } else {
            match unit.notes().lock(id).await? {
                None => Err(FlagNoteError::NotFound),
                Some(note) if note.is_flagged == is_flagged => Ok(note),
                Some(note) => {
                    unit.notes().set_flag(id, is_flagged).await?;
                    unit.audit().append(&entry(&note)).await?;
                    return unit.commit().await.map(|()| Ok(Note { is_flagged, ..note }));
                }
            }
        };
        unit.rollback().await.map(|()| done)
    });
    flagged.await?
}

#[cfg(test)]
mod tests {
    use super::super::write::tests::note;
    use super::*;
    use crate::admin::tests::{grace, unit_of_grace};
    use crate::test_ports::{self, ada, was};
    use subtle_domain::ports::MockUnit;
    use subtle_domain::user::Role;

    async fn ask(unit: MockUnit, is_flagged: bool) -> (Result<Note, FlagNoteError>, bool) {
        let mut mocks = test_ports::Mocks::default();
        let committed = mocks.expect_unit(unit);
        (flag_note(&mocks.ports(), &grace(), &note().id, is_flagged).await, was(&committed))
    }

    #[tokio::test]
    async fn a_flag_is_taken_away_with_an_entry() {
        let mut unit = unit_of_grace(Role::Admin);
        unit.notes.expect_lock().returning(|_| Ok(Some(note())));
        unit.notes.expect_set_flag().withf(|_, flag| !flag).times(1).returning(|_, _| Ok(()));
        unit.audit.expect_append().times(1).returning(|entry| {
            assert_eq!((entry.action, &entry.subject), (AuditAction::NoteUpdated, &Some(ada().id)));
            Ok(())
        });
        let (done, committed) = ask(unit, false).await;
        assert_eq!(done.unwrap(), Note { is_flagged: false, ..note() });
        assert!(committed);
    }

    #[tokio::test]
    async fn what_is_so_already_is_no_change() {
        let mut unit = unit_of_grace(Role::Admin);
        unit.notes.expect_lock().returning(|_| Ok(Some(note())));
        let (done, committed) = ask(unit, true).await;
        assert_eq!((done.unwrap(), committed), (note(), false));
    }

    #[tokio::test]
    async fn no_note_and_no_privilege_are_refused() {
        let mut unit = unit_of_grace(Role::Admin);
        unit.notes.expect_lock().returning(|_| Ok(None));
        assert!(matches!(ask(unit, true).await, (Err(FlagNoteError::NotFound), false)));
        assert!(matches!(
            ask(unit_of_grace(Role::User), true).await,
            (Err(FlagNoteError::Forbidden(_)), false)
        ));
    }
}

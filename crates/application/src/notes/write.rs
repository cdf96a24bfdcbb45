use subtle_domain::Timestamp;
use subtle_domain::audit::AuditAction;
use subtle_domain::idempotency::Repeatable;
use subtle_domain::ids::{NoteId, UserId};
use subtle_domain::note::Note;
use subtle_domain::ports::{StoreError, UnitOfWork};
use subtle_domain::text::NoteText;

use crate::Ports;
use crate::actor::{Actor, Told};
use crate::admin::{Forbidden, Privileged};
use crate::again::again;
use crate::idempotent::{KeyTaken, Next, Once};

/// A note to be written.
#[derive(Debug, Clone)]
pub struct NewNote {
    /// On whom.
    pub user_id: UserId,
    /// What it says.
    pub text: NoteText,
    /// Whether somebody should look at it.
    pub is_flagged: bool,
}

/// Why no note is written.
#[derive(Debug, thiserror::Error)]
pub enum WriteNoteError {
    /// There is no such account, or no longer.
    #[error("there is no such account")]
    NotFound,
    /// The idempotency key was used for another request.
    #[error(transparent)]
    KeyTaken(#[from] KeyTaken),
    /// Who acts has lost the privilege since they were found to hold it.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Writes a note on a user, or finds the one that the same request wrote before. Note, audit entry and key commit together.
///
/// The trail tells that there is a note, and what is kept with the key which one it is: not what it says, for both outlive the
/// person's erasure.
pub async fn write_note(
    ports: &Ports,
    by: &Privileged,
    new: NewNote,
    request: Option<Repeatable>,
) -> Result<Note, WriteNoteError> {
    let now = ports.clock.now();
    let once = Once::new(by.caller(), request, now);
    let note = Note {
        id: ports.ids.note_id(),
        user_id: new.user_id,
        author: by.user_id().clone(),
        text: new.text,
        is_flagged: new.is_flagged,
        created_at: now,
    };
    again(|| attempt(ports, by, &note, &once, now)).await?
}

async fn attempt(
    ports: &Ports,
    by: &Privileged,
    note: &Note,
    once: &Once,
    now: Timestamp,
) -> Result<Result<Note, WriteNoteError>, StoreError> {
    let mut unit = ports.store.begin().await?;
    let done = match decide(by, note, once, unit.as_mut()).await? {
        Ok(None) => {
            unit.notes().add(note).await?;
            let told =
                Told::facts([("noteId", note.id.to_string()), ("isFlagged", note.is_flagged.to_string())]);
            let subject = Some(&note.user_id);
            let entry = ports.audit_entry(&Actor::from(by), AuditAction::NoteCreated, subject, told, now);
            unit.audit().append(&entry).await?;
            once.keep(unit.as_mut(), &kept(note)).await?;
            return unit.commit().await.map(|()| Ok(note.clone()));
        }
        Ok(Some(earlier)) => Ok(earlier),
        Err(refused) => Err(refused),
    };
    unit.rollback().await.map(|()| done)
}

/// What is kept of a note with the key: which one it is, and the one thing about it that may change.
fn kept(note: &Note) -> String {
    format!("{} {}", note.id, note.is_flagged)
}

/// The note as it was written, of which this was kept; `None` if it is gone.
async fn written(kept: &str, unit: &mut dyn UnitOfWork) -> Result<Option<Note>, StoreError> {
    let parts = kept.split_once(' ').and_then(|(id, flag)| Some((NoteId::parse(id).ok()?, flag == "true")));
    let Some((id, is_flagged)) = parts else { return Ok(None) };
    Ok(unit.notes().lock(&id).await?.map(|note| Note { is_flagged, ..note }))
}

/// The note that the same request wrote before, or nothing if it is to be written.
async fn decide(
    by: &Privileged,
    note: &Note,
    once: &Once,
    unit: &mut dyn UnitOfWork,
) -> Result<Result<Option<Note>, WriteNoteError>, StoreError> {
    let subject = match by.confirm_on(unit, &note.user_id).await? {
        Ok(subject) => subject.filter(|user| !user.is_erased()),
        Err(lost) => return Ok(Err(lost.into())),
    };
    if subject.is_none() {
        return Ok(Err(WriteNoteError::NotFound));
    }
    Ok(match once.claim(unit).await? {
        Next::Answer(kept) => written(&kept, unit).await?.map(Some).ok_or(WriteNoteError::NotFound),
        Next::Refuse(taken) => Err(taken.into()),
        Next::Do => Ok(None),
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::admin::tests::grace;
    use crate::test_ports::{self, NOW, ada, was};
    use subtle_domain::idempotency::Claimed;
    use subtle_domain::ports::MockUnit;
    use subtle_domain::user::{Role, User};

    pub(in crate::notes) fn note() -> Note {
        Note {
            id: NoteId::parse("n-new").unwrap(),
            user_id: ada().id,
            author: grace().user_id().clone(),
            text: NoteText::parse("called twice").unwrap(),
            is_flagged: true,
            created_at: NOW,
        }
    }

    /// A unit of work in which Grace has this role, and Ada is as told.
    fn unit(role: Role, subject: Option<User>) -> MockUnit {
        let mut unit = MockUnit::default();
        unit.users.expect_lock().returning(move |id| {
            let grace = User { id: grace().user_id().clone(), role, ..ada() };
            Ok(Some(grace).into_iter().chain(subject.clone()).find(|user| user.id == *id))
        });
        unit
    }

    async fn ask(unit: MockUnit, request: Option<Repeatable>) -> (Result<Note, WriteNoteError>, bool) {
        let mut mocks = test_ports::Mocks::default();
        let committed = mocks.expect_unit(unit);
        let new = NewNote { user_id: ada().id, text: note().text, is_flagged: true };
        (write_note(&mocks.ports(), &grace(), new, request).await, was(&committed))
    }

    #[tokio::test]
    async fn a_note_and_its_entry_commit_together_and_the_entry_does_not_repeat_it() {
        let mut unit = unit(Role::Admin, Some(ada()));
        unit.notes.expect_add().withf(|written| *written == note()).times(1).returning(|_| Ok(()));
        unit.audit.expect_append().times(1).returning(|entry| {
            assert_eq!((entry.action, &entry.subject), (AuditAction::NoteCreated, &Some(ada().id)));
            assert!(!format!("{entry:?}").contains("called twice"));
            Ok(())
        });
        let (written, committed) = ask(unit, None).await;
        assert_eq!(written.unwrap(), note());
        assert!(committed);
    }

    #[tokio::test]
    async fn what_is_kept_with_the_key_finds_the_note_and_does_not_repeat_it() {
        let key = subtle_domain::text::IdempotencyKey::parse("k").unwrap();
        let request = || Some(Repeatable { key: key.clone(), fingerprint: [1; 32] });
        let mut first = unit(Role::Admin, Some(ada()));
        first.idempotency.expect_claim().returning(|_| Ok(Claimed::First));
        first
            .idempotency
            .expect_keep()
            .withf(|_, kept| kept == "n-new true")
            .times(1)
            .returning(|_, _| Ok(()));
        first.notes.expect_add().returning(|_| Ok(()));
        first.audit.expect_append().returning(|_| Ok(()));
        assert_eq!(ask(first, request()).await.0.unwrap(), note());
        for (left, found) in [(Some(Note { is_flagged: false, ..note() }), Some(note())), (None, None)] {
            let mut again = unit(Role::Admin, Some(ada()));
            again.idempotency.expect_claim().returning(|_| Ok(Claimed::Answered("n-new true".to_owned())));
            again.notes.expect_lock().withf(|id| id.as_str() == "n-new").return_once(|_| Ok(left));
            let (answer, committed) = ask(again, request()).await;
            assert_eq!((answer.ok(), committed), (found, false));
        }
    }

    #[tokio::test]
    async fn nothing_is_written_on_who_is_gone_or_by_who_lost_the_privilege() {
        let erased = User { deleted_at: Some(NOW), ..ada() };
        for subject in [None, Some(erased)] {
            let (refused, committed) = ask(unit(Role::Admin, subject), None).await;
            assert!(matches!(refused, Err(WriteNoteError::NotFound)) && !committed);
        }
        let (refused, committed) = ask(unit(Role::User, Some(ada())), None).await;
        assert!(matches!(refused, Err(WriteNoteError::Forbidden(_))) && !committed);
    }
}

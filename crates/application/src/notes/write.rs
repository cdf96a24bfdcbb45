use subtle_domain::Timestamp;
use subtle_domain::audit::AuditAction;
use subtle_domain::idempotency::Repeatable;
use subtle_domain::ids::UserId;
use subtle_domain::note::Note;
use subtle_domain::ports::{StoreError, UnitOfWork};
use subtle_domain::text::NoteText;
use subtle_domain::user::Standing;

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

/// Writes a note on a user, and gives the answer that `render` makes of it. Note, audit entry, key and answer commit together. The
/// trail tells that there is a note, not what it says: it outlives the person's erasure.
pub async fn write_note(
    ports: &Ports,
    by: &Privileged,
    new: NewNote,
    request: Option<Repeatable>,
    render: &(dyn Fn(&Note) -> String + Sync),
) -> Result<String, WriteNoteError> {
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
    let answer = render(&note);
    again(|| attempt(ports, by, &note, &once, &answer, now)).await?
}

async fn attempt(
    ports: &Ports,
    by: &Privileged,
    note: &Note,
    once: &Once,
    answer: &str,
    now: Timestamp,
) -> Result<Result<String, WriteNoteError>, StoreError> {
    let mut unit = ports.store.begin().await?;
    let done = match decide(by, note, once, unit.as_mut()).await? {
        Ok(None) => {
            unit.notes().add(note).await?;
            let told =
                Told::facts([("noteId", note.id.to_string()), ("isFlagged", note.is_flagged.to_string())]);
            let subject = Some(&note.user_id);
            let entry = ports.audit_entry(&Actor::from(by), AuditAction::NoteCreated, subject, told, now);
            unit.audit().append(&entry).await?;
            once.keep(unit.as_mut(), answer).await?;
            return unit.commit().await.map(|()| Ok(answer.to_owned()));
        }
        Ok(Some(answer)) => Ok(answer),
        Err(refused) => Err(refused),
    };
    unit.rollback().await.map(|()| done)
}

/// The answer of a request that was done before, or nothing if the note is to be written.
async fn decide(
    by: &Privileged,
    note: &Note,
    once: &Once,
    unit: &mut dyn UnitOfWork,
) -> Result<Result<Option<String>, WriteNoteError>, StoreError> {
    let subject = match by.confirm_on(unit, &note.user_id).await? {
        Ok(subject) => subject.filter(|user| user.standing() != Standing::Erased),
        Err(lost) => return Ok(Err(lost.into())),
    };
    if subject.is_none() {
        return Ok(Err(WriteNoteError::NotFound));
    }
    Ok(match once.claim(unit).await? {
        Next::Answer(answer) => Ok(Some(answer)),
        Next::Refuse(taken) => Err(taken.into()),
        Next::Do => Ok(None),
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::admin::tests::grace;
    use crate::test_ports::{self, NOW, ada, was};
    use subtle_domain::ids::NoteId;
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

    async fn ask(unit: MockUnit) -> (Result<String, WriteNoteError>, bool) {
        let mut mocks = test_ports::Mocks::default();
        let committed = mocks.expect_unit(unit);
        let new = NewNote { user_id: ada().id, text: note().text, is_flagged: true };
        let render = |note: &Note| note.id.to_string();
        (write_note(&mocks.ports(), &grace(), new, None, &render).await, was(&committed))
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
        let (answer, committed) = ask(unit).await;
        assert_eq!(answer.unwrap(), "n-new");
        assert!(committed);
    }

    #[tokio::test]
    async fn nothing_is_written_on_who_is_gone_or_by_who_lost_the_privilege() {
        let erased = User { deleted_at: Some(NOW), ..ada() };
        for subject in [None, Some(erased)] {
            let (refused, committed) = ask(unit(Role::Admin, subject)).await;
            assert!(matches!(refused, Err(WriteNoteError::NotFound)) && !committed);
        }
        let (refused, committed) = ask(unit(Role::User, Some(ada()))).await;
        assert!(matches!(refused, Err(WriteNoteError::Forbidden(_))) && !committed);
    }
}

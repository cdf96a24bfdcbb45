use super::super::authorize::tests::grace;
use super::*;
use crate::test_ports::{self, NOW, ada, was};
use subtle_domain::ids::SessionId;
use subtle_domain::ports::MockUnit;
use subtle_domain::user::{Role, Standing, SubscriptionTier};

/// A unit of work in which Grace, an administrator, finds this account.
fn unit_with(user: User) -> MockUnit {
    unit_by(User { id: grace().user_id().clone(), role: Role::Admin, ..ada() }, user)
}

fn unit_by(actor: User, subject: User) -> MockUnit {
    let mut unit = MockUnit::default();
    unit.users
        .expect_lock()
        .times(2)
        .returning(move |id| Ok([&actor, &subject].into_iter().find(|user| user.id == *id).cloned()));
    unit
}

#[tokio::test]
async fn who_lost_the_privilege_while_their_request_arrived_changes_nothing() {
    let grace_now = User { id: grace().user_id().clone(), ..ada() };
    let demoted = User { role: Role::Support, ..grace_now.clone() };
    let disabled = User { role: Role::Admin, disabled_at: Some(NOW), ..grace_now };
    for actor in [demoted, disabled] {
        let mut mocks = test_ports::Mocks::default();
        let committed = mocks.expect_unit(unit_by(actor, ada()));
        let change = UserChange { role: Some(Role::Admin), ..UserChange::default() };
        let refused = change_user(&mocks.ports(), &grace(), &ada().id, change).await;
        assert!(matches!(refused, Err(ChangeUserError::Forbidden(_))));
        assert!(!was(&committed));
    }
}

fn expect_audit(unit: &mut MockUnit, action: AuditAction) {
    unit.audit
        .expect_append()
        .withf(move |entry| {
            entry.action == action
                && entry.actor.as_str() == "grace"
                && entry.subject.as_ref() == Some(&ada().id)
        })
        .times(1)
        .returning(|_| Ok(()));
}

fn quiet() -> test_ports::Mocks {
    let mut mocks = test_ports::Mocks::default();
    mocks.revocations.expect_learn().withf(|learned, _| learned.is_empty()).return_const(());
    mocks
}

#[tokio::test]
async fn a_change_and_its_audit_entry_commit_together() {
    let mut mocks = quiet();
    let mut unit = unit_with(ada());
    unit.users
        .expect_save()
        .withf(|user| user.subscription_tier == SubscriptionTier::Pro)
        .returning(|_| Ok(()));
    expect_audit(&mut unit, AuditAction::UserUpdated);
    let committed = mocks.expect_unit(unit);
    let change = UserChange { subscription_tier: Some(SubscriptionTier::Pro), ..UserChange::default() };
    let user = change_user(&mocks.ports(), &grace(), &ada().id, change).await.unwrap();
    assert_eq!((user.subscription_tier, user.updated_at), (SubscriptionTier::Pro, NOW));
    assert!(was(&committed));
}

#[tokio::test]
async fn without_its_audit_entry_a_change_does_not_commit() {
    let mut mocks = test_ports::Mocks::default();
    let mut unit = unit_with(ada());
    unit.users.expect_save().returning(|_| Ok(()));
    unit.audit.expect_append().returning(|_| Err(StoreError::Unavailable("gone".into())));
    let committed = mocks.expect_unit(unit);
    let change = UserChange { role: Some(Role::Support), ..UserChange::default() };
    let failed = change_user(&mocks.ports(), &grace(), &ada().id, change).await;
    assert!(matches!(failed, Err(ChangeUserError::Store(_))));
    assert!(!was(&committed));
}

#[tokio::test]
async fn a_change_that_changes_nothing_is_not_audited() {
    let mut mocks = quiet();
    let committed = mocks.expect_unit(unit_with(ada()));
    let change = UserChange { role: Some(ada().role), ..UserChange::default() };
    change_user(&mocks.ports(), &grace(), &ada().id, change).await.unwrap();
    assert!(!was(&committed));
}

#[tokio::test]
async fn disabling_ends_every_session_here_and_elsewhere() {
    let ended = SessionId::parse("s1").unwrap();
    let mut mocks = test_ports::Mocks::default();
    let learned = [Revocation::Session(ended.clone())];
    mocks.revocations.expect_learn().withf(move |told, _| told == learned).times(1).return_const(());
    let mut unit = unit_with(ada());
    unit.users.expect_save().withf(|user| user.standing() == Standing::Disabled).returning(|_| Ok(()));
    unit.sessions
        .expect_revoke_all()
        .withf(|_, keep, reason, _| keep.is_none() && *reason == RevocationReason::Disabled)
        .return_once(|_, _, _, _| Ok(vec![ended]));
    expect_audit(&mut unit, AuditAction::UserDisabled);
    let committed = mocks.expect_unit(unit);
    disable_user(&mocks.ports(), &grace(), &ada().id).await.unwrap();
    assert!(was(&committed));
}

#[tokio::test]
async fn enabling_opens_the_account_and_is_audited() {
    let mut mocks = quiet();
    let mut unit = unit_with(User { disabled_at: Some(NOW), ..ada() });
    unit.users.expect_save().withf(User::is_active).returning(|_| Ok(()));
    expect_audit(&mut unit, AuditAction::UserEnabled);
    let committed = mocks.expect_unit(unit);
    enable_user(&mocks.ports(), &grace(), &ada().id).await.unwrap();
    assert!(was(&committed));
}

#[tokio::test]
async fn erasing_another_is_audited_and_ends_their_tokens() {
    let mut mocks = test_ports::Mocks::default();
    let learned = [Revocation::User(ada().id)];
    mocks.revocations.expect_learn().withf(move |told, _| told == learned).times(1).return_const(());
    let mut unit = unit_with(ada());
    unit.users.expect_save().withf(User::is_erased).returning(|_| Ok(()));
    unit.users.expect_set_hash().returning(|_, _| Ok(()));
    unit.users.expect_erase_traces().returning(|_, _| Ok(()));
    unit.sessions.expect_delete_all().returning(|_| Ok(()));
    expect_audit(&mut unit, AuditAction::UserDeleted);
    let committed = mocks.expect_unit(unit);
    erase_user(&mocks.ports(), &grace(), &ada().id).await.unwrap();
    assert!(was(&committed));
}

#[tokio::test]
async fn an_erased_account_is_not_found() {
    for step in 0..3 {
        let mut mocks = test_ports::Mocks::default();
        mocks.expect_unit(unit_with(User { deleted_at: Some(NOW), ..ada() }));
        let ports = mocks.ports();
        let refused = match step {
            0 => disable_user(&ports, &grace(), &ada().id).await.map(drop),
            1 => enable_user(&ports, &grace(), &ada().id).await.map(drop),
            _ => erase_user(&ports, &grace(), &ada().id).await,
        };
        assert!(matches!(refused, Err(ChangeUserError::NotFound)), "{step}");
    }
}

#[tokio::test]
async fn administrators_keep_their_own_account() {
    let ports = test_ports::Mocks::default().ports();
    let me = grace().user_id().clone();
    let demotion = UserChange { role: Some(Role::User), ..UserChange::default() };
    assert!(matches!(change_user(&ports, &grace(), &me, demotion).await, Err(ChangeUserError::OwnAccount)));
    assert!(matches!(disable_user(&ports, &grace(), &me).await, Err(ChangeUserError::OwnAccount)));
    assert!(matches!(erase_user(&ports, &grace(), &me).await, Err(ChangeUserError::OwnAccount)));
}

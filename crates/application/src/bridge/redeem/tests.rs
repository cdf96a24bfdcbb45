use super::*;
use crate::test_ports::{self, NOW, ada, session, was};
use subtle_domain::bridge::{CodeChallenge, LIFE};
use subtle_domain::ids::BridgeId;
use subtle_domain::letter::LetterKind;
use subtle_domain::ports::MockUnit;
use subtle_domain::second_factor::Assurance;
use subtle_domain::sync::{Place, PlacedEvent};
use subtle_domain::token::{PresentedBridgeToken, TokenDigest};

const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

fn bridge() -> Bridge {
    Bridge {
        id: BridgeId::parse("b1").unwrap(),
        user_id: ada().id,
        session_id: Some(session().id),
        digest: TokenDigest::new("digest of bt"),
        challenge: None,
        data: Some(r#"{"tab": 7}"#.to_owned()),
        client: ClientInfo::default(),
        created_at: NOW,
        expires_at: NOW + LIFE,
        used_at: None,
    }
}

/// Mocks that know of a token `bt` and of the verifier `v` of the challenge.
fn knowing(bridge: Option<Bridge>) -> test_ports::Mocks {
    let mut mocks = test_ports::Mocks::default();
    mocks.bridge_tokens.expect_open().returning(|token| {
        (token == "bt")
            .then(|| PresentedBridgeToken { user_id: ada().id, digest: TokenDigest::new("digest of bt") })
    });
    mocks
        .bridge_tokens
        .expect_challenge()
        .returning(|text| CodeChallenge::parse(CHALLENGE).ok().filter(|_| text == "v"));
    mocks.bridges.expect_find().returning(move |_, _| Ok(bridge.clone()));
    mocks
}

/// A unit of work of Ada, with this session behind the token, which takes the event of an attempt that ends so.
fn unit(user: User, session: Option<Session>, refused: Option<BridgeRefusal>) -> MockUnit {
    let mut unit = MockUnit::default();
    unit.users.expect_lock().returning(move |_| Ok(Some(user.clone())));
    unit.sessions.expect_hold().returning(move |_, _| Ok(session.as_ref().map(Session::summary)));
    unit.sync.expect_append().times(1).returning(move |event| {
        assert_eq!((event.event_type.as_str(), event.source.as_str()), ("bridge_redemption", "subtle"));
        let error = event.error.as_ref().map(ErrorMessage::as_str);
        assert_eq!((event.success, error), (refused.is_none(), refused.map(BridgeRefusal::as_str)));
        Ok(PlacedEvent { place: Place::new(1), event: event.clone() })
    });
    unit
}

fn command(token: &str, verifier: Option<&str>) -> RedeemBridge {
    RedeemBridge {
        token: token.to_owned(),
        verifier: verifier.map(str::to_owned),
        client: ClientInfo::default(),
    }
}

#[tokio::test]
async fn session_event_and_redemption_commit_together() {
    for (challenge, verifier) in [(None, None), (Some(CHALLENGE), Some("v"))] {
        let challenge = challenge.map(|text| CodeChallenge::parse(text).unwrap());
        let mut mocks = knowing(Some(Bridge { challenge, ..bridge() }));
        mocks.expect_tokens();
        mocks.expect_activity(&[ActivityAction::SignIn]);
        mocks.sessions.expect_supersede().times(1).returning(|_, _, _| Ok(Vec::new()));
        mocks.revocations.expect_learn().return_const(());
        let earlier = NOW - chrono::TimeDelta::hours(1);
        let mut unit = unit(
            ada(),
            Some(Session { authenticated_at: earlier, assurance: Assurance::SecondFactor, ..session() }),
            None,
        );
        unit.sessions.expect_is_new_device().returning(|_| Ok(true));
        unit.bridges.expect_spend().withf(|_, now| *now == NOW).times(1).returning(|_, _| Ok(true));
        // A handed over sign-in is as old as the one that it comes from, and by the same means.
        unit.sessions
            .expect_add()
            .withf(move |begun| {
                begun.id.as_str() == "s-new"
                    && begun.authenticated_at == earlier
                    && begun.assurance == Assurance::SecondFactor
            })
            .times(1)
            .returning(|_| Ok(()));
        test_ports::expect_letters(&mut unit, &[(LetterKind::NewDevice, "ada@example.com")]);
        let committed = mocks.expect_unit(unit);
        let done = redeem_bridge(&mocks.ports(), command("bt", verifier)).await.unwrap();
        assert_eq!((done.signed_in.user, done.data), (ada(), bridge().data));
        assert!(was(&committed));
    }
}

#[tokio::test]
async fn what_is_no_token_or_an_unknown_one_leaves_nothing() {
    let refused = redeem_bridge(&knowing(Some(bridge())).ports(), command("rt", None)).await;
    assert!(matches!(refused, Err(RedeemBridgeError::Invalid)));
    let refused = redeem_bridge(&knowing(None).ports(), command("bt", None)).await;
    assert!(matches!(refused, Err(RedeemBridgeError::Invalid)));
}

#[tokio::test]
async fn a_refusal_by_the_rule_is_told_in_the_log() {
    let bound = Bridge { challenge: CodeChallenge::parse(CHALLENGE).ok(), ..bridge() };
    for (bridge, verifier, refusal) in [
        (Bridge { used_at: Some(NOW), ..bridge() }, None, BridgeRefusal::Used),
        (Bridge { expires_at: NOW, ..bridge() }, None, BridgeRefusal::Expired),
        (Bridge { used_at: Some(NOW), ..bridge() }, Some("nonsense"), BridgeRefusal::Used),
        (bound.clone(), None, BridgeRefusal::WrongVerifier),
        (bound, Some("nonsense"), BridgeRefusal::WrongVerifier),
        (bridge(), Some("nonsense"), BridgeRefusal::WrongVerifier),
        (bridge(), Some("v"), BridgeRefusal::WrongVerifier),
    ] {
        let mut mocks = knowing(Some(bridge));
        let committed = mocks.expect_unit(unit(ada(), Some(session()), Some(refusal)));
        let refused = redeem_bridge(&mocks.ports(), command("bt", verifier)).await;
        assert!(matches!(refused, Err(RedeemBridgeError::Invalid)), "{refusal}");
        assert!(was(&committed), "the event stays");
    }
}

#[tokio::test]
async fn so_is_one_by_what_happened_meanwhile() {
    let closed = User { disabled_at: Some(NOW), ..ada() };
    let ended = Session { revoked_at: Some(NOW), ..session() };
    for (user, session, refusal) in [
        (closed, Some(session()), BridgeRefusal::AccountClosed),
        (ada(), Some(ended), BridgeRefusal::SessionOver),
        (ada(), None, BridgeRefusal::SessionOver),
        (ada(), Some(session()), BridgeRefusal::Used),
    ] {
        let mut mocks = knowing(Some(bridge()));
        let mut unit = unit(user, session, Some(refusal));
        unit.bridges.expect_spend().returning(|_, _| Ok(false));
        let committed = mocks.expect_unit(unit);
        let refused = redeem_bridge(&mocks.ports(), command("bt", None)).await;
        assert!(matches!(refused, Err(RedeemBridgeError::Invalid)) && was(&committed), "{refusal}");
    }
}

#[tokio::test]
async fn of_a_person_who_is_gone_nothing_is_kept() {
    let mut mocks = knowing(Some(bridge()));
    let mut unit = MockUnit::default();
    unit.users.expect_lock().returning(|_| Ok(Some(User { deleted_at: Some(NOW), ..ada() })));
    let committed = mocks.expect_unit(unit);
    let refused = redeem_bridge(&mocks.ports(), command("bt", None)).await;
    assert!(matches!(refused, Err(RedeemBridgeError::Invalid)) && !was(&committed));
}

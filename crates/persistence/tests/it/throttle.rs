//! What may be done so often and no more.

use chrono::TimeDelta;
use futures_util::future::join_all;
use subtle_domain::ports::{Store, Throttle};
use subtle_domain::throttle::Rate;
use subtle_persistence::PgThrottle;

use crate::support::{Home, later, start, store};

const RATE: Rate = Rate { burst: 10, interval: TimeDelta::seconds(60) };

#[tokio::test]
async fn of_fifty_parallel_guesses_over_two_replicas_ten_are_taken() {
    let home = Home::new().await;
    let replicas = [PgThrottle::new(home.pool()), PgThrottle::new(home.pool())];
    let guesses =
        replicas.iter().cycle().take(50).map(|replica| replica.take("ada@example.com", &RATE, start()));
    let outcomes: Vec<_> = join_all(guesses).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 10);
    assert!(outcomes.into_iter().filter_map(Result::err).all(|wait| wait.seconds() == 60));
}

#[tokio::test]
async fn the_database_and_the_rule_agree() {
    let home = Home::new().await;
    let limiter = PgThrottle::new(home.pool());
    for rate in [RATE, Rate { burst: 1, interval: TimeDelta::milliseconds(7) }, Rate { burst: 0, ..RATE }] {
        limiter.clear("ada").await.unwrap();
        let (mut full_at, mut now, mut chance) = (None, start(), 12_345_u64);
        for _ in 0..150 {
            chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let most = u64::try_from(rate.interval.num_milliseconds()).unwrap() * 2;
            now += TimeDelta::milliseconds(i64::try_from((chance >> 33) % most).unwrap());
            let wanted = rate.admit(full_at, now);
            let taken = limiter.take("ada", &rate, now).await.unwrap();
            assert_eq!(taken, wanted.map(drop), "{rate:?} {full_at:?} {now}");
            full_at = wanted.ok().or(full_at);
        }
    }
}

#[tokio::test]
async fn clearing_forgives_and_touches_nobody_else() {
    let home = Home::new().await;
    let limiter = PgThrottle::new(home.pool());
    for account in ["ada", "bob"] {
        for _ in 0..10 {
            limiter.take(account, &RATE, start()).await.unwrap().unwrap();
        }
    }
    limiter.clear("ada").await.unwrap();
    limiter.clear("never seen").await.unwrap();
    assert!(limiter.take("ada", &RATE, start()).await.unwrap().is_ok());
    assert!(limiter.take("bob", &RATE, start()).await.unwrap().is_err());
}

#[tokio::test]
async fn the_table_names_nobody() {
    let home = Home::new().await;
    PgThrottle::new(home.pool()).take("ada@example.com", &RATE, start()).await.unwrap().unwrap();
    let digest = home.value("SELECT encode(sha256('ada@example.com'), 'hex')").await;
    assert_eq!(home.first_column("SELECT key FROM auth_throttle").await, [digest]);
}

#[tokio::test]
async fn what_has_run_full_is_cleared_away_in_passing() {
    let home = Home::new().await;
    let limiter = PgThrottle::new(home.pool());
    for number in 0..20 {
        limiter.take(&format!("old {number}"), &RATE, start()).await.unwrap().unwrap();
    }
    limiter.take("busy", &RATE, later(3_600)).await.unwrap().unwrap();
    limiter.take("new", &RATE, later(3_601)).await.unwrap().unwrap();
    assert_eq!(home.value("SELECT count(*) FROM auth_throttle").await, "2");
}

#[tokio::test]
async fn within_a_unit_of_work_it_counts_with_the_commit() {
    let home = Home::of_three().await;
    let (store, rate) = (store(home.pool()), Rate { burst: 2, interval: TimeDelta::minutes(1) });
    let mut admitted = Vec::new();
    for is_committed in [false, true, true, true] {
        let mut unit = store.begin().await.unwrap();
        admitted.push(unit.throttle().take("ada", &rate, later(0)).await.unwrap());
        if is_committed { unit.commit().await.unwrap() } else { unit.rollback().await.unwrap() }
    }
    assert_eq!(admitted, [true, true, true, false]);
    let mut unit = store.begin().await.unwrap();
    assert!(unit.throttle().take("bob", &rate, later(0)).await.unwrap());
    assert!(unit.throttle().take("ada", &rate, later(60)).await.unwrap());
}

use subtle_domain::ports::StoreError;
use subtle_domain::sync::{Place, PlacedEvent};

use crate::sessions::Caller;
use crate::{Page, Ports};

/// A page of a sync log, oldest first.
pub type EventPage = Page<PlacedEvent, Place>;

/// Shows the caller a page of their sync log: what came after a place.
pub async fn list_events(
    ports: &Ports,
    caller: &Caller,
    after: Place,
    limit: u32,
) -> Result<EventPage, StoreError> {
    let events = ports.sync_events.after(&caller.user_id, after, EventPage::reach(limit)).await?;
    Ok(Page::of(events, limit, |last| last.place))
}

#[cfg(test)]
mod tests {
    use super::super::tell::tests::placed;
    use super::*;
    use crate::test_ports::{self, caller};

    #[tokio::test]
    async fn a_full_page_tells_the_place_of_its_last_event() {
        let mut mocks = test_ports::Mocks::default();
        mocks
            .sync_events
            .expect_after()
            .withf(|user, place, limit| user.as_str() == "ada" && place.number() == 4 && *limit == 3)
            .returning(|_, _, _| Ok([5, 6, 7].map(placed).into()));
        let page = list_events(&mocks.ports(), &caller(), Place::new(4), 2).await.unwrap();
        assert_eq!(page, EventPage { items: [5, 6].map(placed).into(), next: Some(Place::new(6)) });
    }
}

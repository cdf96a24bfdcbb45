/// A page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T, C> {
    /// What is on it.
    pub items: Vec<T>,
    /// Where the next page begins, if there is more.
    pub next: Option<C>,
}

impl<T, C> Page<T, C> {
    /// How many rows to read for a page of `limit`: one more tells whether there is a next page.
    pub(crate) fn reach(limit: u32) -> u32 {
        limit.saturating_add(1)
    }

    /// The page of up to `limit` of the rows that were read; `place` gives the place of a row in the list.
    pub(crate) fn of(mut rows: Vec<T>, limit: u32, place: impl FnOnce(&T) -> C) -> Self {
        let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = rows.len() > wanted;
        rows.truncate(wanted);
        let next = rows.last().filter(|_| more).map(place);
        Self { items: rows, next }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_tells_where_the_next_begins_and_the_last_that_there_is_none() {
        let page = |rows: &[u8]| Page::of(rows.to_vec(), 2, |last| *last);
        assert_eq!(Page::<u8, u8>::reach(2), 3);
        assert_eq!(page(&[3, 2, 1]), Page { items: vec![3, 2], next: Some(2) });
        assert_eq!(page(&[3, 2]), Page { items: vec![3, 2], next: None });
        assert_eq!(page(&[]), Page { items: vec![], next: None });
    }
}

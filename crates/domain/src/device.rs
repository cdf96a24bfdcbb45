//! What a device is called, by what its client says of itself. For people to recognise theirs, never for a decision.

/// Browsers and apps by the product they name, the more particular first: most name others too.
const CLIENTS: [(&str, &str); 12] = [
    ("Edg/", "Edge"),
    ("EdgA/", "Edge"),
    ("EdgiOS/", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("FxiOS/", "Firefox"),
    ("Firefox/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("Electron/", "Electron"),
    ("Chrome/", "Chrome"),
    ("Version/", "Safari"),
    ("MSIE ", "Internet Explorer"),
];

/// Systems by the words for them, the more particular first.
const SYSTEMS: [(&str, &str); 10] = [
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("CrOS", "ChromeOS"),
    ("Macintosh", "Mac"),
    ("Mac OS X", "Mac"),
    ("Darwin", "Mac"),
    ("macOS", "Mac"),
    ("Linux", "Linux"),
];

/// Longest name of a product that is shown as it is.
const LONGEST: usize = 40;

/// A name such as "Safari on iPhone" or "Subtle on Mac"; `None` where nothing can be told.
#[must_use]
pub fn describe(user_agent: &str) -> Option<String> {
    let named = |names: &[(&str, &'static str)]| {
        names.iter().find(|(word, _)| user_agent.contains(word)).map(|(_, name)| *name)
    };
    let system = named(&SYSTEMS);
    let is_browser = user_agent.starts_with("Mozilla/") || user_agent.starts_with("Opera/");
    let client = if is_browser { named(&CLIENTS) } else { product(user_agent) };
    match (client, system) {
        (Some(client), Some(system)) => Some(format!("{client} on {system}")),
        (Some(name), None) | (None, Some(name)) => Some(name.to_owned()),
        (None, None) => None,
    }
}

/// The first product's name (RFC 9110, 10.1.5): `Subtle/1.0 (Macintosh)` is Subtle.
fn product(user_agent: &str) -> Option<&str> {
    let name = user_agent.split(['/', ' ', '(']).next().unwrap_or_default();
    let fits = !name.is_empty() && name.len() <= LONGEST && name.is_ascii();
    fits.then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_called_what_people_call_them() {
        for (user_agent, name) in [
            (
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.4 Safari/605.1.15",
                "Safari on Mac",
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.4 Mobile/15E148 Safari/604.1",
                "Safari on iPhone",
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 CriOS/123.0 Mobile/15E148 Safari/604.1",
                "Chrome on iPhone",
            ),
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/123.0 Safari/537.36 Edg/123.0",
                "Edge on Windows",
            ),
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:124.0) Gecko/20100101 Firefox/124.0",
                "Firefox on Windows",
            ),
            (
                "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/123.0 Mobile Safari/537.36",
                "Chrome on Android",
            ),
            (
                "Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/123.0 Safari/537.36",
                "Chrome on ChromeOS",
            ),
            (
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 Slack/4 Chrome/120.0 Electron/28.0 Safari/537.36",
                "Electron on Mac",
            ),
            ("Subtle/1.0 (Macintosh)", "Subtle on Mac"),
            ("curl/8.5.0", "curl"),
            ("Mozilla/5.0 (X11; Linux x86_64)", "Linux"),
        ] {
            assert_eq!(describe(user_agent).as_deref(), Some(name), "{user_agent}");
        }
    }

    #[test]
    fn where_nothing_can_be_told_nothing_is() {
        for user_agent in ["", " ", "Mozilla/5.0", "李/1.0", &"x".repeat(41)] {
            assert_eq!(describe(user_agent), None, "{user_agent}");
        }
    }
}

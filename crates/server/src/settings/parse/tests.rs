use super::*;

const MS: fn(u64) -> Option<Duration> = |ms| Some(Duration::from_millis(ms));

#[test]
fn a_time_is_a_number_and_a_unit_and_seconds_without_one() {
    for (text, time) in [
        ("500ms", MS(500)),
        ("10s", MS(10_000)),
        ("10", MS(10_000)),
        ("0", MS(0)),
        ("15m", MS(900_000)),
        ("12h", MS(43_200_000)),
        ("90d", MS(7_776_000_000)),
        ("", None),
        ("s", None),
        ("1.5s", None),
        ("-1s", None),
        ("+1s", None),
        ("1 s", None),
        ("1w", None),
        ("1S", None),
        ("1s1", None),
        ("99999999999d", None),
        ("4294967295d", Some(DAY * u32::MAX)),
        ("٣s", None),
    ] {
        assert_eq!(duration(text), time, "{text:?}");
    }
}

#[test]
fn a_time_out_of_its_range_is_told_the_range_in_the_shortest_way() {
    assert_eq!(time("15m", SECOND, DAY), Ok(15 * MINUTE));
    for (text, least, most, range) in [
        ("0", SECOND, DAY, "from 1s to 1d"),
        ("2d", SECOND, DAY, "from 1s to 1d"),
        ("soon", Duration::ZERO, 90 * SECOND, "from 0s to 90s"),
        ("", 100 * MILLISECOND, 36 * HOUR, "from 100ms to 36h"),
    ] {
        let fit = time(text, least, most).unwrap_err().to_string();
        assert!(fit.contains(range), "{fit}");
    }
}

#[test]
fn a_size_is_in_bytes_or_binary_units() {
    for (text, bytes) in [
        ("1024", Some(1024)),
        ("2048B", Some(2048)),
        ("64KiB", Some(65_536)),
        ("1MiB", Some(1_048_576)),
        ("1MB", None),
        ("1023", None),
        ("3MiB", None),
        ("-1MiB", None),
        ("MiB", None),
        ("99999999999999999999MiB", None),
    ] {
        assert_eq!(size(text, 1024, 2 << 20).ok(), bytes, "{text:?}");
    }
}

#[test]
fn a_quota_is_three_limits() {
    let free = Some(QuotaLimits::at_most(10_000, 10_000_000, 5));
    for (text, parsed) in [
        ("10000/10000000/5.00", free),
        ("none/none/none", Some(QuotaLimits::UNLIMITED)),
        ("10000/10000000", None),
        ("1/2/3/4", None),
        ("-1/2/3", None),
        ("1.5/2/3", None),
        ("1e3/2/3", None),
        ("//", None),
    ] {
        assert_eq!(quota(text).ok(), parsed, "{text:?}");
    }
}

#[test]
fn a_rate_is_a_burst_and_the_time_in_which_it_comes_back() {
    let of = |burst, interval| Some(Rate { burst, interval });
    for (text, parsed) in [
        ("10/10m", of(10, TimeDelta::seconds(60))),
        ("300/1m", of(300, TimeDelta::milliseconds(200))),
        ("1/1s", of(1, TimeDelta::seconds(1))),
        ("7/1m", of(7, TimeDelta::milliseconds(8_572))),
        ("1000000/1s", of(1_000_000, TimeDelta::milliseconds(1))),
        ("0/1m", None),
        ("1000001/1m", None),
        ("10/500ms", None),
        ("10/2d", None),
        ("10", None),
        ("/1m", None),
        ("10/", None),
        ("off", None),
    ] {
        assert_eq!(rate(text).ok(), parsed, "{text:?}");
    }
}

#[test]
fn numbers_keep_to_their_range() {
    for (text, number) in
        [("4", Some(4)), ("16", Some(16)), ("3", None), ("17", None), ("", None), ("ten", None)]
    {
        assert_eq!(count(text, 4, 16).ok(), number, "{text:?}");
    }
    assert!(cores("cores").is_ok());
    assert_eq!(cores("3").unwrap().get(), 3);
    assert!(cores("0").is_err() && cores("1025").is_err());
}

#[test]
fn an_origin_is_a_scheme_and_a_host_and_nothing_more() {
    for origin_given in ["https://app.example.com", "http://localhost:3000"] {
        assert!(origin(origin_given).is_ok(), "{origin_given}");
    }
    for other in [
        "*",
        "app.example.com",
        "https://",
        "https://a.example/",
        "https://a.example/x",
        "https://a b",
        "ftp://a",
    ] {
        assert!(origin(other).is_err(), "{other}");
    }
    assert_eq!(list(origin)("").unwrap(), Vec::<String>::new());
    assert_eq!(list(origin)("https://a.example, https://b.example").unwrap().len(), 2);
    assert!(list(origin)("https://a.example,").is_err());
}

#[test]
fn urls_of_mail_servers_and_of_the_service_have_their_schemes() {
    assert!(smtp_url("smtps://u:p@mail.example.com:465").is_ok());
    assert!(web_url("https://accounts.example.com/base").is_ok());
    for other in ["mail.example.com", "http://mail", "smtp://", "smtp://a\r\nb"] {
        assert!(smtp_url(other).is_err(), "{other:?}");
    }
}

#[test]
fn absence_has_a_word() {
    let parse = unless("off", rate);
    assert_eq!(parse("off"), Ok(None));
    assert!(parse("1/1m").unwrap().is_some());
    assert!(parse("").is_err(), "an empty variable is most likely a mistake");
}

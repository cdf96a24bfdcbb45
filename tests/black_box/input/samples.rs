//! Values that software of all kinds has stumbled over, as JSON.

/// Texts that JSON can carry.
pub(super) fn texts() -> Vec<String> {
    let mut texts: Vec<String> = [
        r#""""#,
        r#"" ""#,
        r#""\t\r\n""#,
        r#""null""#,
        r#""undefined""#,
        r#""true""#,
        r#""NaN""#,
        r#""-1""#,
        r#""1e400""#,
        r#""0x10""#,
        r#""' OR '1'='1' --""#,
        r#""'; DROP TABLE users; --""#,
        r#""$1""#,
        r#""%s%n%x""#,
        r#""%_\\%""#,
        r#""{{7*7}} ${7*7}""#,
        r#""<script>alert(1)</script>""#,
        r#""\"><img src=x onerror=alert(1)>""#,
        r#""&lt;b&gt;&amp;""#,
        r#""javascript:alert(1)""#,
        r#""\u001b[31mred\u001b[0m\u0007""#,
        r#""a\r\nSet-Cookie: a=b""#,
        r#""a\nb\u2028c\u2029d\u0085e""#,
        r#""\u202egnp.exe\u202c""#,
        r#""\u2066\u2067\u2069""#,
        r#""\u200b\u200d\ufeff""#,
        r#""Z\u0351\u036b\u0343a\u0308\u0301l\u0334g\u0321o\u0315""#,
        r#""e\u0301 \u00e9""#,
        r#""\u0130stanbul \u0131 \u1e9e \ufb01""#,
        r#""\ud83d\udc69\u200d\ud83d\udcbb\ud83c\udff3\ufe0f\u200d\ud83c\udf08""#,
        r#""\ud834\udd1e\udbff\udfff""#,
        r#""\ufffe\uffff""#,
        r#""\u7530\u4e2d\u3055\u3093""#,
        r#""\u0627\u0644\u0639\u0631\u0628\u064a\u0629""#,
        r#""../../../../etc/passwd""#,
        r#""..\\..\\windows\\system32\\config""#,
        r#""file:///etc/passwd""#,
        r#""http://169.254.169.254/latest/meta-data/""#,
        r#""https://example.com/\u00fc?a=b#c""#,
        r#""\\u0000""#,
        r#""O'Brien \\\"q\\\"""#,
        r#""a@b@example.com""#,
        r#""A.B+c@EXAMPLE.com""#,
        r#""x@xn--p1ai.xn--p1ai""#,
        r#""\u00fc@b\u00fccher.example""#,
        r#""a@example.com\r\nBcc: eve@example.com""#,
    ]
    .map(str::to_owned)
    .into();
    texts.extend([71, 72, 200, 201, 254, 2_048, 2_049, 65_536].map(|n| format!("\"{}\"", "x".repeat(n))));
    texts.push(format!("\"{}\"", "\u{1f600}".repeat(200)));
    texts.push(format!("\"{}\"", r"\u0301".repeat(5_000)));
    texts
}

/// What is no text, or none that can be stored; with the status that it gets wherever text is wanted.
pub(super) fn never_texts() -> Vec<(String, u16)> {
    let mut values: Vec<(String, u16)> = [
        (r#""\u0000""#, 422),
        (r#""a\u0000b""#, 422),
        (r#""\\\u0000""#, 422),
        (r#""\ud800""#, 400),
        (r#""\udc00\ud800""#, 400),
        (r#""\ud83d""#, 400),
        (r#""\x41""#, 400),
        (r#""\u12""#, 400),
        ("\"a\nb\"", 400),
        ("\"a\0b\"", 400),
        ("'single'", 400),
        ("NaN", 400),
        ("-Infinity", 400),
        ("01", 400),
        ("1.", 400),
        ("", 400),
        ("0", 422),
        ("-1.5e3", 422),
        ("18446744073709551616", 422),
        ("1e400", 400),
        ("true", 422),
        ("[]", 422),
        (r#"["a"]"#, 422),
        ("{}", 422),
        (r#"{"$gt":""}"#, 422),
    ]
    .map(|(value, status)| (value.to_owned(), status))
    .into();
    values.push((format!("{}1{}", "[".repeat(60), "]".repeat(60)), 422));
    values
}

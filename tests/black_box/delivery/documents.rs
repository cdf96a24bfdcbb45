//! The API's description, its reader, and the keys.

use crate::support::{Answer, Document, TestApp};

#[tokio::test]
async fn the_committed_document_is_the_one_that_is_served() {
    let app = TestApp::start().await;
    let served = app.get("/openapi.json").await.expect(200);
    assert_eq!(served.header("content-type"), "application/json");
    assert_eq!(served.text, Document::TEXT, "run `cargo xtask openapi`");
    assert_eq!(served.body["openapi"], "3.1.0");
}

/// What an HTML page or a script loads or links to.
fn links(html: &str) -> Vec<&str> {
    let marks = ["src=\"", "href=\""];
    let links = marks.iter().flat_map(|mark| html.split(mark).skip(1));
    links.filter_map(|rest| rest.split('"').next()).collect()
}

#[tokio::test]
async fn swagger_ui_comes_from_the_binary_alone() {
    let app = TestApp::start().await;
    let page = app.get("/docs/").await.expect(200);
    assert!(page.header("content-type").starts_with("text/html"), "{:?}", page.headers);
    assert!(!page.text.contains("http://") && !page.text.contains("https://"), "{}", page.text);
    let links = links(&page.text);
    assert!(links.len() >= 4, "{links:?}");
    for link in links {
        assert!(!link.starts_with('/') && !link.contains(':'), "{link}");
        let part = app.get(&format!("/docs/{link}")).await.expect(200);
        assert!(!part.text.is_empty(), "{link}");
    }
    let started = app.get("/docs/swagger-initializer.js").await.expect(200);
    assert!(started.text.contains("/openapi.json"), "{}", started.text);
    let without_slash = Answer::of(app.request("GET", "/docs")).await.expect(200);
    assert_eq!(without_slash.text, page.text);
    for method in ["POST", "DELETE"] {
        let answer = Answer::of(app.request(method, "/docs/")).await;
        assert!(matches!(answer.status, 404 | 405), "{method} {}", answer.status);
        let status = answer.status;
        answer.expect(status);
    }
}

#[tokio::test]
async fn the_published_key_verifies_the_tokens() {
    use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    let app = TestApp::start().await;
    let ada = app.person().await;
    let jwks = app.get("/.well-known/jwks.json").await.expect(200);
    assert_eq!(jwks.header("cache-control"), "public, max-age=300");
    assert_eq!((jwks.str("/keys/0/alg"), jwks.str("/keys/0/crv")), ("EdDSA", "Ed25519"));
    let key = UnparsedPublicKey::new(&ED25519, URL_SAFE_NO_PAD.decode(jwks.str("/keys/0/x")).unwrap());
    let (message, signature) = ada.access.rsplit_once('.').unwrap();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    key.verify(message.as_bytes(), &signature).unwrap();
    key.verify(format!("{message}x").as_bytes(), &signature).unwrap_err();
}

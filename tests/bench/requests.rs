//! Requests as bytes.

/// What the load tool says that it is. Sessions that are filled in have it too, lest a sign-in be one on a new device.
pub(crate) const AGENT: &str = "subtle-bench";

pub(crate) fn get(path: &str, token: &str) -> Vec<u8> {
    let mut request = Vec::new();
    head(&mut request, "GET", path, token);
    request.extend_from_slice(b"\r\n");
    request
}

pub(crate) fn post(path: &str, token: &str, body: &str) -> Vec<u8> {
    let mut request = Vec::new();
    write_post(&mut request, path, token, body.as_bytes());
    request
}

/// The same behind what is there.
pub(crate) fn write_post(request: &mut Vec<u8>, path: &str, token: &str, body: &[u8]) {
    head(request, "POST", path, token);
    request.extend_from_slice(b"content-type: application/json\r\ncontent-length: ");
    request.extend_from_slice(body.len().to_string().as_bytes());
    request.extend_from_slice(b"\r\n\r\n");
    request.extend_from_slice(body);
}

fn head(request: &mut Vec<u8>, method: &str, path: &str, token: &str) {
    for part in [method, " ", path, " HTTP/1.1\r\nhost: bench\r\nuser-agent: ", AGENT, "\r\n"] {
        request.extend_from_slice(part.as_bytes());
    }
    if !token.is_empty() {
        for part in ["authorization: Bearer ", token, "\r\n"] {
            request.extend_from_slice(part.as_bytes());
        }
    }
}

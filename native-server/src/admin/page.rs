//! The page that shows the cluster: files that were built into this binary, and what a browser may do with them.

use super::{Admin, guard, percent};
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use kvorum_core::base::hash128;
use std::fmt::Write;
use std::sync::LazyLock;

/// Paths below the root, sorted, and their bytes. Empty if there was no page when this was built.
static FILES: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/page.rs"));

/// What names each file's content.
static TAGS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let tag = |(_, bytes): &(&str, &[u8])| format!("\"{:032x}\"", hash128(bytes));
    FILES.iter().map(tag).collect()
});

/// Served at `/`.
const INDEX: &str = "index.html";
/// Its name tells its content, so it never becomes another one.
const FOR_EVER: &str = "public, max-age=31536000, immutable";
/// Ask whether it is still this one.
const ASK_AGAIN: &str = "no-cache";

/// What is at no other path: the page and its parts.
pub async fn file(State(admin): State<Admin>, method: Method, uri: Uri, headers: HeaderMap) -> Response {
    if method != Method::GET && method != Method::HEAD {
        return (StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, "GET, HEAD")], "read it with GET\n")
            .into_response();
    }
    let path = percent::decode(uri.path().strip_prefix('/').unwrap_or_default())
        .and_then(|path| String::from_utf8(path).ok());
    let path = path.as_deref().map(|path| if path.is_empty() { INDEX } else { path });
    let found = path.and_then(|path| FILES.binary_search_by_key(&path, |(name, _)| name).ok());
    let mut response = match found {
        Some(place) => serve(place, &headers),
        None if path == Some(INDEX) => no_page(&admin).into_response(),
        None => {
            (StatusCode::NOT_FOUND, "nothing is here: / is the page, /status tells what the node knows\n")
                .into_response()
        }
    };
    if let Ok(policy) = HeaderValue::from_str(&policy(&admin)) {
        response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    response
}

fn serve(place: usize, headers: &HeaderMap) -> Response {
    let ((name, bytes), tag) = (FILES[place], &TAGS[place]);
    let keep = if is_named_by_content(name) { FOR_EVER } else { ASK_AGAIN };
    let head = [(header::CACHE_CONTROL, keep), (header::ETAG, tag.as_str())];
    let known = headers.get(header::IF_NONE_MATCH).and_then(|known| known.to_str().ok());
    if known.is_some_and(|known| known.split(',').any(|one| one.trim().trim_start_matches("W/") == tag)) {
        return (StatusCode::NOT_MODIFIED, head).into_response();
    }
    (head, [(header::CONTENT_TYPE, content_type(name))], Body::from(bytes)).into_response()
}

fn no_page(admin: &Admin) -> String {
    format!(
        "Kvorum {} node {}\n\n/livez /readyz /metrics /status /picture /events\n\nThe page that shows the cluster at work is \
         not part of this build: `make web` makes it, and `make build` after that builds it in.\n",
        env!("CARGO_PKG_VERSION"),
        admin.shared.settings.name
    )
}

/// As the page's build names its parts: `assets/index-BxYz12_-.js`.
fn is_named_by_content(name: &str) -> bool {
    let Some((stem, _)) = name.strip_prefix("assets/").and_then(|name| name.rsplit_once('.')) else {
        return false;
    };
    let Some(at) = stem.len().checked_sub(9) else { return false };
    stem.as_bytes()[at] == b'-'
        && stem.as_bytes()[at + 1..].iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(byte))
}

/// Browsers take scripts and modules only with the right one, for they are told not to guess.
fn content_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, end)| end) {
        Some("html") => "text/html; charset=utf-8",
        Some("js" | "mjs") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("json" | "map") => "application/json",
        Some("webmanifest") => "application/manifest+json",
        Some("wasm") => "application/wasm",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("jpg" | "jpeg") => "image/jpeg",
        Some("webp") => "image/webp",
        Some("ico") => "image/x-icon",
        Some("woff2") => "font/woff2",
        Some("txt" | "md") => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

/// The page runs what came with it and speaks to the members of its cluster, and to nobody else.
fn policy(admin: &Admin) -> String {
    let mut policy = String::from(
        "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; style-src 'self' 'unsafe-inline'; \
         img-src 'self' data:; font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
         connect-src 'self'",
    );
    let view = admin.shared.view();
    let members = view.iter().flat_map(|view| &view.topology.members).map(|member| member.admin.as_str());
    let mut known: Vec<String> =
        members.chain([admin.shared.settings.admin.as_str()]).flat_map(guard::names_of).collect();
    known.sort();
    known.dedup();
    for address in known.iter().filter(|address| is_source(address)) {
        // Writing to a String cannot fail.
        let _ = write!(policy, " http://{address} ws://{address}");
    }
    policy
}

/// What a policy can name. It has no form for IPv6 addresses; a page from such a one reaches its own node by `'self'`.
fn is_source(address: &str) -> bool {
    address.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.:".contains(&byte))
        && address.bytes().filter(|byte| *byte == b':').count() == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_a_hash_never_change() {
        for name in ["assets/index-BxYz12_-.js", "assets/kvorum_bg-a-cdefgh.wasm"] {
            assert!(is_named_by_content(name), "{name}");
        }
        for name in [
            "index.html",
            "assets/index.js",
            "assets/-short.js",
            "favicon-12345678.svg",
            "assets/é-2345678.js",
        ] {
            assert!(!is_named_by_content(name), "{name}");
        }
    }

    #[test]
    fn a_policy_names_plain_addresses_only() {
        assert!(is_source("127.0.0.1:7380") && is_source("node1.example:7380"));
        for address in ["[::1]:7380", "evil; script-src *:1", "evil *:1", "node1.example", "a:1:2"] {
            assert!(!is_source(address), "{address}");
        }
    }

    #[test]
    fn the_files_are_in_the_order_they_are_looked_up_in() {
        assert!(FILES.is_sorted_by_key(|(name, _)| *name));
        assert!(FILES.is_empty() || FILES.binary_search_by_key(&INDEX, |(name, _)| name).is_ok());
        assert_eq!(content_type("assets/kvorum_bg-12345678.wasm"), "application/wasm");
    }
}

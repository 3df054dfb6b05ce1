use super::Admin;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::net::IpAddr;

/// Refuses what a page of another origin made a browser send: there are no users yet, so being able to reach the port
/// is all it takes.
///
/// A name in `Host` other than those this node is known by is a rebound one; an `Origin` that is no member's admin
/// address is a foreign page. Programs send neither a foreign `Host` nor any `Origin`.
pub async fn guard(State(admin): State<Admin>, request: Request, next: Next) -> Response {
    match check(&admin, request.headers()) {
        Ok(()) => next.run(request).await,
        Err(why) => (StatusCode::FORBIDDEN, why).into_response(),
    }
}

/// Lets the pages of members read an answer: their origins are others, if only by the port. Only for what changes nothing;
/// runs behind [`guard`], which lets no other origin through.
pub async fn share(request: Request, next: Next) -> Response {
    let origin = request.headers().get(header::ORIGIN).cloned();
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.append(header::VARY, HeaderValue::from_static("Origin"));
    if let Some(origin) = origin {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    }
    response
}

/// What every answer says: its type is as told, and its address is nobody else's business.
pub async fn harden(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert("cross-origin-opener-policy", HeaderValue::from_static("same-origin"));
    response
}

/// An admin address, and what a browser on the same machine may call it too.
pub fn names_of(address: &str) -> Vec<String> {
    let mut names = vec![address.to_owned()];
    if let (host, Some(port)) = split(address)
        && is_loopback(host)
    {
        names.extend(["127.0.0.1", "localhost"].map(|host| format!("{host}:{port}")));
    }
    names
}

fn check(admin: &Admin, headers: &HeaderMap) -> Result<(), &'static str> {
    let text = |name| match headers.get(name) {
        None => Ok(None),
        Some(value) => value.to_str().map(Some).map_err(|_| "a header that is no text\n"),
    };
    let own = &admin.shared.settings.admin;
    if let Some(host) = text(header::HOST)?
        && !is_own_host(host, own)
    {
        return Err(
            "this Host is not a name of the node: use its address, localhost or its --advertise name\n",
        );
    }
    if let Some(origin) = text(header::ORIGIN)? {
        let view = admin.shared.view();
        let members = view.iter().flat_map(|view| &view.topology.members).map(|member| member.admin.as_str());
        if !members.chain([own.as_str()]).any(|known| is_origin_of(origin, known)) {
            return Err("this Origin is no member's admin address\n");
        }
    }
    Ok(())
}

fn split(address: &str) -> (&str, Option<&str>) {
    match address.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => (unbracket(host), Some(port)),
        _ => (unbracket(address), None),
    }
}

fn unbracket(host: &str) -> &str {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

/// An address cannot be rebound, a name can.
fn is_own_host(host: &str, own: &str) -> bool {
    let (name, _) = split(host);
    name.parse::<IpAddr>().is_ok()
        || name.eq_ignore_ascii_case("localhost")
        || name.eq_ignore_ascii_case(split(own).0)
}

/// The same port, and the same host or another name of loopback.
fn is_origin_of(origin: &str, known: &str) -> bool {
    let Some(address) = origin.strip_prefix("http://") else { return false };
    let ((host, port), (known_host, known_port)) = (split(address), split(known));
    let same_host = host.eq_ignore_ascii_case(known_host) || (is_loopback(host) && is_loopback(known_host));
    same_host && port.unwrap_or("80") == known_port.unwrap_or("80")
}

fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rebound_names_and_foreign_pages_are_refused() {
        let own = "node1.example:7380";
        for host in ["127.0.0.1:7380", "localhost:7380", "[::1]:7380", "node1.example:7380", "localhost"] {
            assert!(is_own_host(host, own), "{host}");
        }
        for host in ["evil.example:7380", "node1.example.evil", "127.0.0.1.evil.example"] {
            assert!(!is_own_host(host, own), "{host}");
        }
        assert!(is_origin_of("http://localhost:7380", "127.0.0.1:7380"));
        assert!(is_origin_of("http://node1.example:7380", own));
        for origin in ["http://127.0.0.1:7381", "https://127.0.0.1:7380", "null", "http://evil.example:7380"]
        {
            assert!(!is_origin_of(origin, "127.0.0.1:7380"), "{origin}");
        }
    }
}

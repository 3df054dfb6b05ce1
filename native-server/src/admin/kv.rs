use super::{Admin, percent};
use axum::Json;
use axum::body::Bytes as Body;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use kvorum_core::base::PartitionId;
use kvorum_core::data::{Expiry, Op, Refusal, Reply, WriteReply};
use kvorum_core::version::Sibling;
use serde::{Deserialize, Serialize};

/// Longest body of a batch.
pub const BULK_BYTES_MAX: usize = 64 << 20;
/// Longest body of one value, with room for a clear refusal of one slightly too long.
pub const VALUE_BODY_BYTES_MAX: usize = 17 << 20;
/// Says where the next page of a scan starts.
pub const CURSOR_HEADER: &str = "x-kvorum-cursor";
/// Keys of a page of a scan.
const SCAN_COUNT_MAX: u32 = 4_096;
/// Bytes of values of a page, about.
const SCAN_BYTES_MAX: usize = 16 << 20;

/// A key and its value, as batches and scans carry them.
///
/// ```text
///  0         4           8              16    16 + key
///  ├─ key u32 ┼─ value u32 ┼─ expires u64 ┼─ key ─┼─ value ─┤     all little-endian
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The key.
    pub key: Bytes,
    /// Its value.
    pub value: Bytes,
    /// When that ends, in Unix milliseconds; 0 for never.
    pub expires_at_ms: u64,
}

/// Bytes of an entry before its key.
const ENTRY_HEAD_BYTES: usize = 16;

/// Appends an entry.
pub fn write_entry(out: &mut Vec<u8>, key: &[u8], value: &[u8], expires_at_ms: u64) {
    out.extend_from_slice(&(key.len() as u32).to_le_bytes());
    out.extend_from_slice(&(value.len() as u32).to_le_bytes());
    out.extend_from_slice(&expires_at_ms.to_le_bytes());
    out.extend_from_slice(key);
    out.extend_from_slice(value);
}

/// Reads entries; `None` if the bytes are not whole entries.
pub fn read_entries(bytes: &Bytes) -> Option<Vec<Entry>> {
    let mut entries = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let (key, rest) = bytes.get(at..)?.split_first_chunk::<4>()?;
        let (value, rest) = rest.split_first_chunk::<4>()?;
        let expires_at_ms = u64::from_le_bytes(*rest.first_chunk::<8>()?);
        let (key, value) = (u32::from_le_bytes(*key) as usize, u32::from_le_bytes(*value) as usize);
        let from = at + ENTRY_HEAD_BYTES;
        let middle = from.checked_add(key)?;
        let end = middle.checked_add(value).filter(|end| *end <= bytes.len())?;
        entries.push(Entry {
            key: bytes.slice(from..middle),
            value: bytes.slice(middle..end),
            expires_at_ms,
        });
        at = end;
    }
    Some(entries)
}

/// Why something was not done, for programs.
#[derive(Debug, Serialize)]
struct Problem {
    code: &'static str,
    message: String,
}

fn problem(admin: &Admin, refusal: &Refusal) -> Response {
    let status = match refusal {
        Refusal::TryAgain(_) | Refusal::CameLate { .. } | Refusal::ClusterDown { .. } => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        Refusal::InDoubt { .. } => StatusCode::GATEWAY_TIMEOUT,
        Refusal::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
        Refusal::Storage(_) => StatusCode::INSUFFICIENT_STORAGE,
        _ => StatusCode::BAD_REQUEST,
    };
    (status, Json(Problem { code: refusal.code(), message: said(admin, refusal) })).into_response()
}

fn said(admin: &Admin, refusal: &Refusal) -> String {
    crate::command::words(refusal, admin.shared.view().as_deref())
}

fn bad(message: &str) -> Response {
    (StatusCode::BAD_REQUEST, Json(Problem { code: "ERR", message: message.into() })).into_response()
}

fn written(admin: &Admin, reply: Reply) -> Response {
    match reply {
        Reply::Written(WriteReply { existed, acks, hinted, .. }) => {
            Json(serde_json::json!({ "existed": existed, "acks": acks, "hinted": hinted })).into_response()
        }
        Reply::Refused(refusal) => problem(admin, &refusal),
        _ => bad("internal: the reply does not fit the request"),
    }
}

/// `GET /kv/{key}`.
pub async fn get(State(admin): State<Admin>, uri: axum::http::Uri) -> Response {
    let Some(key) = key(&uri) else { return bad("the key is not percent-encoded") };
    match admin.ask_one(Op::Get { key, r: None }).await {
        Reply::Read(read) => {
            let winner = read.cell.as_ref().and_then(|cell| cell.winner(admin.now_ms()));
            match winner.and_then(Sibling::value) {
                Some(value) => value.clone().into_response(),
                None => (StatusCode::NOT_FOUND, "no such key\n").into_response(),
            }
        }
        Reply::Refused(refusal) => problem(&admin, &refusal),
        _ => bad("internal: the reply does not fit the request"),
    }
}

/// How long a value lives.
#[derive(Debug, Deserialize)]
pub struct PutQuery {
    ttl_ms: Option<u64>,
}

/// `PUT /kv/{key}`.
pub async fn put(
    State(admin): State<Admin>,
    uri: axum::http::Uri,
    Query(query): Query<PutQuery>,
    value: Body,
) -> Response {
    let Some(key) = key(&uri) else { return bad("the key is not percent-encoded") };
    // As `KV.PUT` has it: what is too large for a number of this kind is too large for the other one, too.
    let ttl_ms = query.ttl_ms.map(|ttl_ms| i64::try_from(ttl_ms).unwrap_or(i64::MAX));
    let expiry = match ttl_ms.map(|ttl_ms| crate::command::ttl(ttl_ms, admin.now_ms())) {
        None => Expiry::Never,
        Some(Ok(expiry)) => expiry,
        Some(Err(wrong)) => return bad(&wrong.message),
    };
    written(&admin, admin.ask_one(Op::Put { key, value, context: None, expiry, w: None }).await)
}

/// `DELETE /kv/{key}`.
pub async fn delete(State(admin): State<Admin>, uri: axum::http::Uri) -> Response {
    let Some(key) = key(&uri) else { return bad("the key is not percent-encoded") };
    written(&admin, admin.ask_one(Op::Delete { key, context: None, w: None }).await)
}

/// From the raw path: axum would take a key that is no UTF-8 for a mistake.
fn key(uri: &axum::http::Uri) -> Option<Bytes> {
    percent::decode(uri.path().strip_prefix("/kv/")?).map(Bytes::from)
}

/// What became of a batch.
#[derive(Debug, Serialize, Deserialize)]
pub struct BulkReply {
    /// How many were written.
    pub written: u64,
    /// Those that were not, or of which nobody knows.
    pub failed: Vec<BulkFailure>,
}

/// One entry of a batch that is not known to be written.
#[derive(Debug, Serialize, Deserialize)]
pub struct BulkFailure {
    /// Its place in the batch.
    pub index: u64,
    /// `TRYAGAIN`, `CLUSTERDOWN`, `INDOUBT` or `ERR`.
    pub code: String,
    /// Why.
    pub message: String,
}

/// `POST /bulk`: entries to be written, all in flight together.
pub async fn bulk(State(admin): State<Admin>, body: Body) -> Response {
    let Some(entries) = read_entries(&body) else { return bad("the body is not whole entries") };
    let put = |entry: Entry| Op::Put {
        // Copies: slices would keep the whole body alive as long as one of its keys is.
        key: Bytes::copy_from_slice(&entry.key),
        value: Bytes::copy_from_slice(&entry.value),
        context: None,
        expiry: if entry.expires_at_ms == 0 { Expiry::Never } else { Expiry::At(entry.expires_at_ms) },
        w: None,
    };
    let replies = admin.ask(entries.into_iter().map(put).collect()).await;
    let mut result = BulkReply { written: 0, failed: Vec::new() };
    for (index, reply) in (0..).zip(replies) {
        match reply {
            Reply::Refused(refusal) => result.failed.push(BulkFailure {
                index,
                code: refusal.code().into(),
                message: said(&admin, &refusal),
            }),
            _ => result.written += 1,
        }
    }
    Json(result).into_response()
}

/// Where a scan goes on.
#[derive(Debug, Deserialize)]
pub struct ScanQuery {
    #[serde(default)]
    cursor: u64,
    #[serde(default)]
    count: u32,
}

/// `GET /scan`: a page of keys with their values; the header says where the next one starts, 0 at the end.
pub async fn scan(State(admin): State<Admin>, Query(query): Query<ScanQuery>) -> Response {
    let Some(view) = admin.shared.view() else {
        return problem(&admin, &Refusal::TryAgain("this node is no member of a cluster yet"));
    };
    let partition_count = view.topology.partition_count();
    let limit = if query.count == 0 { 1_024 } else { query.count.min(SCAN_COUNT_MAX) };
    let Some((mut partition, mut hash)) = crate::command::place_of(query.cursor, partition_count) else {
        return bad("invalid cursor");
    };
    let (mut body, mut found) = (Vec::new(), 0);
    let next = loop {
        let page = match admin.ask_one(Op::Scan { partition, from_hash: hash, limit: limit - found }).await {
            Reply::Page(page) => page,
            Reply::Refused(refusal) => return problem(&admin, &refusal),
            _ => return bad("internal: the reply does not fit the request"),
        };
        let get = |key: &Bytes| Op::Get { key: key.clone(), r: None };
        let values = admin.ask(page.entries.iter().map(|entry| get(&entry.key)).collect()).await;
        for (entry, reply) in page.entries.iter().zip(values) {
            match reply {
                Reply::Read(read) => {
                    let winner = read.cell.as_ref().and_then(|cell| cell.winner(admin.now_ms()));
                    // One that has gone meanwhile is no longer part of the answer.
                    if let Some((winner, value)) = winner.and_then(|winner| Some((winner, winner.value()?))) {
                        write_entry(&mut body, &entry.key, value, winner.expires_at_ms().unwrap_or(0));
                    }
                }
                Reply::Refused(refusal) => return problem(&admin, &refusal),
                _ => {}
            }
        }
        found += page.entries.len() as u32;
        match page.next_hash {
            Some(next) => hash = next,
            None if partition.0 + 1 < partition_count => {
                (partition, hash) = (PartitionId(partition.0 + 1), 0)
            }
            None => break 0,
        }
        if found >= limit || body.len() >= SCAN_BYTES_MAX {
            break crate::command::cursor_of(partition, hash);
        }
    };
    let mut headers = HeaderMap::new();
    headers.insert(CURSOR_HEADER, HeaderValue::from(next));
    (headers, body).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_read_back_and_cut_ones_are_refused() {
        let mut bytes = Vec::new();
        write_entry(&mut bytes, b"k", b"", 7);
        write_entry(&mut bytes, b"", &[0xff; 300], 0);
        let whole = Bytes::from(bytes);
        let entries = read_entries(&whole).unwrap();
        assert_eq!(
            entries,
            [
                Entry { key: Bytes::from_static(b"k"), value: Bytes::new(), expires_at_ms: 7 },
                Entry { key: Bytes::new(), value: Bytes::from(vec![0xff; 300]), expires_at_ms: 0 }
            ]
        );
        for cut in 1..whole.len() {
            let read = read_entries(&whole.slice(..cut));
            assert!(read.is_none() || cut == ENTRY_HEAD_BYTES + 1, "cut at {cut}");
        }
    }
}

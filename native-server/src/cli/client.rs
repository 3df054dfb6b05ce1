use super::AdminOptions;
use crate::admin::percent;
use std::time::Duration;

/// No answer takes longer.
const ANSWER_MAX: Duration = Duration::from_secs(30);
/// Longest answer: a status of many partitions, a value.
const ANSWER_BYTES_MAX: u64 = 128 << 20;

/// One node's admin port.
pub struct Client {
    agent: ureq::Agent,
    base: String,
}

/// What the node said, whatever its status.
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The header that says where a scan goes on.
    pub cursor: Option<u64>,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// The body if it is done, else what the node said.
    pub fn done(self) -> Result<Vec<u8>, String> {
        if (200..300).contains(&self.status) { Ok(self.body) } else { Err(self.problem()) }
    }
    /// What the node said was wrong.
    pub fn problem(&self) -> String {
        let value: Result<serde_json::Value, _> = serde_json::from_slice(&self.body);
        let said = value.ok().and_then(|value| {
            Some(format!("{} {}", value.get("code")?.as_str()?, value.get("message")?.as_str()?))
        });
        said.unwrap_or_else(|| {
            format!("the node answered {} {}", self.status, String::from_utf8_lossy(&self.body).trim())
        })
    }
}

impl Client {
    /// A client of the node that the flags name.
    pub fn new(options: &AdminOptions) -> Client {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(ANSWER_MAX))
            .user_agent("kvorum");
        Client { agent: config.build().into(), base: options.admin.clone() }
    }
    fn said<E: std::fmt::Display>(&self, error: E) -> String {
        let error = error.to_string();
        if error.contains("uri too long") {
            return "the key is too long for the address of a request: at most 65536 bytes, and about 21000 if they are \
                    no plain text; a Redis client takes any key of up to 65536 bytes"
                .into();
        }
        format!("{} does not answer: {error}; is a node running there? --admin names another one", self.base)
    }
    fn read(
        &self,
        response: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
    ) -> Result<Answer, String> {
        let mut response = response.map_err(|error| self.said(error))?;
        let cursor =
            response.headers().get("x-kvorum-cursor").and_then(|value| value.to_str().ok()?.parse().ok());
        let status = response.status().as_u16();
        let body = response.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_vec();
        Ok(Answer { status, cursor, body: body.map_err(|error| self.said(error))? })
    }
    /// `GET` of a path.
    pub fn get(&self, path: &str) -> Result<Answer, String> {
        self.read(self.agent.get(format!("{}{path}", self.base)).call())
    }
    /// `DELETE` of a path.
    pub fn delete(&self, path: &str) -> Result<Answer, String> {
        self.read(self.agent.delete(format!("{}{path}", self.base)).call())
    }
    /// `PUT` of bytes.
    pub fn put(&self, path: &str, body: &[u8]) -> Result<Answer, String> {
        self.read(self.agent.put(format!("{}{path}", self.base)).send(body))
    }
    /// `POST` of bytes.
    pub fn post(&self, path: &str, body: &[u8]) -> Result<Answer, String> {
        self.read(self.agent.post(format!("{}{path}", self.base)).send(body))
    }
}

/// The path of a key.
pub fn path_of(key: &[u8]) -> String {
    format!("/kv/{}", percent::encode(key))
}

use kvorum_core::{lsm, sim};
use wasm_bindgen::JsValue;

/// Why something was not done. Crosses the border as an object of these fields.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Fault {
    /// What the caller can do about it; one of the package's `KvorumErrorCode`.
    pub code: &'static str,
    /// What happened, in a sentence.
    pub message: String,
    /// The same call may succeed soon.
    pub retryable: bool,
    /// The word by which a node of the cluster refused, if one did.
    pub refusal: Option<&'static str>,
    /// The line of a script that is wrong, if one is.
    pub script: Option<ScriptFault>,
}

/// What is wrong with a script, for who says it in other words.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct ScriptFault {
    /// Counted from 1.
    pub line: u32,
    /// One of the package's `ScriptProblem`.
    pub problem: &'static str,
    /// The words that it is wrong with.
    pub found: String,
    /// The most that there may be.
    pub most: Option<u32>,
}

impl Fault {
    /// One with a code and a sentence, final and no node's.
    pub fn new(code: &'static str, message: impl Into<String>) -> Fault {
        Fault { code, message: message.into(), retryable: false, refusal: None, script: None }
    }
    /// A wrong key, value or option.
    pub fn invalid(message: impl Into<String>) -> Fault {
        Fault::new("INVALID_ARGUMENT", message)
    }
}

impl From<Fault> for JsValue {
    fn from(fault: Fault) -> JsValue {
        // Plain fields always have a picture; should they ever not, the sentence alone still tells.
        serde_wasm_bindgen::to_value(&fault).unwrap_or_else(|_| JsValue::from_str(&fault.message))
    }
}

impl From<lsm::Error> for Fault {
    fn from(error: lsm::Error) -> Fault {
        let code = match error {
            lsm::Error::InvalidArgument(_) => "INVALID_ARGUMENT",
            _ => "NOT_DONE",
        };
        let retryable = error == lsm::Error::Overloaded;
        Fault { retryable, ..Fault::new(code, error.to_string()) }
    }
}

impl From<sim::ScriptError> for Fault {
    fn from(error: sim::ScriptError) -> Fault {
        let (problem, most) = (error.kind.name(), error.kind.most());
        let message = error.to_string();
        let script = ScriptFault { line: error.line, problem, found: error.found, most };
        Fault { script: Some(script), ..Fault::new("BAD_SCRIPT", message) }
    }
}

impl From<sim::SubmitError> for Fault {
    fn from(error: sim::SubmitError) -> Fault {
        Fault::new("SCRIPT_FULL", error.to_string())
    }
}

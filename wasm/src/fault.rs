use kvorum_core::lsm;
use wasm_bindgen::JsValue;

/// Why something was not done. Crosses the border as an object of three fields.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Fault {
    /// What the caller can do about it; one of the package's `KvorumErrorCode`.
    pub code: &'static str,
    /// What happened, in a sentence.
    pub message: String,
    /// The same call may succeed soon.
    pub retryable: bool,
}

impl Fault {
    /// A wrong key, value or option.
    pub fn invalid(message: impl Into<String>) -> Fault {
        Fault { code: "INVALID_ARGUMENT", message: message.into(), retryable: false }
    }
}

impl From<Fault> for JsValue {
    fn from(fault: Fault) -> JsValue {
        // Three plain fields always have a picture; should one ever not, the sentence alone still tells.
        serde_wasm_bindgen::to_value(&fault).unwrap_or_else(|_| JsValue::from_str(&fault.message))
    }
}

impl From<lsm::Error> for Fault {
    fn from(error: lsm::Error) -> Fault {
        let (code, retryable) = match error {
            lsm::Error::InvalidArgument(_) => ("INVALID_ARGUMENT", false),
            lsm::Error::Overloaded => ("NOT_DONE", true),
            _ => ("NOT_DONE", false),
        };
        Fault { code, message: error.to_string(), retryable }
    }
}

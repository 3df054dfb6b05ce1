//! The core for JavaScript: an embedded store and a whole simulated cluster, for pages, workers and Node.
//!
//! Glue, but for what ARCHITECTURE.md lists: core decides, and the package around this module (`wasm/npm`) checks what it is given and words the
//! types. Whatever fails crosses the border as [`Fault`]: a code, a sentence, and whether to try again.

mod answer;
mod cluster;
mod fault;
mod store;

pub use cluster::{Calm, Cluster};
pub use fault::Fault;
pub use store::{Cursor, Store, WriteBatch};

use std::cell::RefCell;
use wasm_bindgen::prelude::wasm_bindgen;

#[cfg(target_family = "wasm")]
#[global_allocator]
static ALLOCATOR: talc::wasm::WasmDynamicTalc = talc::wasm::new_wasm_dynamic_allocator();

thread_local! {
    static LAST_PANIC: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Sets up how a panic is told: on the console, and to whoever asks [`last_panic`] afterwards.
#[wasm_bindgen(start)]
pub fn start() {
    std::panic::set_hook(Box::new(|info| {
        console_error_panic_hook::hook(info);
        let text = info.to_string();
        // Whoever panics while the text is in use has been told already.
        LAST_PANIC.with(|last| {
            if let Ok(mut last) = last.try_borrow_mut() {
                *last = text;
            }
        });
    }));
}

/// What the last panic said. After one the module answers nothing else that could be trusted.
#[wasm_bindgen(js_name = lastPanic)]
pub fn last_panic() -> String {
    LAST_PANIC.with(|last| last.try_borrow().map(|last| last.clone()).unwrap_or_default())
}

/// The version of the core.
#[wasm_bindgen]
pub fn version() -> String {
    String::from(env!("CARGO_PKG_VERSION"))
}

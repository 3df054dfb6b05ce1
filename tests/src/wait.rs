//! Waiting for something to become so.

use std::time::{Duration, Instant};

/// Pause between two questions.
const PAUSE: Duration = Duration::from_millis(20);

/// Asks until there is an answer, and says how long that took. Panics with `what` and the last complaint at the
/// deadline.
pub fn until<T>(deadline: Duration, what: &str, mut ask: impl FnMut() -> Result<T, String>) -> (T, Duration) {
    let began = Instant::now();
    loop {
        match ask() {
            Ok(found) => return (found, began.elapsed()),
            Err(complaint) if began.elapsed() >= deadline => {
                panic!("{what}: not within {deadline:?}; at last: {complaint}")
            }
            Err(_) => std::thread::sleep(PAUSE),
        }
    }
}

/// [`until`] for what is true or not.
pub fn until_true(deadline: Duration, what: &str, mut ask: impl FnMut() -> bool) -> Duration {
    until(deadline, what, || ask().then_some(()).ok_or_else(|| "not so".into())).1
}

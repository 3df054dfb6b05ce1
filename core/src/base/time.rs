use core::ops::{Add, Sub};
use serde::Serialize;

/// A count of microseconds: a point on a clock or a span, as the name of the field says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize)]
pub struct Micros(pub u64);

impl Micros {
    /// Whole milliseconds as microseconds.
    pub const fn from_millis(millis: u64) -> Micros {
        Micros(millis * 1_000)
    }
    /// Whole seconds as microseconds.
    pub const fn from_secs(secs: u64) -> Micros {
        Micros(secs * 1_000_000)
    }
    /// Rounded down to whole milliseconds.
    pub const fn as_millis(self) -> u64 {
        self.0 / 1_000
    }
    /// The span from `earlier` to `self`; zero if `earlier` is later.
    pub const fn since(self, earlier: Micros) -> Micros {
        Micros(self.0.saturating_sub(earlier.0))
    }
}

impl Add for Micros {
    type Output = Micros;
    fn add(self, span: Micros) -> Micros {
        Micros(self.0.saturating_add(span.0))
    }
}
impl Sub for Micros {
    type Output = Micros;
    fn sub(self, span: Micros) -> Micros {
        Micros(self.0.saturating_sub(span.0))
    }
}

/// The two clocks of the host, as its driver read them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Now {
    /// Never goes back while the process lives; its zero means nothing.
    pub mono: Micros,
    /// Microseconds since 1970 as the host believes; may be skewed, jump and go back.
    pub wall: Micros,
}

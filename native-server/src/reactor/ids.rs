use kvorum_core::data::RequestId;

/// Who waits for a reply, packed into the request's id, so that a reply finds its place without a look-up.
///
/// ```text
///  client:  0 ‖ thread 7 ‖ connection 24 ‖ sequence 32
///  task:    1 ‖ thread 7 ‖ task 20 ‖ life 14 ‖ number 22
/// ```
///
/// Sequences of a connection's place go on over its connections, and a task's place counts its lives, so a reply that
/// comes late meets nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waiter {
    /// A connection's command.
    Client {
        /// The connection's place.
        connection: u32,
        /// The command's place in its ring.
        sequence: u32,
    },
    /// One request of a task.
    Task {
        /// The task's place.
        task: u32,
        /// Which task that was there.
        life: u16,
        /// Which of its requests.
        number: u32,
    },
}

/// Most data threads.
pub const THREAD_COUNT_MAX: usize = 1 << 7;
/// Most client connections of a thread.
pub const CONNECTION_COUNT_MAX: usize = 1 << 24;
/// Most tasks of a thread.
pub const TASK_COUNT_MAX: usize = 1 << 20;
/// Most requests of a task.
pub const NUMBER_MAX: u32 = (1 << 22) - 1;

const LIFE_MASK: u64 = (1 << 14) - 1;

/// The id of a request that thread `thread` makes for `waiter`.
#[inline]
pub fn pack(thread: usize, waiter: Waiter) -> RequestId {
    let thread = (thread as u64 & 0x7f) << 56;
    RequestId(match waiter {
        Waiter::Client { connection, sequence } => {
            thread | u64::from(connection & 0xff_ffff) << 32 | u64::from(sequence)
        }
        Waiter::Task { task, life, number } => {
            1 << 63
                | thread
                | u64::from(task & 0xf_ffff) << 36
                | (u64::from(life) & LIFE_MASK) << 22
                | u64::from(number & NUMBER_MAX)
        }
    })
}

/// The thread that made a request.
#[inline]
pub fn thread_of(id: RequestId) -> usize {
    (id.0 >> 56 & 0x7f) as usize
}

/// For whom it was made.
#[inline]
pub fn waiter_of(id: RequestId) -> Waiter {
    if id.0 >> 63 == 0 {
        Waiter::Client { connection: (id.0 >> 32 & 0xff_ffff) as u32, sequence: id.0 as u32 }
    } else {
        Waiter::Task {
            task: (id.0 >> 36 & 0xf_ffff) as u32,
            life: (id.0 >> 22 & LIFE_MASK) as u16,
            number: id.0 as u32 & NUMBER_MAX,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_name_thread_and_waiter() {
        for waiter in [
            Waiter::Client { connection: 0xff_ffff, sequence: u32::MAX },
            Waiter::Client { connection: 0, sequence: 0 },
            Waiter::Task { task: 0xf_ffff, life: LIFE_MASK as u16, number: NUMBER_MAX },
            Waiter::Task { task: 0, life: 0, number: 1 },
        ] {
            let id = pack(127, waiter);
            assert_eq!((thread_of(id), waiter_of(id)), (127, waiter));
        }
    }
}

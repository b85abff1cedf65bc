//! What waits for a unit: earliest deadline first.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// A queue ordered by deadline; among equal deadlines, first come first.
///
/// It does not count its own bound: a request is admitted before its first stage, at most so many of a
/// tenant ([`Settings::under_way`](super::settings::Settings::under_way)), and is in one queue at a
/// time. So all queues together hold at most that, and handing on to the next unit never blocks.
#[derive(Debug)]
pub(super) struct Queue<T> {
    state: Mutex<State<T>>,
    filled: Condvar,
}

#[derive(Debug)]
struct State<T> {
    heap: BinaryHeap<Item<T>>,
    next: u64,
    closed: bool,
}

#[derive(Debug)]
struct Item<T> {
    deadline: Duration,
    number: u64,
    job: T,
}

impl<T> Ord for Item<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        // The heap gives the greatest first.
        (other.deadline, other.number).cmp(&(self.deadline, self.number))
    }
}

impl<T> PartialOrd for Item<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> PartialEq for Item<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<T> Eq for Item<T> {}

impl<T> Queue<T> {
    pub(super) fn new() -> Self {
        let state = State { heap: BinaryHeap::new(), next: 0, closed: false };
        Self { state: Mutex::new(state), filled: Condvar::new() }
    }

    /// Puts a job in; gives it back when the queue is closed.
    pub(super) fn push(&self, deadline: Duration, job: T) -> Result<(), T> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.closed {
            return Err(job);
        }
        let number = state.next;
        state.next += 1;
        state.heap.push(Item { deadline, number, job });
        drop(state);
        self.filled.notify_one();
        Ok(())
    }

    /// The most urgent job, waited for; `None` when the queue is closed and empty.
    pub(super) fn pop(&self) -> Option<T> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(item) = state.heap.pop() {
                return Some(item.job);
            }
            if state.closed {
                return None;
            }
            state = self.filled.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Lets nothing more in.
    pub(super) fn close(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).closed = true;
        self.filled.notify_all();
    }

    pub(super) fn len(&self) -> usize {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).heap.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn earliest_deadline_first_then_first_come() {
        let q = Queue::new();
        for (ms, name) in [(30, "c"), (10, "a1"), (20, "b"), (10, "a2")] {
            q.push(Duration::from_millis(ms), name).unwrap();
        }
        assert_eq!(q.len(), 4);
        q.close();
        assert_eq!(q.push(Duration::ZERO, "late"), Err("late"));
        let order: Vec<_> = std::iter::from_fn(|| q.pop()).collect();
        assert_eq!(order, ["a1", "a2", "b", "c"]);
    }

    #[test]
    fn a_waiting_reader_is_woken() {
        let q = Queue::new();
        std::thread::scope(|s| {
            let reader = s.spawn(|| (q.pop(), q.pop()));
            q.push(Duration::ZERO, 7).unwrap();
            q.close();
            assert_eq!(reader.join().unwrap(), (Some(7), None));
        });
    }
}

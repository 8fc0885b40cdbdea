//! A few threads for the products of one token: a fixed split into pieces, no queue, no allocation per job.
//!
//! Who does a piece never changes its result, so pieces are claimed: the caller does what no worker has begun, and a
//! busy machine costs little. A pool of one has no threads. Workers spin for some microseconds after a job, because the
//! next one comes soon, then sleep.
#![allow(
    unsafe_code,
    reason = "hands a borrowed closure and disjoint parts of slices to the workers"
)]

use std::{
    cell::UnsafeCell,
    marker::PhantomData,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError, TryLockError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
};

/// Pieces of a job for each thread.
const PIECES: usize = 4;
/// Rounds of waiting before a worker sleeps: some tens of microseconds.
const SPINS: usize = 4000;

/// Runs `f(piece)`; valid until all pieces of the job are done.
type Job = *const (dyn Fn(usize) + Sync);

struct Shared {
    /// Number of the job (upper half) and pieces that nobody has claimed (lower half).
    ticket: AtomicU64,
    job: UnsafeCell<Option<Job>>,
    /// Pieces of the job that are not done.
    pending: AtomicUsize,
    panicked: AtomicBool,
    stop: AtomicBool,
    /// Workers asleep.
    sleepers: Mutex<usize>,
    wake: Condvar,
}

// SAFETY: `job` is written only by the thread that holds `Pool::user` while no piece is pending, and read only after a
// piece of that job was claimed (release/acquire on `ticket`) and before it is reported done; the closure is `Sync`.
unsafe impl Sync for Shared {}
// SAFETY: the pointer in `job` is used only as described for `Sync`.
unsafe impl Send for Shared {}

impl Shared {
    /// Claims pieces and does them until none is left.
    fn help(&self) {
        let mut ticket = self.ticket.load(Ordering::Acquire);
        while ticket as u32 > 0 {
            let claim = self.ticket.compare_exchange_weak(
                ticket,
                ticket - 1,
                Ordering::Acquire,
                Ordering::Acquire,
            );
            if let Err(current) = claim {
                ticket = current;
                continue;
            }
            // SAFETY: a piece of this job is claimed and not done, so the job stays valid (see `Sync`).
            if let Some(job) = unsafe { *self.job.get() } {
                // SAFETY: as above.
                let job = unsafe { &*job };
                let piece = ticket as u32 as usize - 1;
                if catch_unwind(AssertUnwindSafe(|| job(piece))).is_err() {
                    self.panicked.store(true, Ordering::Relaxed);
                }
            }
            self.pending.fetch_sub(1, Ordering::Release);
            ticket = self.ticket.load(Ordering::Acquire);
        }
    }
}

/// Worker threads. Dropping the pool ends them.
pub struct Pool {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
    /// Held while a job runs; a second caller does its job alone.
    user: Mutex<()>,
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Pool({})", self.threads())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Pool {
    /// A pool of `threads`, the caller included; 0 and 1 have no workers. If the system gives fewer threads, it is
    /// smaller.
    pub fn new(threads: usize) -> Self {
        let shared = Arc::new(Shared {
            ticket: AtomicU64::new(0),
            job: UnsafeCell::new(None),
            pending: AtomicUsize::new(0),
            panicked: AtomicBool::new(false),
            stop: AtomicBool::new(false),
            sleepers: Mutex::new(0),
            wake: Condvar::new(),
        });
        let mut workers = Vec::new();
        for id in 1..threads {
            let shared = shared.clone();
            let builder = thread::Builder::new().name(format!("engine-{id}"));
            match builder.spawn(move || work(&shared)) {
                Ok(worker) => workers.push(worker),
                Err(e) => {
                    tracing::warn!("only {id} of {threads} engine threads: {e}");
                    break;
                }
            }
        }
        Self { shared, workers, user: Mutex::new(()) }
    }

    /// Threads that share a job, the caller included.
    pub fn threads(&self) -> usize {
        self.workers.len() + 1
    }

    /// Splits `a` into items of `a_len` elements and `b` into items of `b_len`, and runs `f(first item, a part, b part)`
    /// once for each of a few pieces of whole items.
    ///
    /// # Panics
    /// If the two slices have different numbers of items or `f` panics.
    pub fn split2<A: Send, B: Send>(
        &self,
        (a, a_len): (&mut [A], usize),
        (b, b_len): (&mut [B], usize),
        f: impl Fn(usize, &mut [A], &mut [B]) + Sync,
    ) {
        let items = a.len() / a_len;
        assert!(a.len() == items * a_len && b.len() == items * b_len);
        let pieces = (self.threads() * PIECES).min(items);
        if self.workers.is_empty() || pieces < 2 {
            return f(0, a, b);
        }
        let (a, b) = (Parts::new(a), Parts::new(b));
        self.run(pieces, &|piece| {
            let (from, to) = (items * piece / pieces, items * (piece + 1) / pieces);
            // SAFETY: ranges of different pieces do not overlap, and `run` does each piece once.
            let (a, b) =
                unsafe { (a.part(from * a_len, to * a_len), b.part(from * b_len, to * b_len)) };
            f(from, a, b);
        });
    }

    /// [`Pool::split2`] with one slice.
    ///
    /// # Panics
    /// If the slice is not a whole number of items or `f` panics.
    pub fn split<A: Send>(&self, a: &mut [A], a_len: usize, f: impl Fn(usize, &mut [A]) + Sync) {
        let items = a.len() / a_len;
        self.split2((a, a_len), (&mut vec![(); items], 1), |first, a, _| f(first, a));
    }

    /// Calls `f` with every number below `pieces` once, on whatever thread, and waits.
    fn run(&self, pieces: usize, f: &(dyn Fn(usize) + Sync)) {
        let guard = match self.user.try_lock() {
            Ok(guard) => guard,
            Err(TryLockError::Poisoned(e)) => e.into_inner(),
            Err(TryLockError::WouldBlock) => return (0..pieces).for_each(f),
        };
        let shared = &*self.shared;
        // SAFETY: only the lifetime is dropped; this function returns (or unwinds) only after all pieces are done.
        let job = unsafe { std::mem::transmute::<*const (dyn Fn(usize) + Sync + '_), Job>(f) };
        // SAFETY: `user` is held and no piece is pending, so nobody else touches `job`.
        unsafe { *shared.job.get() = Some(job) };
        shared.pending.store(pieces, Ordering::Relaxed);
        {
            let sleepers = lock(&shared.sleepers);
            let number = ((shared.ticket.load(Ordering::Relaxed) >> 32) + 1) & u64::from(u32::MAX);
            shared.ticket.store((number << 32) | pieces as u64, Ordering::Release);
            if *sleepers > 0 {
                shared.wake.notify_all();
            }
        }
        shared.help();
        let mut spins = 0;
        while shared.pending.load(Ordering::Acquire) > 0 {
            spins += 1;
            if spins < SPINS { std::hint::spin_loop() } else { thread::yield_now() }
        }
        let panicked = shared.panicked.swap(false, Ordering::Relaxed);
        drop(guard);
        assert!(!panicked, "a piece of a job panicked");
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        {
            let _sleepers = lock(&self.shared.sleepers);
            self.shared.stop.store(true, Ordering::Relaxed);
            self.shared.wake.notify_all();
        }
        for worker in self.workers.drain(..) {
            // A worker catches every panic, so joining cannot fail in a way that matters.
            let _ = worker.join();
        }
    }
}

fn work(shared: &Shared) {
    let idle = || {
        shared.ticket.load(Ordering::Acquire) as u32 == 0 && !shared.stop.load(Ordering::Relaxed)
    };
    while !shared.stop.load(Ordering::Relaxed) {
        let mut spins = 0;
        while spins < SPINS && idle() {
            spins += 1;
            std::hint::spin_loop();
        }
        if spins == SPINS {
            let mut sleepers = lock(&shared.sleepers);
            *sleepers += 1;
            while idle() {
                sleepers = shared.wake.wait(sleepers).unwrap_or_else(PoisonError::into_inner);
            }
            *sleepers -= 1;
        }
        shared.help();
    }
}

/// A slice that is handed out in parts to several threads.
struct Parts<'a, T> {
    start: *mut T,
    len: usize,
    slice: PhantomData<&'a mut [T]>,
}

// SAFETY: every part is given to one thread only (see `part`), and `T` may be sent.
unsafe impl<T: Send> Sync for Parts<'_, T> {}

impl<'a, T> Parts<'a, T> {
    fn new(slice: &'a mut [T]) -> Self {
        Self { start: slice.as_mut_ptr(), len: slice.len(), slice: PhantomData }
    }

    /// Elements `from..to`.
    ///
    /// # Safety
    /// Ranges asked for during one borrow must not overlap.
    #[allow(clippy::mut_from_ref, reason = "the caller keeps the ranges apart")]
    unsafe fn part(&self, from: usize, to: usize) -> &mut [T] {
        assert!(from <= to && to <= self.len);
        // SAFETY: the range is inside the slice that `new` borrowed mutably, and no other part overlaps it.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(from), to - from) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_item_is_done_once_whatever_the_number_of_threads() {
        for threads in [0, 1, 2, 3, 5] {
            let pool = Pool::new(threads);
            for round in 0..200 {
                let items = round % 17 + 1;
                let (mut a, mut b) = (vec![0usize; items * 3], vec![0usize; items]);
                pool.split2((&mut a, 3), (&mut b, 1), |first, a, b| {
                    for (i, (a, b)) in a.chunks_mut(3).zip(b).enumerate() {
                        a.iter_mut().for_each(|a| *a += first + i);
                        *b += 1;
                    }
                });
                assert!(a.iter().enumerate().all(|(i, a)| *a == i / 3), "{threads} {round}");
                assert!(b.iter().all(|b| *b == 1));
            }
        }
    }

    #[test]
    fn two_callers_at_once_both_get_their_results() {
        let pool = Pool::new(3);
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    for _ in 0..500 {
                        let mut a = vec![0usize; 64];
                        pool.split(&mut a, 1, |first, a| {
                            a.iter_mut().enumerate().for_each(|(i, a)| *a = first + i);
                        });
                        assert!(a.iter().enumerate().all(|(i, a)| i == *a));
                    }
                });
            }
        });
    }

    #[test]
    fn a_panic_reaches_the_caller_and_the_pool_lives_on() {
        let pool = Pool::new(2);
        let mut a = [0u8; 2];
        let result = catch_unwind(AssertUnwindSafe(|| {
            pool.split(&mut a, 1, |first, _| assert!(first == 0, "on purpose"));
        }));
        assert!(result.is_err());
        pool.split(&mut a, 1, |first, a| a.fill(first as u8));
        assert_eq!(a, [0, 1]);
    }
}

//! A few threads for the products of one token: a fixed split of the items, no queue, no allocation per job.
//!
//! Which thread does an item never changes its result. A pool of one has no threads. Workers spin for some microseconds
//! after a job, because the next one comes soon, then sleep.
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
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
};

/// Rounds of waiting before a worker sleeps: some tens of microseconds.
const SPINS: usize = 4000;

/// Runs `f(thread)`; valid only between the start of a job and the last decrement of `running`.
type Job = *const (dyn Fn(usize) + Sync);

struct Shared {
    /// Number of the current job.
    epoch: AtomicUsize,
    job: UnsafeCell<Option<Job>>,
    /// Workers that have not finished the current job.
    running: AtomicUsize,
    panicked: AtomicBool,
    stop: AtomicBool,
    /// Workers asleep.
    sleepers: Mutex<usize>,
    wake: Condvar,
}

// SAFETY: `job` is written only by the thread that holds `Pool::user` while no worker runs (`running` is 0), and read by
// workers after they saw the new `epoch` (release/acquire); the closure behind it is `Sync`.
unsafe impl Sync for Shared {}
// SAFETY: the pointer in `job` is used only as described for `Sync`.
unsafe impl Send for Shared {}

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
            epoch: AtomicUsize::new(0),
            job: UnsafeCell::new(None),
            running: AtomicUsize::new(0),
            panicked: AtomicBool::new(false),
            stop: AtomicBool::new(false),
            sleepers: Mutex::new(0),
            wake: Condvar::new(),
        });
        let mut workers = Vec::new();
        for id in 1..threads {
            let shared = shared.clone();
            let builder = thread::Builder::new().name(format!("engine-{id}"));
            match builder.spawn(move || work(&shared, id)) {
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
    /// once per thread on whole items in order.
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
        let parts = self.threads().min(items.max(1));
        if parts == 1 {
            return f(0, a, b);
        }
        let (a, b) = (Parts::new(a), Parts::new(b));
        self.run(&|thread| {
            let (from, to) = (items * thread / parts, items * (thread + 1) / parts);
            if thread < parts && from < to {
                // SAFETY: ranges of different threads do not overlap, and `run` calls each thread number once.
                let (a, b) =
                    unsafe { (a.part(from * a_len, to * a_len), b.part(from * b_len, to * b_len)) };
                f(from, a, b);
            }
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

    /// Calls `f` with every thread number below [`Pool::threads`] once and waits.
    fn run(&self, f: &(dyn Fn(usize) + Sync)) {
        let guard = match self.user.try_lock() {
            Ok(guard) => guard,
            Err(TryLockError::Poisoned(e)) => e.into_inner(),
            Err(TryLockError::WouldBlock) => return (0..self.threads()).for_each(f),
        };
        if self.workers.is_empty() {
            return f(0);
        }
        // SAFETY: only the lifetime is dropped; this function returns (or unwinds) only after all workers are done.
        let job = unsafe { std::mem::transmute::<*const (dyn Fn(usize) + Sync + '_), Job>(f) };
        // SAFETY: `user` is held and no worker runs, so nobody else touches `job`.
        unsafe { *self.shared.job.get() = Some(job) };
        self.shared.running.store(self.workers.len(), Ordering::Relaxed);
        {
            let sleepers = lock(&self.shared.sleepers);
            self.shared.epoch.fetch_add(1, Ordering::Release);
            if *sleepers > 0 {
                self.shared.wake.notify_all();
            }
        }
        let mine = catch_unwind(AssertUnwindSafe(|| f(0)));
        let mut spins = 0;
        while self.shared.running.load(Ordering::Acquire) > 0 {
            spins += 1;
            if spins < SPINS { std::hint::spin_loop() } else { thread::yield_now() }
        }
        drop(guard);
        if let Err(payload) = mine {
            std::panic::resume_unwind(payload);
        }
        assert!(
            !self.shared.panicked.swap(false, Ordering::Relaxed),
            "a worker of the pool panicked"
        );
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        {
            let _sleepers = lock(&self.shared.sleepers);
            self.shared.epoch.fetch_add(1, Ordering::Release);
            self.shared.wake.notify_all();
        }
        for worker in self.workers.drain(..) {
            // A worker catches every panic, so joining cannot fail in a way that matters.
            let _ = worker.join();
        }
    }
}

fn work(shared: &Shared, id: usize) {
    let mut seen = 0;
    loop {
        let mut spins = 0;
        while shared.epoch.load(Ordering::Acquire) == seen {
            spins += 1;
            if spins < SPINS {
                std::hint::spin_loop();
                continue;
            }
            let mut sleepers = lock(&shared.sleepers);
            *sleepers += 1;
            while shared.epoch.load(Ordering::Acquire) == seen {
                sleepers = shared.wake.wait(sleepers).unwrap_or_else(PoisonError::into_inner);
            }
            *sleepers -= 1;
        }
        seen = seen.wrapping_add(1);
        if shared.stop.load(Ordering::Relaxed) {
            return;
        }
        // SAFETY: the new epoch was seen, so the job was written before; it stays valid until `running` reaches 0.
        let job = unsafe { *shared.job.get() };
        if let Some(job) = job {
            // SAFETY: as above.
            let job = unsafe { &*job };
            if catch_unwind(AssertUnwindSafe(|| job(id))).is_err() {
                shared.panicked.store(true, Ordering::Relaxed);
            }
        }
        shared.running.fetch_sub(1, Ordering::Release);
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

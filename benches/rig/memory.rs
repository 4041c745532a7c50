//! Memory of this process: heap bytes asked for, and what the kernel counts.

use std::alloc::{GlobalAlloc, Layout};
use std::sync::atomic::{AtomicUsize, Ordering};

use mimalloc::MiMalloc;

static HEAP: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

/// The broker's allocator, counting the bytes that are asked for and not yet given back.
pub struct Counting;

fn grow(bytes: usize) {
    let now = HEAP.fetch_add(bytes, Ordering::Relaxed) + bytes;
    if now > PEAK.load(Ordering::Relaxed) {
        PEAK.fetch_max(now, Ordering::Relaxed);
    }
}

// SAFETY: every call goes on unchanged to `MiMalloc`, which keeps the contract; counting touches
// two atomics and neither allocates nor unwinds.
#[allow(unsafe_code, reason = "an allocator cannot be written without")]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        grow(layout.size());
        // SAFETY: the caller's promise, passed on.
        unsafe { MiMalloc.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        grow(layout.size());
        // SAFETY: the caller's promise, passed on.
        unsafe { MiMalloc.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        HEAP.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promise, passed on.
        unsafe { MiMalloc.dealloc(memory, layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        grow(size);
        HEAP.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promise, passed on.
        unsafe { MiMalloc.realloc(memory, layout, size) }
    }
}

/// Memory of a process, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// Asked for and not given back; 0 where the program's allocator does not count.
    pub heap: u64,
    /// The most of that at any time since the last reading.
    pub heap_peak: u64,
    /// Resident.
    pub resident: u64,
    /// Resident and backed by no file, huge pages included (`Anonymous`).
    pub anonymous: u64,
    /// Of that in huge pages.
    pub huge: u64,
}

impl Memory {
    /// Reads this process; the peak begins anew.
    ///
    /// # Panics
    /// When `/proc` is not there.
    pub fn read() -> Self {
        let rollup = std::fs::read_to_string("/proc/self/smaps_rollup").expect("/proc is there");
        let heap = HEAP.load(Ordering::Relaxed);
        let heap_peak = PEAK.swap(heap, Ordering::Relaxed);
        Self {
            heap: heap as u64,
            heap_peak: heap_peak as u64,
            resident: shardwire::process::resident_bytes().expect("/proc is there"),
            anonymous: bytes(&rollup, "Anonymous:"),
            huge: bytes(&rollup, "AnonHugePages:"),
        }
    }

    /// As one line.
    pub fn to_line(self) -> String {
        let Self { heap, heap_peak, resident, anonymous, huge } = self;
        format!("{heap} {heap_peak} {resident} {anonymous} {huge}")
    }

    /// Out of that line.
    ///
    /// # Panics
    /// When it is another line.
    pub fn from_line(line: &str) -> Self {
        let mut fields = line.split(' ').map(|field| field.parse().expect("a number"));
        let mut field = || fields.next().expect("five numbers");
        Self {
            heap: field(),
            heap_peak: field(),
            resident: field(),
            anonymous: field(),
            huge: field(),
        }
    }
}

/// The bytes of a line `Name:   123 kB`.
fn bytes(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or("0");
    line.trim().trim_end_matches("kB").trim().parse::<u64>().map_or(0, |kib| kib << 10)
}

//! Attacks on a whole broker in this process, one after the other: what each did, whether an honest
//! client was served meanwhile, and what memory it took: before, at its height, after.
//!
//! Each has a broker of its own, checks what the broker must say to the attackers, loses no message
//! of the bystanders, and has a bound on the memory of its height. Clients are bytes on sockets from loopback; their own buffers are
//! in the figures, the kernel's are not. Run one by name: `cargo test --test attack -- NAME`.

#[allow(unsafe_code)] // The attribute of an allocator counts as such.
mod allocator {
    /// The broker's own, or the figures would be another's.
    #[global_allocator]
    static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
}

mod broker;
mod bystanders;
mod client;
mod descriptors;
mod doors;
mod frames;
mod leaks;
mod log;
mod memory;
mod oversized;
mod places;
mod proxies;
mod readers;
mod tokens;
mod topics;

use broker::Attack;

const ATTACKS: &[Attack] = &[
    places::SILENT,
    places::ONE_ADDRESS,
    places::SLOW_HEADS,
    places::SLOW_BODIES,
    doors::LARGE_HEADS,
    doors::GARBAGE,
    doors::ORIGINS,
    doors::BAD_TOKENS,
    doors::BAD_TOKENS_OVER_THE_LIMIT,
    tokens::CONFUSED,
    tokens::EXPIRING,
    leaks::WILDCARDS,
    leaks::TENANTS,
    doors::RESETS,
    proxies::HEADERS,
    proxies::FORWARDED,
    oversized::FRAMES,
    oversized::REQUESTS,
    oversized::MANY,
    frames::BOMBS,
    frames::FRAGMENTS,
    frames::SMALL_FRAGMENTS,
    frames::PINGS,
    frames::FLOOD,
    readers::GIVEN_UP,
    readers::DROPPED_FOR,
    readers::APART,
    topics::SUBSCRIPTIONS,
    topics::PATTERNS,
    topics::NESTING,
    log::FORGED,
    descriptors::EXHAUSTED,
];

fn main() {
    let named: Vec<String> = std::env::args().skip(1).filter(|it| !it.starts_with('-')).collect();
    let log = log::capture();
    println!(
        "{:<30}{:>8}{:>8}{:>8}{:>9}{:>17}  (memory of the process in MiB)",
        "attack", "before", "peak", "after", "newcomer", "others, longest"
    );
    let mut run = 0;
    for attack in ATTACKS {
        if named.is_empty() || named.iter().any(|name| attack.name.contains(name.as_str())) {
            attack.run(log);
            run += 1;
        }
    }
    println!("{run} attacks, none of them got through");
}

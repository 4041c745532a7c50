//! How figures are told.

/// Says what a figure was measured on and with.
pub fn head(name: &str) {
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    // What follows the version may name a host's provider.
    let kernel = kernel.split(['-', '\n']).next().unwrap_or_default();
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    println!("{name}, shardwire {}", env!("CARGO_PKG_VERSION"));
    println!("{processors} processors, Linux {kernel}, loopback");
    println!();
}

/// The middle one; 0 of none.
pub fn median(values: &[f64]) -> f64 {
    quartile(values, 2)
}

/// The value below which `quarters` of four parts of the others lie; 0 of none.
pub fn quartile(values: &[f64], quarters: usize) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = sorted.len().saturating_sub(1) * quarters / 4;
    sorted.get(at).copied().unwrap_or(0.0)
}

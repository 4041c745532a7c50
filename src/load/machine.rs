//! The machine that a run is made on, as the outcome tells it: read from `/proc`, once.
//!
//! Figures mean nothing without it.

use std::fs;

use crate::load::outcome::Machine;

/// This machine. What cannot be read stays empty.
pub fn this() -> Machine {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let (processor, processors) = processor(&read("/proc/cpuinfo"));
    let kernel =
        format!("{} {}", read("/proc/sys/kernel/ostype"), read("/proc/sys/kernel/osrelease"));
    Machine {
        processor,
        processors,
        memory_bytes: memory_bytes(&read("/proc/meminfo")),
        kernel: kernel.split_whitespace().collect::<Vec<_>>().join(" "),
    }
}

/// Model and number of the processors in the text of `/proc/cpuinfo`. Not every architecture
/// names a model there.
fn processor(text: &str) -> (String, u32) {
    let mut model = String::new();
    let mut processors = 0;
    for line in text.lines() {
        let Some((key, value)) = line.split_once(':') else { continue };
        match key.trim() {
            "processor" => processors += 1,
            "model name" | "Model" | "Processor" if model.is_empty() => {
                value.trim().clone_into(&mut model);
            }
            _ => {}
        }
    }
    if processors == 0 {
        processors = std::thread::available_parallelism().map_or(0, |many| many.get() as u32);
    }
    if model.is_empty() {
        std::env::consts::ARCH.clone_into(&mut model);
    }
    (model, processors)
}

/// `MemTotal` in the text of `/proc/meminfo`.
fn memory_bytes(text: &str) -> u64 {
    let total = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kib = total.and_then(|rest| rest.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_proc() {
        let text = "processor\t: 0\nmodel name\t: Some CPU @ 2.00GHz\n\nprocessor\t: 1\n\
            model name\t: Some CPU @ 2.00GHz\nbogus\n";
        assert_eq!(processor(text), ("Some CPU @ 2.00GHz".to_owned(), 2));
        assert_eq!(processor("processor : 0\nModel : A board\n"), ("A board".to_owned(), 1));
        assert!(processor("").1 > 0);
        assert_eq!(memory_bytes("MemFree: 1 kB\nMemTotal:       2048 kB\n"), 2 << 20);
        assert_eq!(memory_bytes("MemTotal: lots\n"), 0);
    }

    #[test]
    fn this_machine_has_a_name() {
        let machine = this();
        assert!(machine.processors > 0 && machine.memory_bytes > 1 << 20, "{machine:?}");
        assert!(machine.kernel.starts_with("Linux "), "{machine:?}");
    }
}

//! Command-line arguments of a measuring program: `--name value` and `--name`.

/// The arguments of this process.
pub struct Arguments(Vec<String>);

impl Arguments {
    /// Reads them.
    pub fn read() -> Self {
        Self(std::env::args().skip(1).collect())
    }

    /// Whether `--name` is there.
    pub fn has(&self, name: &str) -> bool {
        self.at(name).is_some()
    }

    /// The value of `--name`.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(self.at(name)? + 1).map(String::as_str)
    }

    /// The number of `--name`.
    ///
    /// # Panics
    /// When it is no number.
    pub fn number(&self, name: &str) -> Option<usize> {
        let text = self.text(name)?;
        Some(text.parse().unwrap_or_else(|_| panic!("--{name} wants a number, not {text:?}")))
    }

    /// The number of `--name`, or else `full` in a measurement and `smoke` in a test run: `cargo
    /// bench` passes `--bench`, `cargo test --benches` does not.
    pub fn size(&self, name: &str, full: usize, smoke: usize) -> usize {
        self.number(name).unwrap_or(if self.is_measurement() { full } else { smoke })
    }

    /// Whether figures are wanted, and not only a sign that the program works.
    pub fn is_measurement(&self) -> bool {
        self.has("bench")
    }

    fn at(&self, name: &str) -> Option<usize> {
        self.0.iter().position(|argument| argument.strip_prefix("--") == Some(name))
    }
}

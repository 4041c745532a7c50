//! Closed vocabularies: what is written as one word of a few.
//!
//! Each is an enum and its words in one place, so that reading, printing and the text of an error
//! cannot disagree. Made with the macro `words`, by `rule` and by `config`.

/// A text that is none of a vocabulary's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAWord;

macro_rules! words {
    ($($(#[$doc:meta])* $name:ident { $($(#[$about:meta])* $variant:ident = $word:literal,)+ })+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$about])* $variant,)+
        }

        impl $name {
            /// Every variant.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];
            /// Every word, in the order of the variants.
            pub const WORDS: &'static [&'static str] = &[$($word),+];

            /// Its word.
            pub fn word(self) -> &'static str {
                Self::WORDS[self as usize]
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::words::NotAWord;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text {
                    $($word => Ok(Self::$variant),)+
                    _ => Err($crate::words::NotAWord),
                }
            }
        }
    )+};
}

pub(crate) use words;

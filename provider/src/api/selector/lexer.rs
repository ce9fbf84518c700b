//! The words and symbols of a selector.

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token<'a> {
    /// A key, a value, or `in` and `notin`, which can be keys and values too. Never empty.
    Word(&'a str),
    /// `!`
    Not,
    /// `=`
    Equals,
    /// `==`
    DoubleEquals,
    /// `!=`
    NotEquals,
    /// `>`
    Greater,
    /// `<`
    Less,
    /// `(`
    Open,
    /// `)`
    Close,
    /// `,`
    Comma,
    /// Nothing is left.
    End,
}

/// The longer ones first.
const SYMBOLS: [(&str, Token<'static>); 9] = [
    ("==", Token::DoubleEquals),
    ("!=", Token::NotEquals),
    ("=", Token::Equals),
    ("!", Token::Not),
    (">", Token::Greater),
    ("<", Token::Less),
    ("(", Token::Open),
    (")", Token::Close),
    (",", Token::Comma),
];

impl<'a> Token<'a> {
    /// As it is written.
    pub(super) fn text(self) -> &'a str {
        match self {
            Self::Word(word) => word,
            Self::End => "",
            symbol => SYMBOLS.iter().find(|(_, it)| *it == symbol).map_or("", |(text, _)| text),
        }
    }
}

/// Takes a text apart.
pub(super) struct Lexer<'a> {
    rest: &'a str,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { rest: text }
    }

    /// The next token; [`Token::End`] for ever after the last. A byte 0 ends the text, as in Go.
    pub(super) fn token(&mut self) -> Token<'a> {
        // Only these four: other blanks of Unicode are part of a word, which is no good one then.
        self.rest = self.rest.trim_start_matches([' ', '\t', '\r', '\n']);
        let symbol = SYMBOLS.iter().find(|(text, _)| self.rest.starts_with(text));
        let (token, length) = match symbol {
            Some((text, token)) => (*token, text.len()),
            None if self.rest.is_empty() || self.rest.starts_with('\0') => (Token::End, 0),
            None => {
                let is_end = |c: char| "=!()<>, \t\r\n\0".contains(c);
                let end = self.rest.find(is_end).unwrap_or(self.rest.len());
                (Token::Word(&self.rest[..end]), end)
            }
        };
        self.rest = &self.rest[length..];
        // Go's reader swallows the one that ends a token.
        if token != Token::End {
            self.rest = self.rest.strip_prefix('\0').unwrap_or(self.rest);
        }
        token
    }
}

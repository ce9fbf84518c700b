//! nginx's configuration language: just enough of it to change single directives.
//!
//! Source: <https://nginx.org/en/docs/beginners_guide.html#conf_structure> and nginx's
//! `ngx_conf_read_token` (`src/core/ngx_conf_file.c`). Comments are dropped; quoted words keep
//! their quotes, so that writing a file back changes nothing that nginx would read differently.

use std::fmt;

/// A directive, such as `listen 80;` or `server { … }`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Directive {
    pub(crate) name: String,
    /// Parameters as they are written, quotes included.
    pub(crate) args: Vec<String>,
    /// What is between its braces, if it has them.
    pub(crate) block: Option<Vec<Directive>>,
}

/// Text that is no nginx configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct SyntaxError {
    /// Counted from 1.
    pub line: usize,
    /// What is wrong there.
    pub problem: &'static str,
}

impl Directive {
    /// A directive without a block.
    pub(crate) fn new<const N: usize>(name: &str, args: [&str; N]) -> Directive {
        Directive { name: name.to_owned(), args: args.map(str::to_owned).to_vec(), block: None }
    }
}

/// `text` as one word of a configuration, quoted.
pub(crate) fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// Reads a whole configuration.
pub(crate) fn parse(text: &str) -> Result<Vec<Directive>, SyntaxError> {
    let mut tokens = Tokens { rest: text, line: 1 };
    let mut open: Vec<(Directive, usize)> = Vec::new();
    let mut directives = Vec::new();
    let mut words: Vec<String> = Vec::new();
    while let Some(token) = tokens.next()? {
        let line = tokens.line;
        match token {
            Token::Word(word) => words.push(word),
            Token::Semicolon => directives.push(directive(&mut words, line)?),
            Token::Open => {
                let directive = directive(&mut words, line)?;
                let inner = Directive { block: Some(std::mem::take(&mut directives)), ..directive };
                open.push((inner, line));
            }
            Token::Close if !words.is_empty() => {
                return Err(SyntaxError { line, problem: "a ; is missing before the }" });
            }
            Token::Close => {
                let Some((mut directive, _)) = open.pop() else {
                    return Err(SyntaxError { line, problem: "a } without a {" });
                };
                // While a block is open its field holds what came before it, one level up.
                let outer = directive.block.take().unwrap_or_default();
                directive.block = Some(std::mem::replace(&mut directives, outer));
                directives.push(directive);
            }
        }
    }
    match open.pop() {
        Some((_, line)) => Err(SyntaxError { line, problem: "a { that is never closed" }),
        None if words.is_empty() => Ok(directives),
        None => Err(SyntaxError { line: tokens.line, problem: "the last ; is missing" }),
    }
}

fn directive(words: &mut Vec<String>, line: usize) -> Result<Directive, SyntaxError> {
    let mut words = std::mem::take(words).into_iter();
    let name = words.next().ok_or(SyntaxError { line, problem: "a directive without a name" })?;
    Ok(Directive { name, args: words.collect(), block: None })
}

// === tokens ===

enum Token {
    Word(String),
    Semicolon,
    Open,
    Close,
}

struct Tokens<'a> {
    rest: &'a str,
    line: usize,
}

impl Tokens<'_> {
    fn next(&mut self) -> Result<Option<Token>, SyntaxError> {
        self.skip_blanks();
        let Some(first) = self.rest.chars().next() else { return Ok(None) };
        let (token, length) = match first {
            ';' => (Token::Semicolon, 1),
            '{' => (Token::Open, 1),
            '}' => (Token::Close, 1),
            quote @ ('"' | '\'') => {
                let problem = "a quote that is never closed";
                let length = quoted_length(self.rest, quote)
                    .ok_or(SyntaxError { line: self.line, problem })?;
                (Token::Word(self.rest[..length].to_owned()), length)
            }
            _ => {
                let length = bare_length(self.rest);
                (Token::Word(self.rest[..length].to_owned()), length)
            }
        };
        self.advance(length);
        Ok(Some(token))
    }

    fn skip_blanks(&mut self) {
        loop {
            let blanks = self.rest.len() - self.rest.trim_start().len();
            self.advance(blanks);
            if !self.rest.starts_with('#') {
                return;
            }
            self.advance(self.rest.find('\n').unwrap_or(self.rest.len()));
        }
    }

    fn advance(&mut self, length: usize) {
        let (passed, rest) = self.rest.split_at(length);
        self.line += passed.matches('\n').count();
        self.rest = rest;
    }
}

/// Length of the quoted word that `text` begins with, both quotes included.
fn quoted_length(text: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return Some(at + c.len_utf8()),
            _ => {}
        }
    }
    None
}

/// Length of the bare word that `text` begins with. `${name}` belongs to the word.
fn bare_length(text: &str) -> usize {
    let (mut escaped, mut variable, mut previous) = (false, false, ' ');
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '{' if previous == '$' => variable = true,
            '}' if variable => variable = false,
            ';' | '{' | '}' => return at,
            _ if c.is_whitespace() => return at,
            _ => {}
        }
        previous = c;
    }
    text.len()
}

// === printing ===

/// Directives one a line, blocks indented.
pub(crate) struct Printed<'a>(pub(crate) &'a [Directive]);

impl fmt::Display for Printed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        print(f, self.0, 0)
    }
}

fn print(f: &mut fmt::Formatter<'_>, directives: &[Directive], depth: usize) -> fmt::Result {
    let indent = "    ".repeat(depth);
    for directive in directives {
        write!(f, "{indent}{}", directive.name)?;
        for arg in &directive.args {
            write!(f, " {arg}")?;
        }
        match &directive.block {
            None => writeln!(f, ";")?,
            Some(block) => {
                writeln!(f, " {{")?;
                print(f, block, depth + 1)?;
                writeln!(f, "{indent}}}")?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Printed, SyntaxError, parse};
    use proptest::prelude::{prop_assert_eq, proptest};

    fn printed(text: &str) -> Result<String, SyntaxError> {
        parse(text).map(|directives| Printed(&directives).to_string())
    }

    #[test]
    fn a_configuration_is_read_and_printed_one_directive_a_line() {
        let text =
            "a; # comment; {\nhttp{server { listen 80 default_server;}b \"x;} \\\" y\" 'z';}";
        let expected = "a;\nhttp {\n    server {\n        listen 80 default_server;\n    }\n    \
                        b \"x;} \\\" y\" 'z';\n}\n";
        assert_eq!(printed(text).as_deref(), Ok(expected));
    }

    #[test]
    fn a_variable_in_braces_stays_one_word() {
        let text = "return 200 a${host}b$uri;\n";
        assert_eq!(printed(text).as_deref(), Ok(text));
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        #[track_caller]
        fn check(text: &str, line: usize, problem: &str) {
            let error = parse(text).expect_err("it is wrong");
            assert_eq!((error.line, error.problem), (line, problem));
        }
        check("a;\nb", 2, "the last ; is missing");
        check("http {\nserver {\n}", 1, "a { that is never closed");
        check("a;\n}\n", 2, "a } without a {");
        check("http {\n a b\n}", 3, "a ; is missing before the }");
        check("a;\n;", 2, "a directive without a name");
        check("a \"b;\n", 1, "a quote that is never closed");
    }

    proptest! {
        #[test]
        fn property_test_what_is_printed_reads_the_same(text in "[a-z0-9;{}#\"'$\\\\ \n]{0,60}") {
            if let Ok(directives) = parse(&text) {
                prop_assert_eq!(parse(&Printed(&directives).to_string()), Ok(directives));
            }
        }
    }
}

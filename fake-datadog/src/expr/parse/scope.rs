//! Scopes, the part between `{` and `}`.

use crate::{
    expr::{
        parse::{ParseError, Parser},
        scope::{Expr, Item, Pattern, Scope},
    },
    tags::{is_tag_char, normalise_pattern},
};

/// Deepest nesting of `NOT` and parentheses; keeps hostile text from exhausting the stack.
pub(super) const MAX_SCOPE_DEPTH: usize = 32;

impl Parser<'_> {
    pub(super) fn scope(&mut self) -> Result<Scope, ParseError> {
        if self.is_boolean_scope()? {
            let expr = self.any_of()?;
            return Ok(match expr {
                // Parentheses around one tag add nothing; one form for one meaning.
                Expr::Tag(pattern) => Scope::List(vec![Item { negated: false, pattern }]),
                expr => Scope::Boolean(expr),
            });
        }
        let mut items = Vec::new();
        loop {
            let negated = self.eat('!');
            items.push(Item { negated, pattern: self.pattern()? });
            if !self.eat(',') {
                return Ok(Scope::List(items));
            }
        }
    }

    /// Looks ahead to the closing brace for signs of either notation.
    fn is_boolean_scope(&self) -> Result<bool, ParseError> {
        let mut ahead = Parser { ..*self };
        let (mut list, mut boolean) = (false, false);
        let mut open = 0_usize;
        loop {
            ahead.skip_space();
            let start = ahead.at;
            let word = ahead.take_while(is_pattern_char);
            if word.is_empty() {
                match ahead.next() {
                    None | Some('}') => return Ok(boolean),
                    Some('!') => list = true,
                    // A comma inside parentheses separates the values of IN.
                    Some(',') => list |= open == 0,
                    Some('(') => {
                        boolean = true;
                        open += 1;
                    }
                    Some(')') => open = open.saturating_sub(1),
                    Some(_) => {}
                }
            } else {
                boolean |= is_keyword(word);
            }
            if list && boolean {
                return Err(ParseError::Mixed { position: self.position(start) });
            }
        }
    }

    fn any_of(&mut self) -> Result<Expr, ParseError> {
        let mut any = vec![self.all_of()?];
        while self.eat_keyword("OR") {
            any.push(self.all_of()?);
        }
        Ok(single(any).unwrap_or_else(Expr::Or))
    }

    fn all_of(&mut self) -> Result<Expr, ParseError> {
        let mut all = vec![self.one_of()?];
        while self.eat_keyword("AND") {
            all.push(self.one_of()?);
        }
        Ok(single(all).unwrap_or_else(Expr::And))
    }

    fn one_of(&mut self) -> Result<Expr, ParseError> {
        self.skip_space();
        self.scope_depth += 1;
        if MAX_SCOPE_DEPTH < self.scope_depth {
            return self.fail("a scope nested less deeply");
        }
        let expr = if self.eat('(') {
            let inner = self.any_of()?;
            self.expect(')', "AND, OR or ')'")?;
            inner
        } else if self.eat_keyword("NOT") {
            Expr::Not(Box::new(self.one_of()?))
        } else {
            self.tag_or_in()?
        };
        self.scope_depth -= 1;
        Ok(expr)
    }

    fn tag_or_in(&mut self) -> Result<Expr, ParseError> {
        self.skip_space();
        let start = self.at;
        if is_keyword(self.take_while(is_pattern_char)) {
            return self.fail_at(start, "a tag");
        }
        let after = self.at;
        let negated = self.eat_keyword("NOT");
        if !self.eat_keyword("IN") {
            // A NOT that no IN follows is left for the caller to refuse.
            self.at = start;
            return Ok(Expr::Tag(self.pattern()?));
        }
        let before_values = self.at;
        self.at = start;
        let key = self.tag_key("a tag key before IN")?;
        if self.at != after {
            return self.fail_at(start, "a tag key before IN");
        }
        self.at = before_values;
        Ok(Expr::In { key, values: self.values()?, negated })
    }

    fn values(&mut self) -> Result<Vec<String>, ParseError> {
        self.expect('(', "'(' and values")?;
        let mut values = Vec::new();
        loop {
            self.skip_space();
            let start = self.at;
            let value = self.take_while(is_tag_char);
            if value.is_empty() {
                return self.fail_at(start, "a value without wildcards");
            }
            values.push(normalise_pattern(value));
            if !self.eat(',') {
                break;
            }
        }
        self.expect(')', "',' or ')'")?;
        Ok(values)
    }

    fn pattern(&mut self) -> Result<Pattern, ParseError> {
        self.skip_space();
        let start = self.at;
        let text = self.take_while(is_pattern_char);
        let key = text.split_once(':').map_or(text, |(key, _)| key);
        if text != "*" && (key.is_empty() || key.contains('*')) {
            return self.fail_at(start, "a tag, wildcards only in its value");
        }
        Ok(Pattern::new(text))
    }

    pub(super) fn tag_key(&mut self, expected: &'static str) -> Result<String, ParseError> {
        self.skip_space();
        let start = self.at;
        let key = self.take_while(|c| is_tag_char(c) && c != ':');
        if key.is_empty() {
            return self.fail_at(start, expected);
        }
        Ok(normalise_pattern(key))
    }
}

/// The only element, or all of them.
fn single(mut exprs: Vec<Expr>) -> Result<Expr, Vec<Expr>> {
    if exprs.len() == 1 { exprs.pop().ok_or(exprs) } else { Err(exprs) }
}

pub(crate) fn is_keyword(word: &str) -> bool {
    ["AND", "OR", "NOT", "IN"].iter().any(|it| it.eq_ignore_ascii_case(word))
}

pub(super) fn is_pattern_char(c: char) -> bool {
    is_tag_char(c) || c == '*'
}

//! A metric query with its modifiers.

use crate::{
    expr::{
        aggregator::Aggregator,
        parse::{ParseError, Parser},
        query::{Fill, FillMethod, Form, Query, Rollup},
    },
    tags::is_metric_char,
};

impl Parser<'_> {
    pub(super) fn query(&mut self) -> Result<Query, ParseError> {
        let start = self.at;
        let first = self.take_while(is_metric_char);
        let (aggregator, metric_at, metric) = if self.text[self.at..].starts_with(':') {
            let Some(aggregator) = Aggregator::in_space(first) else {
                return self.fail_at(start, "avg, sum, min, max, count or p99 before ':'");
            };
            self.at += 1;
            let metric_at = self.at;
            (Some(aggregator), metric_at, self.take_while(is_metric_char))
        } else {
            (None, start, first)
        };
        if !metric.starts_with(|c: char| c.is_ascii_alphabetic()) {
            return self.fail_at(metric_at, "a metric name");
        }
        self.expect('{', "'{' and a scope")?;
        let scope = self.scope()?;
        self.expect('}', "'}'")?;
        let group_by = if self.eat_keyword("by") { self.group_by()? } else { Vec::new() };
        let mut query = Query {
            aggregator,
            metric: metric.to_owned(),
            scope,
            group_by,
            form: None,
            rollup: Rollup::default(),
            fill: None,
        };
        while self.eat('.') {
            self.modifier(&mut query)?;
        }
        Ok(query)
    }

    fn group_by(&mut self) -> Result<Vec<String>, ParseError> {
        self.expect('{', "'{' and tag keys")?;
        let mut keys = Vec::new();
        loop {
            let key = self.tag_key("a tag key")?;
            if !keys.contains(&key) {
                keys.push(key);
            }
            if !self.eat(',') {
                break;
            }
        }
        self.expect('}', "',' or '}'")?;
        Ok(keys)
    }

    /// Each modifier is taken once, in any order.
    fn modifier(&mut self, query: &mut Query) -> Result<(), ParseError> {
        self.skip_space();
        let start = self.at;
        match self.word() {
            "rollup" if query.rollup == Rollup::default() => query.rollup = self.rollup()?,
            "fill" if query.fill.is_none() => query.fill = Some(self.fill()?),
            "as_count" if query.form.is_none() => query.form = Some(self.form(Form::Count)?),
            "as_rate" if query.form.is_none() => query.form = Some(self.form(Form::Rate)?),
            _ => return self.fail_at(start, "rollup, fill, as_count or as_rate, each once"),
        }
        Ok(())
    }

    fn form(&mut self, form: Form) -> Result<Form, ParseError> {
        self.expect('(', "'('")?;
        self.expect(')', "')'")?;
        Ok(form)
    }

    fn rollup(&mut self) -> Result<Rollup, ParseError> {
        self.expect('(', "'('")?;
        self.skip_space();
        let start = self.at;
        let rollup = if let Some(aggregator) = Aggregator::in_time(self.maybe_quoted()?) {
            let interval = if self.eat(',') { Some(self.positive()?) } else { None };
            Rollup { aggregator: Some(aggregator), interval }
        } else {
            self.at = start;
            Rollup { aggregator: None, interval: Some(self.positive()?) }
        };
        self.expect(')', "')'")?;
        Ok(rollup)
    }

    fn fill(&mut self) -> Result<Fill, ParseError> {
        self.expect('(', "'('")?;
        self.skip_space();
        let start = self.at;
        let Some(method) = FillMethod::from_name(self.maybe_quoted()?) else {
            return self.fail_at(start, "null, zero, last or linear");
        };
        let limit = if self.eat(',') {
            self.skip_space();
            let start = self.at;
            let limit = self.positive()?;
            if Fill::MAX_LIMIT < limit {
                return self.fail_at(start, "at most 600 seconds");
            }
            Some(limit)
        } else {
            None
        };
        self.expect(')', "')'")?;
        Ok(Fill { method, limit })
    }
}

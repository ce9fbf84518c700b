//! Functions and their arguments.

use crate::expr::{
    Expression,
    aggregator::Aggregator,
    function::{Function, Order, Rank},
    parse::{ParseError, Parser},
};

impl Parser<'_> {
    /// The call of the function `name`, which begins at `start`; the parenthesis comes next.
    pub(super) fn call(&mut self, start: usize, name: &str) -> Result<Expression, ParseError> {
        let after_name = self.at;
        if !is_function(name) {
            // Where Datadog's own parser stops too: it takes the name for a metric.
            return self.fail_at(after_name, "'{' and a scope; there is no such function");
        }
        self.expect('(', "'('")?;
        self.deeper()?;
        self.skip_space();
        let inner_at = self.at;
        let inner = self.sum()?;
        self.depth -= 1;
        if inner.queries().is_empty() {
            return self.fail_at(inner_at, "an expression with a metric in it");
        }
        let function = match Function::from_name(name) {
            Some(function) => function,
            None => self.arguments(name)?,
        };
        self.expect(')', "an operator, ',' or ')'")?;
        self.checked(start, Expression::Call(function, Box::new(inner)))
    }

    /// What follows the first argument of a function that has more.
    fn arguments(&mut self, name: &str) -> Result<Function, ParseError> {
        self.expect(',', "an operator or ','")?;
        match name {
            "clamp_min" => self.signed_number().map(Function::ClampMin),
            "clamp_max" => self.signed_number().map(Function::ClampMax),
            "cutoff_min" => self.signed_number().map(Function::CutoffMin),
            "cutoff_max" => self.signed_number().map(Function::CutoffMax),
            "timeshift" => {
                self.expect('-', "'-' and a number of seconds")?;
                self.positive().map(Function::Timeshift)
            }
            "moving_rollup" => {
                let seconds = self.positive()?;
                self.expect(',', "',' and an aggregator")?;
                let expected = "avg, sum, min, max or count";
                let aggregator = self.choice(Aggregator::in_time, expected)?;
                Ok(Function::MovingRollup { seconds, aggregator })
            }
            _ => self.top(),
        }
    }

    fn top(&mut self) -> Result<Function, ParseError> {
        let limit = self.positive()?;
        self.expect(',', "',' and what to rank by")?;
        let by = self.choice(Rank::from_name, "mean, min, max, sum, last, area or l2norm")?;
        self.expect(',', "',' and an order")?;
        let order = self.choice(Order::from_name, "asc or desc")?;
        Ok(Function::Top { limit, by, order })
    }

    /// A word out of a few, in quotes or not.
    fn choice<T>(
        &mut self,
        from_name: impl Fn(&str) -> Option<T>,
        expected: &'static str,
    ) -> Result<T, ParseError> {
        self.skip_space();
        let start = self.at;
        match from_name(self.maybe_quoted()?) {
            Some(choice) => Ok(choice),
            None => self.fail_at(start, expected),
        }
    }
}

fn is_function(name: &str) -> bool {
    const WITH_ARGUMENTS: [&str; 7] =
        ["clamp_min", "clamp_max", "cutoff_min", "cutoff_max", "timeshift", "moving_rollup", "top"];
    WITH_ARGUMENTS.contains(&name) || Function::from_name(name).is_some()
}

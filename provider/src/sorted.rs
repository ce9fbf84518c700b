//! A small set that never changes.

use std::ops::Deref;

/// Sorted values, none twice. There are several of these for each metric, mostly of one or two
/// values, and the node of a `BTreeSet` has room for eleven.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sorted<T>(Box<[T]>);

impl<T> Default for Sorted<T> {
    fn default() -> Self {
        Self(Box::default())
    }
}

impl<T> Deref for Sorted<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T: Ord> FromIterator<T> for Sorted<T> {
    fn from_iter<I: IntoIterator<Item = T>>(values: I) -> Self {
        let mut values: Vec<_> = values.into_iter().collect();
        values.sort_unstable();
        values.dedup();
        Self(values.into())
    }
}

impl<T: Ord, const N: usize> From<[T; N]> for Sorted<T> {
    fn from(values: [T; N]) -> Self {
        values.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_what_is_given_and_what_is_given_twice_make_no_difference() {
        let sorted = Sorted::from(["b", "a", "b"]);
        assert_eq!(*sorted, ["a", "b"]);
        assert_eq!(sorted, Sorted::from(["a", "b"]));
    }
}

//! Which element of one set is which of another.

use crate::value::Value;

/// For each of `these` one of `those` that it fits, such that as many as possible have one
/// and none is given twice. Equal elements are always paired with each other.
///
/// Both slices are in the order of [`crate::value::Set`].
pub(crate) fn best_pairs(
    these: &[Value],
    those: &[Value],
    fits: &dyn Fn(&Value, &Value) -> bool,
) -> Vec<Option<usize>> {
    let mut search = Search {
        these,
        those,
        fits,
        owner: vec![None; those.len()],
    };
    for (at, this) in these.iter().enumerate() {
        if let Ok(same) = those.binary_search(this)
            && search.owner[same].is_none()
        {
            search.owner[same] = Some(at);
        }
    }
    let settled = search.owner.clone();
    for at in (0..these.len()).filter(|at| !settled.contains(&Some(*at))) {
        let mut tried: Vec<bool> = settled.iter().map(Option::is_some).collect();
        search.claim(at, &mut tried);
    }
    let mut pairs = vec![None; these.len()];
    for (that, owner) in search.owner.into_iter().enumerate() {
        if let Some(this) = owner {
            pairs[this] = Some(that);
        }
    }
    pairs
}

struct Search<'a> {
    these: &'a [Value],
    those: &'a [Value],
    fits: &'a dyn Fn(&Value, &Value) -> bool,
    owner: Vec<Option<usize>>,
}

impl Search<'_> {
    /// Finds one for the element at `this`, moving earlier pairs along where that helps. Each
    /// candidate is tried once, which bounds the search.
    fn claim(&mut self, this: usize, tried: &mut [bool]) -> bool {
        for that in 0..self.those.len() {
            if tried[that] || !(self.fits)(&self.these[this], &self.those[that]) {
                continue;
            }
            tried[that] = true;
            let free = match self.owner[that] {
                None => true,
                Some(other) => self.claim(other, tried),
            };
            if free {
                self.owner[that] = Some(this);
                return true;
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_element_gives_way_to_one_that_fits_nowhere_else() {
        let these = [Value::from("a"), Value::from("b")];
        let those = [Value::from("x"), Value::from("y")];
        let fits =
            |this: &Value, that: &Value| this.as_str() == Some("a") || that.as_str() == Some("x");
        assert_eq!(best_pairs(&these, &those, &fits), [Some(1), Some(0)]);
    }

    #[test]
    fn equal_elements_stay_together() {
        let these = [Value::from("a"), Value::from("b")];
        assert_eq!(best_pairs(&these, &these, &|_, _| true), [Some(0), Some(1)]);
        assert_eq!(
            best_pairs(&these, &these[..1], &|_, _| false),
            [Some(0), None]
        );
    }
}

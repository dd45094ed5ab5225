//! Chooses few cases out of many, such that every pair of values of two axes occurs.

use std::collections::HashSet;

use crate::matrix::Case;

/// Two axes, each with one of its values.
type Pair = (usize, usize, usize, usize);

/// Chooses `count` of `cases`: greedily, the one that adds the most pairs not seen yet; and when
/// all have been seen, the same again among the rest. The choice depends on nothing but the
/// arguments.
#[must_use]
pub fn choose(cases: &[Case], count: usize) -> Vec<Case> {
    let mut rest = cases.to_vec();
    let mut seen = HashSet::new();
    let mut chosen = Vec::new();
    while chosen.len() < count && !rest.is_empty() {
        let gain = |case: &Case| pairs(case).filter(|pair| !seen.contains(pair)).count();
        // The last of the best; `rest` is long enough that it hardly matters which.
        let best = (0..rest.len())
            .max_by_key(|&index| gain(&rest[index]))
            .expect("rest is not empty");
        if gain(&rest[best]) == 0 {
            seen.clear();
            continue;
        }
        let case = rest.swap_remove(best);
        seen.extend(pairs(&case));
        chosen.push(case);
    }
    chosen
}

fn pairs(case: &Case) -> impl Iterator<Item = Pair> {
    let coordinates = case.coordinates();
    (0..coordinates.len()).flat_map(move |first| {
        (first + 1..coordinates.len())
            .map(move |second| (first, coordinates[first], second, coordinates[second]))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matrix::Matrix;
    use crate::peer::Implementation;

    #[test]
    fn twenty_four_cases_hold_every_pair_of_both_roles() {
        let matrix = Matrix::against(Implementation::OpenSsl);
        let chosen = choose(&matrix.cases, 24);
        let all: HashSet<_> = matrix.cases.iter().flat_map(pairs).collect();
        let held: HashSet<_> = chosen.iter().flat_map(pairs).collect();
        assert_eq!(chosen.len(), 24);
        assert_eq!(all, held);
    }
}

//! Rows of a request that fails as a whole, sent again in halves until each stands alone. Pure.
//!
//! Guarantee (G7): a row is rejected only after a request that held nothing else.

use std::collections::BTreeMap;

use super::codes;
use crate::sink::SinkError;

/// What a request said of one of its rows.
#[derive(Debug)]
pub(super) enum Said<O> {
    /// What became of it.
    Final(Result<O, SinkError>),
    /// It failed with the request, for which another row may be to blame. The error is that of a
    /// row which fails alone.
    Shared(SinkError),
}

/// The parts still to be sent, and the answers so far.
#[derive(Debug)]
pub(super) struct Halving<O> {
    rows: usize,
    parts: Vec<Vec<usize>>,
    answers: BTreeMap<usize, Result<O, SinkError>>,
}

impl<O> Halving<O> {
    /// So many rows, of which none was sent.
    pub(super) fn new(rows: usize) -> Self {
        Self {
            rows,
            parts: vec![(0..rows).collect()],
            answers: BTreeMap::new(),
        }
    }

    /// The rows of the next request, by their places.
    pub(super) fn next(&mut self) -> Option<Vec<usize>> {
        self.parts.pop()
    }

    /// The request was answered row by row. Tells how many rows have to be sent again.
    pub(super) fn answered(&mut self, part: &[usize], said: Vec<Said<O>>) -> usize {
        let alone = part.len() == 1;
        let mut again = Vec::new();
        for (at, said) in part.iter().zip(said) {
            match said {
                Said::Final(answer) => self.answer(*at, answer),
                Said::Shared(error) if alone => self.answer(*at, Err(error)),
                Said::Shared(_) => again.push(*at),
            }
        }
        self.halve(&again);
        again.len()
    }

    /// The request was refused: one of its rows broke it, or all together were too much. If even
    /// one row is too much for the org now, the rest is not tried.
    pub(super) fn broke(&mut self, part: &[usize], error: &SinkError) {
        if part.len() > 1 {
            return self.halve(part);
        }
        self.failed(part, error);
        while let Some(rest) = self.parts.pop_if(|_| error.is_outage()) {
            self.failed(&rest, error);
        }
    }

    /// The request failed, and that says nothing of a single row.
    pub(super) fn failed(&mut self, part: &[usize], error: &SinkError) {
        for at in part {
            self.answer(*at, Err(error.clone()));
        }
    }

    /// The answers, in the order of the rows.
    pub(super) fn answers(mut self) -> Vec<Result<O, SinkError>> {
        let answer = |at| {
            let answer = self.answers.remove(&at);
            answer.unwrap_or_else(|| Err(codes::lost("row_without_answer")))
        };
        (0..self.rows).map(answer).collect()
    }

    fn answer(&mut self, at: usize, answer: Result<O, SinkError>) {
        self.answers.insert(at, answer);
    }

    /// Both halves, the first on top.
    fn halve(&mut self, part: &[usize]) {
        let (first, second) = part.split_at(part.len() / 2);
        for half in [second, first] {
            if !half.is_empty() {
                self.parts.push(half.to_vec());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn rejected() -> SinkError {
        SinkError::Rejected {
            code: "x".to_owned(),
            fields: Vec::new(),
            action: "update",
        }
    }

    proptest! {
        #[test]
        fn g7_only_the_rows_that_are_bad_alone_are_rejected_however_many_fit_in_a_request(
            rows in 0..60_usize,
            bad in prop::collection::btree_set(0..60_usize, 0..4),
            fits in 1..60_usize,
            row_by_row in any::<bool>(),
        ) {
            let mut halving = Halving::new(rows);
            let mut requests = 0;
            while let Some(part) = halving.next() {
                requests += 1;
                prop_assert!(requests < 4 * 60, "it ends");
                if part.len() <= fits && part.iter().all(|at| !bad.contains(at)) {
                    halving.answered(&part, part.iter().map(|at| Said::Final(Ok(*at))).collect());
                } else if row_by_row {
                    halving.answered(&part, part.iter().map(|_| Said::Shared(rejected())).collect());
                } else {
                    halving.broke(&part, &rejected());
                }
            }
            let refused: BTreeSet<usize> = (0..rows).filter(|at| bad.contains(at)).collect();
            for (at, answer) in halving.answers().into_iter().enumerate() {
                match answer {
                    Ok(answered) => prop_assert_eq!(answered, at),
                    Err(_) => prop_assert!(refused.contains(&at), "{}", at),
                }
            }
        }
    }
}

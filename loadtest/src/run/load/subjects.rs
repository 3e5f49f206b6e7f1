//! Which entity an event is about.

use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;

use super::whole;

/// Entities by Zipf's law: the part of number `n`, counted from 1, is as n^-exponent. Takes no
/// memory for an entity: chosen by rejection-inversion, after Hörmann and Derflinger 1996.
#[derive(Debug, Clone, Copy)]
pub(super) struct Subjects {
    entities: u32,
    exponent: f64,
    /// The area below the hat, which is 1 up to 1, and x^-exponent from there.
    area: f64,
}

impl Subjects {
    /// So many entities; with an exponent of 0 their parts are equal.
    pub(super) fn new(entities: u32, exponent: f64) -> Self {
        let (last, rest) = (f64::from(entities), 1.0 - exponent);
        let area = if rest.abs() < 1e-9 {
            1.0 + last.ln()
        } else {
            (last.powf(rest) - exponent) / rest
        };
        Self {
            entities,
            exponent,
            area,
        }
    }

    /// The next one, below the number of entities. The first ones are the most frequent.
    pub(super) fn pick(&self, rng: &mut ChaCha8Rng) -> u32 {
        loop {
            let under_hat = self.inverse(rng.random::<f64>() * self.area);
            let before = under_hat.floor();
            let number = before + 1.0;
            // The law's height over the hat's.
            let fits = number.powf(-self.exponent) * under_hat.max(1.0).powf(self.exponent);
            let entity = u32::try_from(whole(before)).unwrap_or(u32::MAX);
            if rng.random::<f64>() < fits && entity < self.entities {
                return entity;
            }
        }
    }

    /// Where the area below the hat is so much.
    fn inverse(&self, area: f64) -> f64 {
        let rest = 1.0 - self.exponent;
        if area <= 1.0 {
            area
        } else if rest.abs() < 1e-9 {
            (area - 1.0).exp()
        } else {
            (area * rest + self.exponent).powf(rest.recip())
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;

    use super::*;

    const EVENTS: u32 = 100_000;

    /// How often each entity was chosen.
    fn counted(entities: u32, exponent: f64) -> Vec<u32> {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let subjects = Subjects::new(entities, exponent);
        let mut counts = vec![0; usize::try_from(entities).unwrap()];
        for _ in 0..EVENTS {
            counts[usize::try_from(subjects.pick(&mut rng)).unwrap()] += 1;
        }
        counts
    }

    #[test]
    fn parts_follow_the_law() {
        for exponent in [0.0, 0.5, 0.8, 1.0, 1.5, 2.0, 10.0] {
            let part = |number: u32| f64::from(number).powf(-exponent);
            let all: f64 = (1..=50).map(part).sum();
            for (number, count) in (1..).zip(counted(50, exponent)) {
                let wanted = f64::from(EVENTS) * part(number) / all;
                let off = (f64::from(count) - wanted).abs();
                assert!(
                    off < 5.0 * wanted.sqrt() + 5.0,
                    "{number}: {count}, not {wanted}"
                );
            }
        }
    }

    #[test]
    fn a_larger_exponent_gives_more_to_the_first() {
        let first = [0.0, 0.5, 0.8, 1.0, 2.0].map(|exponent| counted(1_000, exponent)[0]);
        assert!(
            first.windows(2).all(|pair| pair[0] * 2 < pair[1]),
            "{first:?}"
        );
    }

    #[test]
    fn a_single_entity_is_always_chosen() {
        assert_eq!(counted(1, 0.8), [EVENTS]);
    }
}

//! Changes that keep the form of an input: libFuzzer's own, which know octets, hardly ever leave a nested length right,
//! or a cell in its column.

mod ber;
mod rows;

/// What is random here: the same numbers for the same start.
#[derive(Debug)]
pub struct Dice(u64);

impl Dice {
    /// Numbers that begin so.
    pub fn new(start: u32) -> Self {
        Self(u64::from(start).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number below `most`; 0 where that is 0.
    pub fn below(&mut self, most: usize) -> usize {
        // xorshift64*.
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let number = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(number).unwrap_or(0).checked_rem(most).unwrap_or(0)
    }

    /// One of these.
    fn one<'a, T: ?Sized>(&mut self, of: &[&'a T]) -> Option<&'a T> {
        of.get(self.below(of.len())).copied()
    }
}

/// Changes an input of this target; false where its form is not known, or it has none.
pub fn change(target: &str, input: &mut Vec<u8>, dice: &mut Dice) -> bool {
    match target {
        "ldap" => ber::change(input, dice),
        "extract" => rows::change(input, dice),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target;

    /// How many changes of the seeds it takes to reach what is planted.
    fn planted_after(name: &str) -> Option<u32> {
        let target = target(name).unwrap();
        let seeds = (target.seeds)();
        (0..40_000).find(|n| {
            let mut dice = Dice::new(*n);
            let mut input = seeds[dice.below(seeds.len())].1.clone();
            change(name, &mut input, &mut dice) && (target.run)(&input)
        })
    }

    #[test]
    fn what_is_planted_is_a_few_changes_away_from_the_seeds() {
        for name in ["ldap", "extract"] {
            let after = planted_after(name);
            println!("{name}: the planted panic after {after:?} changes of the seeds");
            assert!(after.is_some(), "{name}");
        }
    }

    #[test]
    fn any_octets_may_be_changed() {
        let mut dice = Dice::new(7);
        for length in 0..300 {
            let octets: Vec<u8> = (0..length).map(|_| u8::try_from(dice.below(256)).unwrap()).collect();
            for target in ["ldap", "extract"] {
                change(target, &mut octets.clone(), &mut dice);
            }
        }
    }
}

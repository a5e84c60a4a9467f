//! The Merkle tree of RFC 6962 §2.1: hashes, the growing right edge, proofs.

use openssl::sha::Sha256;

/// A node of the tree.
pub type Hash = [u8; 32];

/// Hash of a leaf: `H(0x00 ‖ entry)`.
pub fn leaf_hash(entry: &[u8]) -> Hash {
    let mut hash = Sha256::new();
    hash.update(&[0]);
    hash.update(entry);
    hash.finish()
}

/// Hash of an inner node: `H(0x01 ‖ left ‖ right)`.
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    let mut hash = Sha256::new();
    hash.update(&[1]);
    hash.update(left);
    hash.update(right);
    hash.finish()
}

/// Root of the empty tree.
pub fn empty_root() -> Hash {
    openssl::sha::sha256(b"")
}

/// Root over nodes of equal height, of which the last may be an incomplete one: the split at the
/// largest power of two below their number is then the same as over all leaves.
pub fn root_of(nodes: &[Hash]) -> Hash {
    match nodes {
        [] => empty_root(),
        [only] => *only,
        _ => {
            let split = nodes.len().saturating_sub(1).checked_ilog2().map_or(1, |power| 1usize << power);
            let (left, right) = nodes.split_at_checked(split).unwrap_or((nodes, &[]));
            node_hash(&root_of(left), &root_of(right))
        }
    }
}

/// Why a proof does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// The leaf is not in a tree of this size, or the older tree is the larger one.
    #[error("the proof is about a leaf or a tree that cannot be")]
    Range,
    /// Too short or too long.
    #[error("the proof has not the length that it must have")]
    Length,
    /// The hashes lead elsewhere.
    #[error("the proof leads to another root")]
    Root,
}

/// Gives the root over a range of leaves `[from, to)`, for the ranges that proofs ask for.
pub type RangeRoot<'a, E> = &'a mut dyn FnMut(u64, u64) -> Result<Hash, E>;

/// The path from a leaf to the root of a tree of `size` leaves (RFC 6962 §2.1.1).
///
/// # Errors
/// Those of `range`.
pub fn inclusion_proof<E>(leaf: u64, size: u64, range: RangeRoot<'_, E>) -> Result<Vec<Hash>, E> {
    let (mut from, mut to) = (0, size);
    let mut path = Vec::new();
    while to.saturating_sub(from) > 1 {
        let middle = split(from, to);
        if leaf < middle {
            path.push(range(middle, to)?);
            to = middle;
        } else {
            path.push(range(from, middle)?);
            from = middle;
        }
    }
    path.reverse();
    Ok(path)
}

/// Proves that the tree of `old` leaves is the beginning of that of `new` leaves (RFC 6962 §2.1.2).
///
/// # Errors
/// Those of `range`.
pub fn consistency_proof<E>(old: u64, new: u64, range: RangeRoot<'_, E>) -> Result<Vec<Hash>, E> {
    if old == 0 || old >= new {
        return Ok(Vec::new());
    }
    let (mut from, mut to) = (0, new);
    let mut path = Vec::new();
    while to != old {
        let middle = split(from, to);
        if old <= middle {
            path.push(range(middle, to)?);
            to = middle;
        } else {
            path.push(range(from, middle)?);
            from = middle;
        }
    }
    if from > 0 {
        path.push(range(from, to)?);
    }
    path.reverse();
    Ok(path)
}

/// Where a range of more than one leaf splits.
fn split(from: u64, to: u64) -> u64 {
    let power = to.saturating_sub(from).saturating_sub(1).checked_ilog2().unwrap_or(0);
    from.saturating_add(1u64 << power)
}

/// Checks an inclusion proof (RFC 9162 §2.1.3.2).
///
/// # Errors
/// See [`ProofError`].
pub fn check_inclusion(leaf: u64, hash: Hash, size: u64, root: &Hash, proof: &[Hash]) -> Result<(), ProofError> {
    if leaf >= size {
        return Err(ProofError::Range);
    }
    let (mut node, mut last) = (leaf, size.saturating_sub(1));
    let mut reached = hash;
    for step in proof {
        if last == 0 {
            return Err(ProofError::Length);
        }
        if node & 1 == 1 || node == last {
            reached = node_hash(step, &reached);
            while node & 1 == 0 && node != 0 {
                (node, last) = (node >> 1, last >> 1);
            }
        } else {
            reached = node_hash(&reached, step);
        }
        (node, last) = (node >> 1, last >> 1);
    }
    finish(last, reached == *root)
}

/// Checks a consistency proof (RFC 9162 §2.1.4.2).
///
/// # Errors
/// See [`ProofError`].
pub fn check_consistency(
    old: u64,
    old_root: &Hash,
    new: u64,
    new_root: &Hash,
    proof: &[Hash],
) -> Result<(), ProofError> {
    if old > new {
        return Err(ProofError::Range);
    }
    if old == new || old == 0 {
        let same = if old == 0 { *old_root == empty_root() } else { old_root == new_root };
        return if !proof.is_empty() { Err(ProofError::Length) } else { finish(0, same) };
    }
    // A complete old tree is its own first step.
    let mut steps = proof.iter();
    let first = if old.is_power_of_two() { *old_root } else { *steps.next().ok_or(ProofError::Length)? };
    let (mut node, mut last) = (old.saturating_sub(1), new.saturating_sub(1));
    while node & 1 == 1 {
        (node, last) = (node >> 1, last >> 1);
    }
    let (mut reached_old, mut reached_new) = (first, first);
    for step in steps {
        if last == 0 {
            return Err(ProofError::Length);
        }
        if node & 1 == 1 || node == last {
            reached_old = node_hash(step, &reached_old);
            reached_new = node_hash(step, &reached_new);
            while node & 1 == 0 && node != 0 {
                (node, last) = (node >> 1, last >> 1);
            }
        } else {
            reached_new = node_hash(&reached_new, step);
        }
        (node, last) = (node >> 1, last >> 1);
    }
    finish(last, reached_old == *old_root && reached_new == *new_root)
}

fn finish(last: u64, same: bool) -> Result<(), ProofError> {
    match (last, same) {
        (0, true) => Ok(()),
        (0, false) => Err(ProofError::Root),
        _ => Err(ProofError::Length),
    }
}

/// Width of a tile: 256 hashes, eight levels of the tree.
pub(crate) const TILE_WIDTH: usize = 256;

/// The right edge of a growing tree: for each level of tiles, the hashes of the tile that is not
/// full yet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Edge {
    size: u64,
    levels: Vec<Vec<Hash>>,
}

impl Edge {
    /// The edge of a tree whose unfinished tiles are given, lowest level first.
    pub(crate) fn restore(size: u64, levels: Vec<Vec<Hash>>) -> Self {
        Self { size, levels }
    }

    /// Number of leaves.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// The unfinished tiles, lowest level first.
    pub(crate) fn levels(&self) -> &[Vec<Hash>] {
        &self.levels
    }

    /// Adds a leaf and calls `full` with level, index and hashes of each tile that it completes.
    pub(crate) fn push(&mut self, leaf: Hash, full: &mut dyn FnMut(usize, u64, &[Hash])) {
        let mut hash = leaf;
        let mut index = self.size;
        self.size = self.size.saturating_add(1);
        for level in 0.. {
            if self.levels.len() == level {
                self.levels.push(Vec::with_capacity(TILE_WIDTH));
            }
            let Some(tile) = self.levels.get_mut(level) else { return };
            tile.push(hash);
            if tile.len() < TILE_WIDTH {
                return;
            }
            index >>= 8;
            full(level, index, tile);
            hash = root_of(tile);
            tile.clear();
        }
    }

    /// The root over all leaves.
    pub(crate) fn root(&self) -> Hash {
        let mut incomplete: Option<Hash> = None;
        for level in &self.levels {
            let mut nodes = level.clone();
            nodes.extend(incomplete);
            if !nodes.is_empty() {
                incomplete = Some(root_of(&nodes));
            }
        }
        incomplete.unwrap_or_else(empty_root)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn leaves(count: u64) -> Vec<Hash> {
        (0..count).map(|number| leaf_hash(&number.to_be_bytes())).collect()
    }

    fn range_of(leaves: &[Hash]) -> impl FnMut(u64, u64) -> Result<Hash, ()> {
        |from, to| Ok(root_of(&leaves[usize::try_from(from).unwrap()..usize::try_from(to).unwrap()]))
    }

    #[test]
    fn roots_of_known_trees() {
        // The test tree of Certificate Transparency.
        let entries =
            ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];
        let bytes = |hex: &str| {
            let pairs = hex.as_bytes().chunks(2).map(|pair| str::from_utf8(pair).unwrap());
            pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect::<Vec<_>>()
        };
        let roots = [
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
            "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
            "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
            "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
            "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
        ];
        let mut edge = Edge::default();
        for (entry, root) in entries.iter().zip(roots) {
            edge.push(leaf_hash(&bytes(entry)), &mut |_, _, _| ());
            assert_eq!(edge.root().to_vec(), bytes(root));
        }
    }

    #[test]
    fn tiles_are_complete_and_in_order() {
        let leaves = leaves(70_000);
        let mut tiles = Vec::new();
        let mut edge = Edge::default();
        for leaf in &leaves {
            edge.push(*leaf, &mut |level, index, hashes| tiles.push((level, index, hashes.to_vec())));
        }
        assert_eq!(tiles.iter().filter(|tile| tile.0 == 0).count(), 273);
        let upper: Vec<_> = tiles.iter().filter(|tile| tile.0 == 1).collect();
        assert_eq!((upper.len(), upper[0].1), (1, 0));
        assert_eq!(upper[0].2[3], root_of(&leaves[768..1024]));
        assert_eq!(edge.root(), root_of(&leaves));
    }

    proptest! {
        #[test]
        fn the_edge_has_the_root(count in 0u64..2000) {
            let leaves = leaves(count);
            let mut edge = Edge::default();
            leaves.iter().for_each(|leaf| edge.push(*leaf, &mut |_, _, _| ()));
            prop_assert_eq!(edge.root(), root_of(&leaves));
        }

        #[test]
        fn inclusion_is_proven_and_nothing_else(size in 1u64..600, leaf: prop::sample::Index, flip: prop::sample::Index) {
            let all = leaves(size);
            let at = leaf.index(all.len());
            let leaf = u64::try_from(at).unwrap();
            let proof = inclusion_proof(leaf, size, &mut range_of(&all)).unwrap();
            let root = root_of(&all);
            prop_assert_eq!(check_inclusion(leaf, all[at], size, &root, &proof), Ok(()));
            prop_assert!(check_inclusion(leaf, leaf_hash(b"other"), size, &root, &proof).is_err());
            prop_assert!(check_inclusion(size, all[at], size, &root, &proof).is_err());
            let mut longer = proof.clone();
            longer.push([0; 32]);
            prop_assert!(check_inclusion(leaf, all[at], size, &root, &longer).is_err());
            if !proof.is_empty() {
                let mut wrong = proof.clone();
                wrong[flip.index(proof.len())][0] ^= 1;
                prop_assert!(check_inclusion(leaf, all[at], size, &root, &wrong).is_err());
                prop_assert!(check_inclusion(leaf, all[at], size, &root, &proof[1..]).is_err());
            }
        }

        #[test]
        fn consistency_is_proven_and_nothing_else(old in 0u64..600, more in 0u64..600, flip: prop::sample::Index) {
            let new = old + more;
            let all = leaves(new);
            let (old_root, new_root) = (root_of(&all[..usize::try_from(old).unwrap()]), root_of(&all));
            let proof = consistency_proof(old, new, &mut range_of(&all)).unwrap();
            prop_assert_eq!(check_consistency(old, &old_root, new, &new_root, &proof), Ok(()));
            let other = leaf_hash(b"other");
            prop_assert!(check_consistency(old, &other, new, &new_root, &proof).is_err());
            if old > 0 {
                prop_assert!(check_consistency(old, &old_root, new, &other, &proof).is_err());
            }
            if !proof.is_empty() {
                let mut wrong = proof.clone();
                wrong[flip.index(proof.len())][0] ^= 1;
                prop_assert!(check_consistency(old, &old_root, new, &new_root, &wrong).is_err());
            }
        }
    }
}

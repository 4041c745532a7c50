//! The patterns as a trie of segments, matched by walking a set of nodes.
//!
//! Owns the nodes, the edges and the texts of literal segments; [`super::Topics`] alone calls it.
//! It knows of an entry only the number. A topic is read once, segment by segment, with the set
//! of nodes that the segments so far lead to: a node has one parent, so it is in the set once and
//! a walk costs at most the number of nodes per segment, whatever stars the patterns hold. A node
//! of `**`, once reached, stays in the set. Semantics: protocols.md section 2.

use ahash::RandomState;

use super::names::Names;
use super::slab::Slab;
use super::table::Table;
use crate::topic::name_hash;

/// No node, no entry, no segment.
const NONE: u32 = u32::MAX;
/// The label of `*`: one segment. Labels below are numbers of literal segments.
const ONE: u32 = u32::MAX - 1;
/// The label of `**`: one segment or more.
const MANY: u32 = u32::MAX - 2;

/// A place in the trie: what the segments on the way from the root stand for.
#[derive(Clone, Copy, Default)]
struct Node {
    parent: u32,
    /// The segment that leads here from the parent.
    label: u32,
    /// The child under `*`.
    one: u32,
    /// The child under `**`.
    many: u32,
    /// The entry of the pattern that ends here.
    entry: u32,
    /// How many children there are under literal segments; [`Trie::edges`] finds them.
    literals: u32,
    /// One of these, or none; where there is one alone it spares the hash.
    literal: u32,
    /// The last walk that reached this node, if it is one of `**`.
    walk: u32,
}

/// Scratch of a walk, kept for its capacity.
#[derive(Default)]
struct Walk {
    /// The number of the latest walk.
    number: u32,
    /// Nodes that the segments so far lead to, those of `**` apart.
    front: Vec<u32>,
    /// `front` after the segment at hand.
    next: Vec<u32>,
    /// Nodes of `**` reached, with children.
    lasting: Vec<u32>,
}

/// The patterns of one shard.
pub(super) struct Trie {
    nodes: Slab<Node>,
    root: u32,
    /// Literal edges: the child, found by parent and label.
    edges: Table,
    /// Literal segments, each with the number of edges it labels.
    segments: Names<u32>,
    /// Keys the hash of edges, as `name_hash` keys that of names.
    seed: RandomState,
    walk: Walk,
    /// Nodes asked by all walks so far.
    steps: u64,
}

impl Default for Trie {
    fn default() -> Self {
        Self {
            nodes: Slab::default(),
            root: NONE,
            edges: Table::default(),
            segments: Names::default(),
            seed: RandomState::new(),
            walk: Walk::default(),
            steps: 0,
        }
    }
}

impl Trie {
    /// Whether there is no pattern.
    pub(super) fn is_empty(&self) -> bool {
        self.root == NONE
    }

    /// Nodes asked by all walks so far.
    pub(super) fn steps(&self) -> u64 {
        self.steps
    }

    /// Adds `pattern`, which must not be there yet, for `entry`. O(segments).
    pub(super) fn insert(&mut self, pattern: &str, entry: u32) {
        if self.root == NONE {
            self.root = self.nodes.insert(Node::new(NONE, NONE));
        }
        let mut at = self.root;
        for segment in pattern.split('.') {
            let label = match segment {
                "*" => ONE,
                "**" => MANY,
                _ => self.segment(segment),
            };
            at = self.child(at, label).unwrap_or_else(|| self.add_child(at, label));
        }
        self.nodes[at].entry = entry;
    }

    /// Removes `pattern`, which must be there, and every node that only it needed. O(segments).
    pub(super) fn remove(&mut self, pattern: &str) {
        let mut at = self.find(pattern).expect("a pattern with an entry is in the trie");
        self.nodes[at].entry = NONE;
        while self.nodes[at].is_idle() {
            let node = self.nodes.remove(at).expect("a node on the way to the root");
            if node.parent == NONE {
                self.root = NONE;
                break;
            }
            self.remove_child(node.parent, node.label, at);
            at = node.parent;
        }
        let bound = self.nodes.len() * 4;
        for scratch in [&mut self.walk.front, &mut self.walk.next, &mut self.walk.lasting] {
            if scratch.capacity() > bound {
                *scratch = Vec::new();
            }
        }
    }

    /// Appends to `found` the entries of all patterns that match `topic`, each once.
    ///
    /// Costs at most the number of nodes for each segment.
    pub(super) fn matching(&mut self, topic: &str, found: &mut Vec<u32>) {
        if self.root == NONE {
            return;
        }
        let mut walk = std::mem::take(&mut self.walk);
        self.begin(&mut walk);
        for segment in topic.split('.') {
            if walk.front.is_empty() && walk.lasting.is_empty() {
                break;
            }
            self.steps += (walk.lasting.len() + walk.front.len()) as u64;
            // One probe for a segment, however many nodes ask for it; none if no pattern has it.
            let label = self.segments.find(segment, name_hash(segment));
            // Those that this segment adds have consumed it; they are asked from the next on.
            for at in 0..walk.lasting.len() {
                self.step(walk.lasting[at], label, &mut walk, found);
            }
            for at in 0..walk.front.len() {
                self.step(walk.front[at], label, &mut walk, found);
            }
            std::mem::swap(&mut walk.front, &mut walk.next);
            walk.next.clear();
        }
        let ends = walk.front.iter().map(|&at| self.nodes[at].entry);
        found.extend(ends.filter(|&entry| entry != NONE));
        self.walk = walk;
    }

    /// Empties the scratch and puts the root in the set.
    fn begin(&mut self, walk: &mut Walk) {
        walk.lasting.clear();
        walk.front.clear();
        walk.front.push(self.root);
        walk.number = walk.number.wrapping_add(1);
        if walk.number == 0 {
            // Once in four billion walks: a mark of one of them could be taken for the new one's.
            self.nodes.each_mut(|node| node.walk = 0);
            walk.number = 1;
        }
    }

    /// Adds the nodes that one more segment leads to from `at`.
    fn step(&mut self, at: u32, label: Option<u32>, walk: &mut Walk, found: &mut Vec<u32>) {
        let node = self.nodes[at];
        if let Some(label) = label
            && let Some(child) = self.literal_child(at, &node, label)
        {
            walk.next.push(child);
        }
        if node.one != NONE {
            walk.next.push(node.one);
        }
        if node.many != NONE && self.nodes[node.many].walk != walk.number {
            let many = &mut self.nodes[node.many];
            many.walk = walk.number;
            // It takes whatever is left of the topic: what ends here matches.
            if many.entry != NONE {
                found.push(many.entry);
            }
            if many.has_children() {
                walk.lasting.push(node.many);
            }
        }
    }

    /// The node at which `pattern` ends.
    fn find(&self, pattern: &str) -> Option<u32> {
        let mut at = self.root;
        for segment in pattern.split('.') {
            let label = match segment {
                "*" => ONE,
                "**" => MANY,
                _ => self.segments.find(segment, name_hash(segment))?,
            };
            at = self.child(at, label)?;
        }
        Some(at)
    }

    /// The number of a literal segment, made if new.
    fn segment(&mut self, text: &str) -> u32 {
        let hash = name_hash(text);
        let found = self.segments.find(text, hash);
        found.unwrap_or_else(|| self.segments.insert(text, hash, 0))
    }

    fn child(&self, parent: u32, label: u32) -> Option<u32> {
        let node = &self.nodes[parent];
        match label {
            ONE => Some(node.one).filter(|&child| child != NONE),
            MANY => Some(node.many).filter(|&child| child != NONE),
            _ => self.literal_child(parent, node, label),
        }
    }

    fn literal_child(&self, parent: u32, node: &Node, label: u32) -> Option<u32> {
        match node.literals {
            0 => return None,
            1 if node.literal != NONE => {
                return Some(node.literal).filter(|&child| self.nodes[child].label == label);
            }
            _ => {}
        }
        self.edges.find(edge_hash(&self.seed, parent, label), |child| {
            let child = &self.nodes[child];
            child.parent == parent && child.label == label
        })
    }

    fn add_child(&mut self, parent: u32, label: u32) -> u32 {
        let child = self.nodes.insert(Node::new(parent, label));
        match label {
            ONE => self.nodes[parent].one = child,
            MANY => self.nodes[parent].many = child,
            _ => {
                self.nodes[parent].literals += 1;
                self.nodes[parent].literal = child;
                self.segments.cells[label].value += 1;
                let hash = edge_hash(&self.seed, parent, label);
                let (nodes, seed) = (&self.nodes, &self.seed);
                self.edges.insert(hash, child, |child| nodes[child].hash(seed));
            }
        }
        child
    }

    /// Forgets the edge to a child that has left the slab.
    fn remove_child(&mut self, parent: u32, label: u32, child: u32) {
        match label {
            ONE => self.nodes[parent].one = NONE,
            MANY => self.nodes[parent].many = NONE,
            _ => {
                let node = &mut self.nodes[parent];
                node.literals -= 1;
                if node.literal == child {
                    node.literal = NONE;
                }
                let hash = edge_hash(&self.seed, parent, label);
                let (nodes, seed) = (&self.nodes, &self.seed);
                self.edges.remove(hash, child, |child| nodes[child].hash(seed));
                let uses = &mut self.segments.cells[label].value;
                *uses -= 1;
                if *uses == 0 {
                    self.segments.remove(label);
                }
            }
        }
    }

    /// Bytes of heap held.
    pub(super) fn heap_bytes(&self) -> usize {
        let walk = &self.walk;
        let scratch = walk.front.capacity() + walk.next.capacity() + walk.lasting.capacity();
        self.nodes.heap_bytes()
            + self.edges.heap_bytes()
            + self.segments.heap_bytes()
            + scratch * size_of::<u32>()
    }

    /// Asserts the trie's own story, and that it holds exactly the given patterns; counts them.
    pub(super) fn check<'a>(&self, patterns: impl Iterator<Item = (&'a str, u32)>) -> usize {
        let mut expected = 0;
        for (pattern, entry) in patterns {
            let node = self.find(pattern).map(|at| self.nodes[at].entry);
            assert_eq!(node, Some(entry), "{pattern}");
            expected += 1;
        }
        let (mut entries, mut literals, mut literal_children) = (0, 0, 0);
        for (at, node) in self.nodes.iter() {
            entries += usize::from(node.entry != NONE);
            literals += node.literals as usize;
            assert!(!node.is_idle(), "node {at} should have gone");
            if node.parent == NONE {
                assert_eq!(at, self.root);
            } else {
                assert_eq!(self.child(node.parent, node.label), Some(at));
                literal_children += usize::from(node.label < MANY);
            }
            if node.literal != NONE {
                assert_eq!(self.nodes[node.literal].parent, at);
                assert!(self.nodes[node.literal].label < MANY && node.literals > 0);
            }
        }
        assert_eq!(entries, expected);
        assert_eq!((literals, literal_children), (self.edges.len(), self.edges.len()));
        let uses = self.segments.cells.iter().map(|(_, segment)| segment.value as usize);
        assert_eq!(uses.sum::<usize>(), literals);
        assert!(self.segments.cells.iter().all(|(_, segment)| segment.value > 0));
        self.segments.check();
        entries
    }

    /// Makes the next walk the one at which the numbers of walks begin anew.
    #[cfg(test)]
    pub(super) fn exhaust_walk_numbers(&mut self) {
        self.walk.number = u32::MAX;
    }
}

impl Node {
    fn new(parent: u32, label: u32) -> Self {
        let none = Self { one: NONE, many: NONE, entry: NONE, literal: NONE, ..Self::default() };
        Self { parent, label, ..none }
    }

    fn has_children(&self) -> bool {
        self.literals > 0 || self.one != NONE || self.many != NONE
    }

    fn is_idle(&self) -> bool {
        self.entry == NONE && !self.has_children()
    }

    fn hash(&self, seed: &RandomState) -> u64 {
        edge_hash(seed, self.parent, self.label)
    }
}

fn edge_hash(seed: &RandomState, parent: u32, label: u32) -> u64 {
    seed.hash_one(u64::from(parent) << 32 | u64::from(label))
}

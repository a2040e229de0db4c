//! Which values of an object belong to which columns: a tree of steps, the root of which is the object itself.
//!
//! `auto` is a tree of one level, its keys the columns' names; `noshred` is a root without keys; a jsonpaths file is
//! whatever its paths say. So one walk through an object serves them all.

use crate::jsonpaths::Step;

/// The tree.
#[derive(Debug)]
pub(crate) struct Shape {
    nodes: Vec<Node>,
    columns: usize,
    ignore_case: bool,
    /// Whether an array may be a row.
    arrays: bool,
}

/// What is known about a value.
#[derive(Debug, Default)]
pub(super) struct Node {
    /// Columns that take it.
    pub(super) columns: Vec<usize>,
    /// Its members that matter.
    pub(super) keys: Vec<(Box<[u8]>, usize)>,
    /// Its elements that matter.
    pub(super) indices: Vec<(usize, usize)>,
    /// All columns that take something out of it.
    pub(super) below: Vec<usize>,
    /// The keys of the last object here, in its order, and where they led. The next object's are mostly the same.
    order: Vec<(Vec<u8>, Option<usize>)>,
}

/// The most keys, and the longest, that are remembered of an object.
const MOST_REMEMBERED: usize = 2048;
const LONGEST_REMEMBERED: usize = 128;

pub(super) const ROOT: usize = 0;

impl Shape {
    /// Keys are the names of columns.
    pub(crate) fn auto<'a>(names: impl Iterator<Item = &'a str>, ignore_case: bool) -> Self {
        let paths: Vec<_> = names.map(|name| [Step::Key(name.to_owned())]).collect();
        let mut shape = Shape::paths(paths.iter().map(|path| path.as_slice()));
        shape.ignore_case = ignore_case;
        shape.arrays = false;
        shape
    }

    /// The object goes into the one column.
    pub(crate) fn whole() -> Self {
        let mut shape = Shape::paths([[].as_slice()].into_iter());
        shape.arrays = false;
        shape
    }

    /// A path for each column. They are walked by recursion, so a file of them is held to
    /// [`MAX_STEPS`](crate::jsonpaths::MAX_STEPS).
    pub(crate) fn paths<'a>(paths: impl Iterator<Item = &'a [Step]>) -> Self {
        let mut shape = Shape {
            nodes: vec![Node::default()],
            columns: 0,
            ignore_case: false,
            arrays: true,
        };
        for (column, path) in paths.enumerate() {
            let mut at = ROOT;
            for step in path {
                shape.node_mut(at).below.push(column);
                at = shape.child(at, step);
            }
            let node = shape.node_mut(at);
            node.below.push(column);
            node.columns.push(column);
            shape.columns = column + 1;
        }
        shape
    }

    pub(super) fn columns(&self) -> usize {
        self.columns
    }

    pub(super) fn arrays(&self) -> bool {
        self.arrays
    }

    pub(super) fn node(&self, id: usize) -> &Node {
        &self.nodes[id]
    }

    fn node_mut(&mut self, id: usize) -> &mut Node {
        &mut self.nodes[id]
    }

    fn child(&mut self, parent: usize, step: &Step) -> usize {
        let next = self.nodes.len();
        let node = self.node_mut(parent);
        match step {
            Step::Key(key) => {
                if let Some((_, id)) = node
                    .keys
                    .iter()
                    .find(|(known, _)| **known == *key.as_bytes())
                {
                    return *id;
                }
                node.keys.push((key.as_bytes().into(), next));
            }
            Step::Index(index) => {
                if let Some((_, id)) = node.indices.iter().find(|(known, _)| known == index) {
                    return *id;
                }
                node.indices.push((*index, next));
            }
        }
        self.nodes.push(Node::default());
        next
    }

    /// Where the `nth` key of an object leads, if it is known.
    #[inline]
    pub(super) fn recall(&self, id: usize, nth: usize, raw_key: &[u8]) -> Option<Option<usize>> {
        let (key, child) = self.node(id).order.get(nth)?;
        (key.as_slice() == raw_key).then_some(*child)
    }

    /// Where a key leads; `raw_key` is the key as it stands in the file, to be recalled.
    pub(super) fn find(
        &mut self,
        id: usize,
        nth: usize,
        raw_key: &[u8],
        key: &[u8],
    ) -> Option<usize> {
        let ignore_case = self.ignore_case;
        let node = self.node_mut(id);
        let child = node.keys.iter().find(|(known, _)| {
            if ignore_case {
                known.eq_ignore_ascii_case(key)
            } else {
                **known == *key
            }
        });
        let child = child.map(|(_, child)| *child);
        if raw_key.len() <= LONGEST_REMEMBERED && nth < MOST_REMEMBERED {
            if nth == node.order.len() {
                node.order.push((raw_key.to_vec(), child));
            } else if let Some((known, known_child)) = node.order.get_mut(nth) {
                known.clear();
                known.extend_from_slice(raw_key);
                *known_child = child;
            }
        }
        child
    }
}

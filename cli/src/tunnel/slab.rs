//! Flows by number: the number is the token of a flow's socket.

/// Things by number; numbers are used again.
#[derive(Debug)]
pub(super) struct Slab<T> {
    entries: Vec<Option<T>>,
    free: Vec<usize>,
}

impl<T> Slab<T> {
    pub(super) const fn new() -> Self {
        Self {
            entries: Vec::new(),
            free: Vec::new(),
        }
    }

    /// The number that the next thing gets.
    pub(super) fn next(&self) -> usize {
        self.free.last().copied().unwrap_or(self.entries.len())
    }

    pub(super) fn insert(&mut self, thing: T) -> usize {
        let number = self.next();
        self.free.pop();
        match self.entries.get_mut(number) {
            Some(entry) => *entry = Some(thing),
            None => self.entries.push(Some(thing)),
        }
        number
    }

    pub(super) fn remove(&mut self, number: usize) -> Option<T> {
        let thing = self.entries.get_mut(number)?.take()?;
        self.free.push(number);
        Some(thing)
    }

    pub(super) fn get(&self, number: usize) -> Option<&T> {
        self.entries.get(number)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, number: usize) -> Option<&mut T> {
        self.entries.get_mut(number)?.as_mut()
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len() - self.free.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, &T)> {
        let numbered = self.entries.iter().enumerate();
        numbered.filter_map(|(number, entry)| Some((number, entry.as_ref()?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_used_again() {
        let mut slab = Slab::new();
        assert_eq!((slab.insert('a'), slab.insert('b')), (0, 1));
        assert_eq!(slab.remove(0), Some('a'));
        assert_eq!(
            (slab.remove(0), slab.remove(9), slab.len()),
            (None, None, 1)
        );
        assert_eq!((slab.next(), slab.insert('c'), slab.insert('d')), (0, 0, 2));
        assert_eq!(slab.iter().map(|(_, it)| *it).collect::<String>(), "cbd");
    }
}

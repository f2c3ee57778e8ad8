//! Things of a file with names, in their order.

use std::collections::HashMap;

/// Things by name; of two with one name the last counts, in the place of the first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ByName<T> {
    things: Vec<Entry<T>>,
    places: HashMap<String, usize>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry<T> {
    name: String,
    thing: T,
}

impl<T> Default for ByName<T> {
    fn default() -> Self {
        Self { things: Vec::new(), places: HashMap::new() }
    }
}

impl<T> ByName<T> {
    pub(super) fn put(&mut self, name: &str, thing: T) {
        if let Some(place) = self.places.get(name) {
            self.things[*place].thing = thing;
            return;
        }
        self.places.insert(name.to_owned(), self.things.len());
        self.things.push(Entry { name: name.to_owned(), thing });
    }

    pub(super) fn get(&self, name: &str) -> Option<&T> {
        Some(&self.things[*self.places.get(name)?].thing)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.things.iter().map(|entry| entry.name.as_str())
    }

    /// Adds what has a name that is not taken.
    pub(super) fn add_others(&mut self, others: Self) {
        for entry in others.things {
            if self.get(&entry.name).is_none() {
                self.put(&entry.name, entry.thing);
            }
        }
    }
}

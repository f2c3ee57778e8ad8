//! Settings with their names, in order.

use std::collections::HashMap;

use super::python::Value;

/// A setting.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Its name, such as `CFG scale`.
    pub key: String,
    /// Its value.
    pub value: Value,
}

/// Settings in the order in which they were first put in. There is one for each name.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Entries {
    list: Vec<Entry>,
    // A stranger's text may have very many.
    places: HashMap<String, usize>,
}

impl Entries {
    /// Adds a setting; one of that name that is there already gets the new value and keeps its place.
    pub fn put(&mut self, key: &str, value: impl Into<Value>) {
        let value = value.into();
        match self.places.get(key) {
            Some(place) => self.list[*place].value = value,
            None => {
                self.places.insert(key.to_owned(), self.list.len());
                self.list.push(Entry { key: key.to_owned(), value });
            }
        }
    }

    /// Adds a setting unless there is one of that name.
    pub fn put_default(&mut self, key: &str, value: impl Into<Value>) {
        if self.get(key).is_none() {
            self.put(key, value);
        }
    }

    /// The value of a setting.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.places.get(key).map(|place| &self.list[*place].value)
    }

    /// The value of a setting as text.
    pub fn text(&self, key: &str) -> Option<String> {
        self.get(key).map(ToString::to_string)
    }

    /// All settings in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Entry> {
        self.list.iter()
    }
}

impl<'a> IntoIterator for &'a Entries {
    type Item = &'a Entry;
    type IntoIter = std::slice::Iter<'a, Entry>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

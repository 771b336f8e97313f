//! Equal things are kept once: a hundred meters of one model have one list of points in memory.

use std::sync::Arc;

/// Things that are shared by whoever has an equal one.
#[derive(Debug)]
pub struct Pool<T: ?Sized>(Vec<Arc<T>>);

impl<T: ?Sized> Default for Pool<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: PartialEq + ?Sized> Pool<T> {
    /// The same, as it is kept already where an equal one is.
    pub fn share(&mut self, new: Arc<T>) -> Arc<T> {
        match self.0.iter().find(|known| Arc::ptr_eq(known, &new) || **known == new) {
            Some(known) => known.clone(),
            None => {
                self.0.push(new.clone());
                new
            }
        }
    }

    /// Forgets what nobody else has any more.
    pub fn prune(&mut self) {
        self.0.retain(|known| Arc::strong_count(known) > 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_things_are_one_and_forgotten_with_their_last_user() {
        let mut pool: Pool<[u8]> = Pool::default();
        let first = pool.share([1, 2].into());
        let second = pool.share([1, 2].into());
        assert!(Arc::ptr_eq(&first, &second));
        assert!(!Arc::ptr_eq(&first, &pool.share([3].into())));
        pool.prune();
        assert_eq!(pool.0.len(), 1);
        drop((first, second));
        pool.prune();
        assert!(pool.0.is_empty());
    }
}

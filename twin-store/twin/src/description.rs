//! What a twin consists of: its points, their meaning, and how they are acquired.
//!
//! A [`Declaration`] is what configuration says; a [`Description`] is what the log made of it: a numbered revision
//! in which every point has an index that it keeps for life. Revisions only add or retire.

use std::sync::Arc;

use crate::{Name, Nameplate, Policy, Rules, ValueType};

/// What configuration says that a twin consists of. Order gives new points their indexes.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Declaration {
    /// The profile or model that it was made from, `vendor/model`, if any.
    pub model: Option<Arc<str>>,
    /// What is known of the asset beforehand.
    pub nameplate: Nameplate,
    /// Points are acquired in groups; at least one where there are points.
    pub groups: Vec<Group>,
    /// The points.
    pub points: Vec<PointSpec>,
    /// IRIs that say what kind of thing the twin is.
    pub semantics: Vec<Arc<str>>,
    /// What is asked of the twin as a whole.
    pub policy: Policy,
}

/// Points that are acquired together: one completed acquisition is one change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Its name, unique in the twin.
    pub name: Name,
    /// How it is acquired.
    pub acquisition: Acquisition,
    /// After this many microseconds of silence its readings are stale; 0 = never.
    pub max_age: i64,
    /// It is no longer acquired; its index stays taken.
    pub retired: bool,
}

/// How a group is acquired.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acquisition {
    /// We ask at this interval, in microseconds.
    Polled {
        /// Microseconds from one request to the next.
        interval: i64,
    },
    /// The asset speaks by itself.
    Pushed {
        /// Microseconds between two receptions, as expected.
        interval: i64,
        /// How many of a hundred receptions are expected to arrive.
        reception: u8,
    },
    /// We ask when somebody asks us.
    OnDemand,
}

/// A point as configuration declares it.
#[derive(Debug, Clone, PartialEq)]
pub struct PointSpec {
    /// The feature that it belongs to.
    pub feature: Name,
    /// Its name within the feature.
    pub name: Name,
    /// What it is.
    pub kind: Kind,
    /// The type of its values.
    pub value_type: ValueType,
    /// Its unit in UCUM, case sensitive; `None` where it has none.
    pub unit: Option<Arc<str>>,
    /// The range of plausible values, in the unit; see [`crate::Twin::condition`].
    pub range: Option<(f64, f64)>,
    /// Words for values of an enumeration.
    pub labels: Arc<[(i64, Arc<str>)]>,
    /// What it is called for people.
    pub title: Option<Arc<str>>,
    /// IRIs that say what it means.
    pub semantics: Arc<[Arc<str>]>,
    /// Its acquisition group, by index in [`Declaration::groups`].
    pub group: u16,
    /// Who may do what with it.
    pub access: Access,
    /// When a reading of it is worth a commit.
    pub report: Report,
    /// What else is asked of it.
    pub rules: Rules,
}

impl PointSpec {
    /// A point of the first group of which nothing more is said: nobody may read or write it, and its readings are
    /// reported by change.
    #[must_use]
    pub fn new(feature: Name, name: Name, kind: Kind, value_type: ValueType) -> Self {
        Self {
            feature,
            name,
            kind,
            value_type,
            unit: None,
            range: None,
            labels: Arc::from([]),
            title: None,
            semantics: Arc::from([]),
            group: 0,
            access: Access::default(),
            report: Report::Change,
            rules: Rules::default(),
        }
    }
}

/// The kinds of things a feature has, relationships apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A property that is a state: its current value matters.
    State = 0,
    /// A property that is telemetry: the series of its values matters.
    Telemetry = 1,
    /// An event.
    Event = 2,
    /// An action.
    Action = 3,
}

/// Who may do what with a point.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Access {
    /// It can be read from the asset.
    pub readable: bool,
    /// It may be written, under these conditions; `None`: it may not.
    pub writable: Option<Writable>,
}

/// The conditions under which a point may be written.
#[derive(Debug, Clone, PartialEq)]
pub struct Writable {
    /// The range that a command may ask for, in the unit.
    pub range: Option<(f64, f64)>,
    /// Microseconds that the asset needs before a read-back tells the truth.
    pub settle: i64,
    /// How far the read-back may differ from the expected value, in the unit.
    pub tolerance: f64,
    /// The twin need not be shadowed for a command to be accepted.
    pub unsynchronised: bool,
    /// The desired value is asserted again when the asset leaves it.
    pub hold: bool,
}

/// When a reading is worth a commit.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Report {
    /// When value or quality differ from what was last committed.
    #[default]
    Change,
    /// When quality differs, or the value differs by more than this, in the unit.
    Deadband(f64),
    /// When quality differs, or the value differs by more than this many percent of what was last committed.
    Percent(f64),
    /// Always.
    Always,
}

/// A point of a description: its specification and whether it is still in use.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// What was declared.
    pub spec: PointSpec,
    /// The index of its feature in [`Description::features`].
    pub feature: u16,
    /// It is no longer acquired; its index stays taken.
    pub retired: bool,
}

/// A numbered revision of what a twin consists of. The position of a point is its index, for life.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Description {
    /// From 1; grows with each revision.
    pub revision: u32,
    /// See [`Declaration::model`].
    pub model: Option<Arc<str>>,
    /// See [`Declaration::nameplate`].
    pub nameplate: Nameplate,
    /// See [`Declaration::semantics`].
    pub semantics: Vec<Arc<str>>,
    /// See [`Declaration::policy`].
    pub policy: Policy,
    /// Acquisition groups, by index.
    pub groups: Vec<Group>,
    /// Points, by index.
    pub points: Vec<Point>,
    /// Features in the order of their first point, by index.
    pub features: Vec<Name>,
}

/// What became of a declaration.
#[derive(Debug, Clone, PartialEq)]
pub struct Revised {
    /// The new revision.
    pub description: Description,
    /// For each declared point, in its order, the index that it has.
    pub indexes: Vec<u16>,
    /// For each declared group, in its order, the index that it has.
    pub groups: Vec<u16>,
    /// Whether anything differs from the revision before.
    pub changed: bool,
}

impl Description {
    /// The most points and events that a twin can have in its life.
    pub const MAX_POINTS: usize = 65_535;

    /// The point at this index.
    #[must_use]
    pub fn point(&self, index: u16) -> Option<&Point> {
        self.points.get(usize::from(index))
    }

    /// The index of the point in use with this feature and name.
    #[must_use]
    pub fn find(&self, feature: &str, name: &str) -> Option<u16> {
        let found = self.points.iter().position(|p| {
            !p.retired && p.spec.feature.as_str() == feature && p.spec.name.as_str() == name
        })?;
        u16::try_from(found).ok()
    }

    /// What this revision becomes under a new declaration: points and groups keep their indexes by name, what is
    /// missing retires, what is new or has another value type gets the next free index.
    ///
    /// `None` when the indexes are used up.
    #[must_use]
    pub fn revise(&self, declared: &Declaration) -> Option<Revised> {
        let mut next = Self {
            revision: self.revision,
            model: declared.model.clone(),
            nameplate: declared.nameplate.clone(),
            semantics: declared.semantics.clone(),
            policy: declared.policy.clone(),
            groups: self.groups.iter().map(|g| Group { retired: true, ..g.clone() }).collect(),
            points: self.points.iter().map(|p| Point { retired: true, ..p.clone() }).collect(),
            features: self.features.clone(),
        };
        let groups: Vec<u16> =
            declared.groups.iter().map(|g| next.place_group(g)).collect::<Option<_>>()?;
        let mut indexes = Vec::with_capacity(declared.points.len());
        for spec in &declared.points {
            let group = *groups.get(usize::from(spec.group))?;
            indexes.push(next.place_point(PointSpec { group, ..spec.clone() })?);
        }
        let changed = next != *self;
        next.revision += u32::from(changed);
        Some(Revised { description: next, indexes, groups, changed })
    }

    fn place_group(&mut self, group: &Group) -> Option<u16> {
        let group = Group { retired: false, ..group.clone() };
        let at = self.groups.iter().position(|g| g.name == group.name).unwrap_or(self.groups.len());
        match self.groups.get_mut(at) {
            Some(old) => *old = group,
            None => self.groups.push(group),
        }
        u16::try_from(at).ok()
    }

    fn place_point(&mut self, spec: PointSpec) -> Option<u16> {
        let known = self.features.iter().position(|f| *f == spec.feature);
        let feature = u16::try_from(known.unwrap_or(self.features.len())).ok()?;
        if known.is_none() {
            self.features.push(spec.feature.clone());
        }
        let same = |p: &Point| {
            p.spec.feature == spec.feature
                && p.spec.name == spec.name
                && p.spec.value_type == spec.value_type
        };
        let at = self.points.iter().position(same).unwrap_or(self.points.len());
        if at >= Self::MAX_POINTS {
            return None;
        }
        let point = Point { spec, feature, retired: false };
        match self.points.get_mut(at) {
            Some(old) => *old = point,
            None => self.points.push(point),
        }
        u16::try_from(at).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::IntKind;

    fn spec(feature: &str, name: &str, value_type: ValueType) -> PointSpec {
        PointSpec::new(feature.parse().unwrap(), name.parse().unwrap(), Kind::State, value_type)
    }

    fn declared(points: Vec<PointSpec>) -> Declaration {
        let acquisition = Acquisition::Polled { interval: 1_000_000 };
        let group =
            Group { name: "main".parse().unwrap(), acquisition, max_age: 0, retired: false };
        Declaration { groups: vec![group], points, ..Declaration::default() }
    }

    const U16: ValueType = ValueType::Int(IntKind::U16);

    #[test]
    fn an_index_is_for_life() {
        let first = Description::default()
            .revise(&declared(vec![spec("f", "a", U16), spec("f", "b", U16)]))
            .unwrap();
        assert_eq!((first.indexes, first.description.revision), (vec![0, 1], 1));
        let second = first
            .description
            .revise(&declared(vec![spec("g", "c", U16), spec("f", "b", U16)]))
            .unwrap();
        assert_eq!(second.indexes, vec![2, 1]);
        assert!(second.description.points[0].retired);
        let third = second.description.revise(&declared(vec![spec("f", "a", U16)])).unwrap();
        assert_eq!(third.indexes, vec![0], "a point that returns gets its index back");
        assert_eq!(third.description.features.len(), 2, "features are never renumbered");
    }

    #[test]
    fn another_type_is_another_index() {
        let first = Description::default().revise(&declared(vec![spec("f", "a", U16)])).unwrap();
        let second =
            first.description.revise(&declared(vec![spec("f", "a", ValueType::F32)])).unwrap();
        assert_eq!(second.indexes, vec![1]);
        assert_eq!(second.description.find("f", "a"), Some(1));
    }

    #[test]
    fn an_equal_declaration_is_no_revision() {
        let d = declared(vec![spec("f", "a", U16)]);
        let first = Description::default().revise(&d).unwrap();
        let again = first.description.revise(&d).unwrap();
        assert!(first.changed && !again.changed);
        assert_eq!(again.description, first.description);
    }

    #[test]
    fn used_up_indexes_are_refused() {
        let mut description = Description::default();
        let mut d = declared(vec![spec("f", "a", U16)]);
        let one = description.revise(&d).unwrap().description.points.remove(0);
        description.points = vec![Point { retired: true, ..one }; Description::MAX_POINTS];
        assert!(description.revise(&d).is_some(), "an index that exists may return");
        d.points = vec![spec("f", "new", U16)];
        assert!(description.revise(&d).is_none());
    }
}

//! What is the same in every message of a twin, escaped once per description revision.

use twin::{Description, Kind, TwinId};

use crate::json;
use crate::spec::{Pattern, any};

/// Pre-escaped fragments of one twin: keys by point index, points by feature, topics.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    /// The revision that they were made from; 0 = none yet.
    pub revision: u32,
    /// Where the twin's topics begin, `/` at the end.
    pub topics: String,
    /// `{"gateway":"g","twin":"t","epoch":`
    pub head: Vec<u8>,
    fragments: Vec<u8>,
    /// Where the key of each point ends in `fragments`.
    ends: Vec<u32>,
    features: Vec<Vec<u16>>,
    /// By index, whether the point goes through; empty where all do.
    wanted: Vec<bool>,
}

impl Keys {
    /// The fragments of a twin under the topic `prefix`, with the points that match one of `points`.
    pub(crate) fn new(
        prefix: &str,
        gateway: &str,
        (twin, of): (&TwinId, &Description),
        points: &[Pattern],
    ) -> Self {
        let mut head = b"{\"gateway\":".to_vec();
        json::string(&mut head, gateway);
        head.extend_from_slice(b",\"twin\":");
        json::string(&mut head, twin.as_str());
        head.extend_from_slice(b",\"epoch\":");
        let mut keys = Self {
            revision: of.revision,
            topics: format!("{prefix}/twins/{twin}/"),
            head,
            features: vec![Vec::new(); of.features.len()],
            ..Self::default()
        };
        for (index, point) in (0u16..).zip(&of.points) {
            let spec = &point.spec;
            let path = format!("{twin}/{}/{}", spec.feature, spec.name);
            let wanted = any(points, &path);
            keys.wanted.push(wanted);
            json::string(&mut keys.fragments, &format!("{}/{}", spec.feature, spec.name));
            keys.fragments.push(b':');
            keys.ends.push(u32::try_from(keys.fragments.len()).unwrap_or(u32::MAX));
            let property = matches!(spec.kind, Kind::State | Kind::Telemetry);
            if property
                && wanted
                && !point.retired
                && let Some(feature) = keys.features.get_mut(usize::from(point.feature))
            {
                feature.push(index);
            }
        }
        if keys.wanted.iter().all(|wanted| *wanted) {
            keys.wanted.clear();
        }
        keys
    }

    /// Whether every point goes through.
    pub(crate) fn all(&self) -> bool {
        self.wanted.is_empty()
    }

    /// Whether this point goes through.
    pub(crate) fn wants(&self, index: u16) -> bool {
        self.all() || self.wanted.get(usize::from(index)).is_some_and(|wanted| *wanted)
    }

    /// `"feature/name":` of a point; empty where there is no such point.
    pub(crate) fn key(&self, index: u16) -> &[u8] {
        let at = usize::from(index);
        let begin = at.checked_sub(1).and_then(|before| self.ends.get(before)).map_or(0, |e| *e);
        let end = self.ends.get(at).map_or(0, |e| *e);
        self.fragments.get(begin as usize..end as usize).unwrap_or_default()
    }

    /// The properties in use of a feature.
    pub(crate) fn properties(&self, feature: u16) -> &[u16] {
        self.features.get(usize::from(feature)).map_or(&[], Vec::as_slice)
    }
}

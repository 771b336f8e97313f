//! What somebody may have meant.

/// Of these words, the one that `word` was probably meant to be.
///
/// Case, `-`, `_` and blanks do not count; about every third letter may be wrong, missing or swapped.
pub fn nearest<'a>(word: &str, words: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    const LONGEST: usize = 100;
    if word.len() > LONGEST {
        return None;
    }
    let plain = |text: &str| -> String {
        text.chars()
            .filter(|c| !matches!(c, '-' | '_' | ' '))
            .flat_map(char::to_lowercase)
            .collect()
    };
    let word = plain(word);
    let allowed = (word.chars().count() / 3).max(1);
    let distance = |candidate: &&str| {
        let candidate = plain(candidate);
        let whole = strsim::damerau_levenshtein(&word, &candidate);
        // `max_connection_count` for `max_connections` is far by letters and near by meaning.
        let short = word.len().min(candidate.len()) < 4;
        let begins = !short && (candidate.starts_with(&word) || word.starts_with(&candidate));
        if begins { whole.min(allowed) } else { whole }
    };
    words
        .into_iter()
        .filter(|candidate| !candidate.is_empty() && candidate.len() <= LONGEST)
        .map(|candidate| (distance(&candidate), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_was_meant() {
        let keys = ["address", "type", "order", "scale", "max_connections"];
        assert_eq!(nearest("adress", keys), Some("address"));
        assert_eq!(nearest("Max-Connections", keys), Some("max_connections"));
        assert_eq!(nearest("tpye", keys), Some("type"));
        assert_eq!(nearest("max_connections_at_once_per_host", keys), Some("max_connections"));
        assert_eq!(nearest("colour", keys), None);
        assert_eq!(nearest("", keys), None);
        assert_eq!(nearest(&"a".repeat(1000), keys), None);
    }
}

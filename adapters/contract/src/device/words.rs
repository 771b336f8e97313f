//! Words with a form of their own: point names and labels.

use std::collections::BTreeMap;
use std::sync::Arc;

use settings::{Diagnostic, Place};
use twin::Name;

/// The feature and the property of `"feature/property"`.
///
/// # Errors
/// In words, what is wrong with the name.
pub fn point_name(text: &str) -> Result<(Name, Name), String> {
    let Some((feature, property)) = text.split_once('/') else {
        return Err("the name of a point is \"feature/property\"".to_owned());
    };
    let part =
        |part: &str, what: &str| part.parse::<Name>().map_err(|e| format!("the {what}: {e}"));
    Ok((part(feature, "feature")?, part(property, "property")?))
}

/// The labels of an enumeration, in the order of their numbers.
pub fn labels(
    words: &BTreeMap<String, String>,
    place: &Place,
    found: &mut Vec<Diagnostic>,
) -> Arc<[(i64, Arc<str>)]> {
    let mut labels: Vec<(i64, Arc<str>)> = Vec::with_capacity(words.len());
    for (number, word) in words {
        let hexadecimal = number.strip_prefix("0x").map(|digits| i64::from_str_radix(digits, 16));
        match hexadecimal.unwrap_or_else(|| number.parse()) {
            Ok(number) => labels.push((number, word.as_str().into())),
            Err(_) => {
                let error =
                    place.inside("labels").error(number, "a label stands for a whole number");
                found.push(error.help("write labels = { 0 = \"off\", 1 = \"on\" }"));
            }
        }
    }
    labels.sort_unstable();
    for pair in labels.windows(2) {
        if let [(a, _), (b, _)] = pair
            && a == b
        {
            found.push(place.error("labels", format!("the number {a} has two labels")));
        }
    }
    labels.into()
}

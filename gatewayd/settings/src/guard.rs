//! Refuses hostile nesting before the parser sees it.
//!
//! The parser bounds brackets and dotted keys each, not their product, and frees its tables recursively.

/// The deepest brackets, and the most dots in one key. Real settings have three.
const DEEPEST: usize = 16;

/// Where the text nests too deeply, if it does: the byte of the bracket or dot that is one too many.
///
/// It need not understand TOML: it skips comments and strings, and errs towards counting.
pub(crate) fn too_deep(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let (mut depth, mut dots, mut at) = (0_usize, 0_usize, 0_usize);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' | b'\'' => {
                at = after_string(bytes, at);
                continue;
            }
            b'#' => {
                at += bytes.get(at..)?.iter().take_while(|b| **b != b'\n').count();
                continue;
            }
            b'[' | b'{' => (depth, dots) = (depth + 1, 0),
            b']' | b'}' => (depth, dots) = (depth.saturating_sub(1), 0),
            b'.' => dots += 1,
            b'=' | b',' | b'\n' => dots = 0,
            _ => {}
        }
        if depth > DEEPEST || dots > DEEPEST {
            return Some(at);
        }
        at += 1;
    }
    None
}

/// The byte after the string that begins here; an unclosed one-line string ends with its line.
fn after_string(bytes: &[u8], start: usize) -> usize {
    let quote = bytes.get(start).copied().unwrap_or(b'"');
    let triple = [quote; 3];
    let long = bytes.get(start..start + 3) == Some(triple.as_slice());
    let mut at = start + if long { 3 } else { 1 };
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'\\' if quote == b'"' => at += 1,
            b'\n' if !long => return at,
            b if *b == quote && !long => return at + 1,
            b if *b == quote && bytes.get(at..at + 3) == Some(triple.as_slice()) => return at + 3,
            _ => {}
        }
        at += 1;
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn real_settings_pass() {
        assert_eq!(
            too_deep("[a.b]\nc = [[1.5, 2.5], [\"[[[[[[[[[[[[[[[[[[[\"]] # ................."),
            None
        );
        assert_eq!(too_deep("a = \"\"\"\n[[[[[[[[[[[[[[[[[[[[ \\\"\"\"\"\nb.c = 1.0"), None);
        assert_eq!(too_deep("a = 'x\\'\nb = '''\n[[[[[[[[[[[[[[[[[['''"), None);
    }

    #[test]
    fn nesting_is_bounded() {
        assert_eq!(too_deep(&format!("a = {}", "[".repeat(100))), Some(4 + DEEPEST));
        assert_eq!(too_deep(&format!("a{} = 1", ".a".repeat(100))), Some(1 + 2 * DEEPEST));
        assert!(too_deep(&format!("a = {}", "{ a = ".repeat(100))).is_some());
    }
}

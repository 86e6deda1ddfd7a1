//! Scripts explain themselves: the comment above a line, and the one above its function.

/// Returns for each line of a shell script what its comments say of it; `None` for empty lines and for comments.
pub(super) fn reasons(script: &str) -> Vec<Option<String>> {
    let lines: Vec<&str> = script.lines().collect();
    let header = comment_below(&lines, 0);
    (0..lines.len())
        .map(|index| reason(&lines, index, &header))
        .collect()
}

fn reason(lines: &[&str], index: usize, header: &str) -> Option<String> {
    let line = lines[index].trim();
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    let function = function_of(lines, index);
    let own = nearest_comment(lines, index, function.unwrap_or(0));
    let Some(start) = function else {
        return Some(if own.is_empty() { header.into() } else { own });
    };
    let name = lines[start].trim_end_matches("() {");
    let about = comment_above(lines, start);
    Some(match (own.as_str(), about.as_str()) {
        ("", "") => format!("Part of the function `{name}`."),
        ("", about) => format!("Part of the function `{name}`. {about}"),
        (own, "") => format!("{own} (In the function `{name}`.)"),
        (own, about) => format!("{own} (In the function `{name}`: {about})"),
    })
}

/// Returns the first line of the function that a line is in.
fn function_of(lines: &[&str], index: usize) -> Option<usize> {
    let is_start = |line: &str| line.ends_with("() {") && !line.starts_with([' ', '\t']);
    if is_start(lines[index]) {
        return Some(index);
    }
    let start = lines[..index]
        .iter()
        .rposition(|line| is_start(line) || *line == "}")?;
    is_start(lines[start]).then_some(start)
}

/// Returns the comment that is nearest above a line, in the same paragraph, and not further in than the line.
fn nearest_comment(lines: &[&str], index: usize, from: usize) -> String {
    let indent = |line: &str| line.len() - line.trim_start().len();
    let mut least = indent(lines[index]);
    for above in (from..index).rev() {
        let line = lines[above];
        if line.trim().is_empty() {
            break;
        }
        if is_comment(line) && indent(line) <= least {
            return comment_above(lines, above + 1);
        }
        least = least.min(indent(line));
    }
    String::new()
}

/// Returns the comment that ends above a line; other lines of the paragraph may be between.
fn comment_above(lines: &[&str], index: usize) -> String {
    let mut end = index;
    while end > 0 && !lines[end - 1].trim().is_empty() && !lines[end - 1].trim().starts_with('#') {
        if lines[end - 1] == "}" {
            return String::new();
        }
        end -= 1;
    }
    let mut start = end;
    while start > 0 && lines[start - 1].trim().starts_with('#') {
        start -= 1;
    }
    joined(&lines[start..end])
}

fn comment_below(lines: &[&str], start: usize) -> String {
    let end = lines[start..]
        .iter()
        .position(|line| !line.trim().starts_with('#'))
        .map_or(lines.len(), |length| start + length);
    joined(&lines[start..end])
}

/// Joins the lines of a comment, less what is said to programs.
fn joined(lines: &[&str]) -> String {
    let said: Vec<&str> = lines
        .iter()
        .filter(|line| is_comment(line))
        .map(|line| line.trim().trim_start_matches('#').trim())
        .filter(|line| !line.is_empty())
        .collect();
    said.join(" ")
}

fn is_comment(line: &str) -> bool {
    let line = line.trim();
    line.starts_with('#') && !line.starts_with("#!") && !line.starts_with("# shellcheck ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCRIPT: &str = "\
#!/bin/bash
# What it is for.
# shellcheck source=/dev/null
set -e

# Why two.
COUNT=2
name() {
    # Inner
    # words.
    if x; then
        deep
    fi
}

bare() {
    y
}
";

    #[test]
    fn comments_are_reasons() {
        let reasons = reasons(SCRIPT);
        let of = |number: usize| reasons[number - 1].as_deref();
        assert_eq!(of(1), None);
        assert_eq!(of(4), Some("What it is for."));
        assert_eq!(of(5), None);
        assert_eq!(of(7), Some("Why two."));
        assert_eq!(of(8), Some("Part of the function `name`. Why two."));
        assert_eq!(
            of(12),
            Some("Inner words. (In the function `name`: Why two.)")
        );
        assert_eq!(of(17), Some("Part of the function `bare`."));
    }
}

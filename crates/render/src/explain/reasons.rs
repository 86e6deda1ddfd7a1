//! The reasons that lie beside the templates: `<file>.why.toml`.

use serde::Deserialize;

use super::marked::is_lone_block;

/// What one `.why.toml` says.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Reasons {
    /// Where upstream defines what the file may say.
    pub(super) docs: Option<String>,
    #[serde(default, rename = "reason")]
    pub(super) reasons: Vec<Reason>,
}

/// Why some lines are there.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Reason {
    /// The lines of the template that it is about.
    pub(super) lines: Vec<Pattern>,
    /// What breaks without them, or what their number trades off.
    pub(super) why: String,
    /// Where upstream defines them, if not where the rest of the file is.
    pub(super) docs: Option<String>,
    /// The checks of `verify` that prove it.
    #[serde(default)]
    pub(super) verify: Vec<String>,
    /// True if it is also about all lines that are indented below.
    #[serde(default)]
    pub(super) block: bool,
}

/// A line of a template, without the white space round it. `*` stands for anything.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Pattern {
    /// A line that is there once.
    Once(String),
    /// One that is there several times for the same reason, or for another reason elsewhere.
    Repeated {
        line: String,
        /// How often it is there; once where nothing is said.
        times: Option<usize>,
        /// Only where this line stands above it.
        after: Option<String>,
    },
}

impl Pattern {
    fn line(&self) -> &str {
        match self {
            Pattern::Once(line) | Pattern::Repeated { line, .. } => line,
        }
    }

    fn times(&self) -> usize {
        match self {
            Pattern::Once(_) => 1,
            Pattern::Repeated { times, .. } => times.unwrap_or(1),
        }
    }

    /// True if it means `line`, above which `above` says something.
    fn means(&self, line: &str, above: &str) -> bool {
        let after = match self {
            Pattern::Repeated { after, .. } => after.as_deref(),
            Pattern::Once(_) => None,
        };
        matches(self.line(), line) && after.is_none_or(|after| after == above)
    }
}

impl Reasons {
    /// Reads a `.why.toml`.
    ///
    /// # Errors
    ///
    /// Says what is wrong with it.
    pub(super) fn parse(text: &str) -> Result<Reasons, String> {
        toml::from_str(text).map_err(|error| error.to_string())
    }

    /// Returns for each line of a template which of the reasons is its own, and what does not fit.
    pub(super) fn of(&self, template: &str) -> (Vec<Option<usize>>, Vec<String>) {
        let lines: Vec<&str> = template.lines().collect();
        let mut owners = vec![None; lines.len()];
        let mut faults = Vec::new();
        for (place, reason) in self.reasons.iter().enumerate() {
            for pattern in &reason.lines {
                let mut count = 0;
                let mut above = "";
                for (index, line) in lines.iter().enumerate() {
                    if !says_something(line) {
                        continue;
                    }
                    let last = std::mem::replace(&mut above, line.trim());
                    if !pattern.means(line.trim(), last) {
                        continue;
                    }
                    count += 1;
                    if let Some(other) = owners[index].replace(place) {
                        let first = self.reasons[other].lines[0].line();
                        faults.push(format!(
                            "line {} `{}` has two reasons: that of `{first}` and that of `{}`",
                            index + 1,
                            line.trim(),
                            pattern.line()
                        ));
                    }
                }
                if count != pattern.times() {
                    faults.push(format!(
                        "`{}` is to match {} lines of the template, and matches {count}",
                        pattern.line(),
                        pattern.times()
                    ));
                }
            }
        }
        self.fill_blocks(&lines, &mut owners);
        (owners, faults)
    }

    /// Gives the lines below a block's first one the block's reason, where they have none of their own.
    fn fill_blocks(&self, lines: &[&str], owners: &mut [Option<usize>]) {
        // The blocks that the line at hand is in: how far their first line is indented, and their reason.
        let mut open: Vec<(usize, usize)> = Vec::new();
        for (line, owner) in lines.iter().zip(owners) {
            if !says_something(line) {
                continue;
            }
            let indent = indentation(line);
            open.retain(|(outer, _)| *outer < indent || (*outer == indent && goes_on(line)));
            match *owner {
                Some(place) if self.reasons[place].block => open.push((indent, place)),
                Some(_) => {}
                None => *owner = open.last().map(|(_, place)| *place),
            }
        }
    }
}

/// True if a line of a template can have a reason: it gives a line that is neither empty nor a comment.
pub(super) fn says_something(line: &str) -> bool {
    let line = line.trim();
    !line.is_empty() && !line.starts_with('#') && !is_lone_block(line)
}

/// True if a line goes on with a block, though it is indented as the block's first one (Ruby).
pub(super) fn goes_on(line: &str) -> bool {
    let line = line.trim();
    line == "else" || line.starts_with("rescue ")
}

/// Returns the number of blanks that a line begins with.
pub(super) fn indentation(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// True if `text` is `pattern`, where each `*` stands for anything.
fn matches(pattern: &str, text: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else {
        return pattern == text;
    };
    text.strip_prefix(head).is_some_and(|text| {
        (0..=text.len())
            .filter(|place| text.is_char_boundary(*place))
            .any(|place| matches(rest, &text[place..]))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHY: &str = r#"
        [[reason]]
        lines = ["timeout *", { line = "}", times = 2 }]
        why = "w"
        [[reason]]
        lines = ["block {"]
        why = "b"
        block = true
    "#;

    #[test]
    fn patterns_match_whole_lines() {
        assert!(matches("timeout *", "timeout 1h"));
        assert!(!matches("timeout", "timeout 1h"));
        assert!(matches("a*b*", "a-b-b"));
        assert!(!matches("a*c", "a-b"));
    }

    #[test]
    fn each_line_has_its_reason() {
        let reasons = Reasons::parse(WHY).unwrap();
        let template = "# timeout 1\ntimeout 2\nblock {\n  inner\n}\nother\n}\n";
        let (owners, faults) = reasons.of(template);
        assert_eq!(faults, [""; 0]);
        assert_eq!(
            owners,
            [None, Some(0), Some(1), Some(1), Some(0), None, Some(0)]
        );
    }

    #[test]
    fn a_line_may_have_a_reason_for_each_place() {
        let why = "[[reason]]\nlines = [\"a:\", { line = \"- x\", after = \"a:\" }]\nwhy = \"\"\n\
                   [[reason]]\nlines = [\"b:\", { line = \"- x\", after = \"b:\" }]\nwhy = \"\"\n";
        let (owners, faults) = Reasons::parse(why).unwrap().of("a:\n- x\nb:\n# c\n- x\n");
        assert_eq!(faults, [""; 0]);
        assert_eq!(owners, [Some(0), Some(0), Some(1), None, Some(1)]);
    }

    #[test]
    fn what_does_not_fit_is_told() {
        let reasons = Reasons::parse(WHY).unwrap();
        let (_, faults) = reasons.of("timeout 1\ntimeout 2\n}\n}\n");
        assert_eq!(
            faults,
            [
                "`timeout *` is to match 1 lines of the template, and matches 2",
                "`block {` is to match 1 lines of the template, and matches 0",
            ]
        );
        let twice = Reasons::parse(
            "[[reason]]\nlines = [\"a\"]\nwhy = \"\"\n[[reason]]\nlines = [\"*\"]\nwhy = \"\"\n",
        );
        let (_, faults) = twice.unwrap().of("a\n");
        assert_eq!(
            faults,
            ["line 1 `a` has two reasons: that of `a` and that of `*`"]
        );
    }
}

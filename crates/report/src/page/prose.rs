//! Sentences with literals between backticks, as messages have them.

use handlebars::{
    Context, Handlebars, Helper, HelperResult, Output, RenderContext, RenderErrorReason,
    html_escape,
};
use serde_json::Value;

/// The helper of templates: a text whose literals are set as code. Everything is escaped.
pub(super) fn prose(
    helper: &Helper<'_>,
    _: &Handlebars<'_>,
    _: &Context,
    _: &mut RenderContext<'_, '_>,
    out: &mut dyn Output,
) -> HelperResult {
    let text = helper.param(0).map(|it| it.value()).and_then(Value::as_str);
    let text = text.ok_or(RenderErrorReason::ParamNotFoundForIndex("prose", 0))?;
    out.write(&coded(text))?;
    Ok(())
}

/// What stands between two backticks as code; where one has no other, the text as it is.
fn coded(text: &str) -> String {
    let parts: Vec<&str> = text.split('`').collect();
    if parts.len().is_multiple_of(2) {
        return html_escape(text);
    }
    let parts = parts.into_iter().enumerate();
    let parts = parts.map(|(place, part)| match place % 2 {
        0 => html_escape(part),
        _ => format!("<code>{}</code>", html_escape(part)),
    });
    parts.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_are_code_and_all_is_escaped() {
        assert_eq!(coded("no literal & no code"), "no literal &amp; no code");
        assert_eq!(
            coded("`up <x>` made `a`"),
            "<code>up &lt;x&gt;</code> made <code>a</code>"
        );
        assert_eq!(coded("an odd ` <b>"), html_escape("an odd ` <b>"));
    }
}

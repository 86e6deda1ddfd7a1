//! Tables without lines, which read the same in a log and can be cut by columns.

use comfy_table::{ContentArrangement, Table, presets};

/// A table with these heads and no rows yet.
pub fn plain(head: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_preset(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(head);
    for column in table.column_iter_mut() {
        column.set_padding((0, 3));
    }
    table
}

/// The table's lines, without the blanks that pad the last column.
pub fn text(table: &Table) -> String {
    let lines: Vec<String> = table
        .lines()
        .map(|line| line.trim_end().to_owned())
        .collect();
    lines.join("\n")
}

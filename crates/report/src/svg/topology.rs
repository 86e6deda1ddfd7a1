//! What is where, and who may talk to whom.

use svg::node::element::Element;
use svg::node::{Node, Text, Value};

use super::draw::{With, cut, element, group, number, path, rect, text, title};
use super::layout::{Cell, DOT, LANES, Layout, PAD, TOP};
use super::{PictureUse, PictureWidth, edges};
use crate::flows::Party;
use crate::topology::{Duty, MachineView, Topology};

/// What pictures look like, light and dark; the page has the same.
pub(crate) const STYLE: &str = include_str!("../../templates/picture.css");

/// How wide a character at the head of a cell is at most, on average.
const HEAD_CHARACTER: f64 = 7.2;

/// The same of a note in a box above the servers.
const NOTE_CHARACTER: f64 = 5.8;

/// The width of a box above the servers, by the width of the picture.
fn box_width(width: PictureWidth) -> (f64, f64) {
    match width {
        PictureWidth::Wide => (136.0, 230.0),
        PictureWidth::Narrow => (94.0, 132.0),
    }
}

/// Draws servers as frames, machines by role, who may talk to whom, and who is refused.
pub fn topology(topology: &Topology, used: PictureUse, width: PictureWidth) -> String {
    let mut layout = Layout::of(topology, width);
    let (side, middle) = box_width(width);
    // Room for what stands above the servers.
    let least = 2.0 * side + middle + 4.0 * 24.0;
    let shift = ((least - layout.size.0) / 2.0).max(0.0);
    if shift > 0.0 {
        for frame in &mut layout.frames {
            frame.x += shift;
        }
        for cell in &mut layout.cells {
            cell.x += shift;
        }
        layout.size.0 = least;
    }
    let (w, h) = layout.size;
    let prefix = match width {
        PictureWidth::Wide => "w",
        PictureWidth::Narrow => "n",
    };
    let mut picture = element(
        "svg",
        [
            ("xmlns", Value::from("http://www.w3.org/2000/svg")),
            ("class", Value::from("picture topology")),
            (
                "viewBox",
                Value::from(format!("0 0 {} {}", number(w), number(h))),
            ),
            ("width", number(w)),
            ("height", number(h)),
            ("role", Value::from("img")),
            ("aria-label", Value::from(description(topology))),
        ],
    );
    if used == PictureUse::File {
        picture.append(Element::new("style").with(Text::new(STYLE)));
        picture.append(rect("paper", (0.0, 0.0), (w, h), 0.0));
    }
    picture.append(edges::markers(prefix));
    for frame in &layout.frames {
        let (top, bottom) = layout.frames_y;
        let mut one = group("server");
        one.assign("data-server", frame.name.as_str());
        one.append(rect(
            "frame",
            (frame.x, top),
            (frame.width, bottom - top),
            12.0,
        ));
        let most = (frame.width / 8.0) as usize;
        one.append(text(
            "server-name",
            (frame.x + 12.0, top + 19.0),
            &cut(&frame.name, most),
        ));
        picture.append(one);
    }
    let (centre, boxes) = heads(topology, &layout, width);
    for edge in edges::all(topology, &layout, centre, used, prefix) {
        picture.append(edge);
    }
    for cell in &layout.cells {
        picture.append(drawn_cell(cell, topology, &layout));
    }
    for one in boxes {
        picture.append(one);
    }
    picture.to_string() + "\n"
}

/// Where the boxes above the servers are: the middles of operator, endpoint and anybody else, and half of their widths.
#[derive(Debug, Clone, Copy)]
pub(super) struct Heads {
    pub(super) operator: (f64, f64),
    pub(super) endpoint: (f64, f64),
    pub(super) stranger: (f64, f64),
}

fn heads(topology: &Topology, layout: &Layout<'_>, width: PictureWidth) -> (Heads, Vec<Element>) {
    let (side, middle) = box_width(width);
    let w = layout.size.0;
    let heads = Heads {
        operator: (side / 2.0 + 1.0, side / 2.0),
        // Above the middle of the servers, so that the way down is straight where there is one.
        endpoint: (layout.centre(), middle / 2.0),
        stranger: (w - side / 2.0 - 1.0, side / 2.0),
    };
    let owner: Vec<&str> = (topology.machines.iter())
        .filter(|it| it.owner)
        .map(|it| it.name.as_str())
        .collect();
    let below = match (topology.shared, owner.as_slice()) {
        (false, _) => "the one master".to_owned(),
        (true, []) => "shared address".to_owned(),
        (true, owners) => format!("held by {}", owners.join(", ")),
    };
    let operator = match topology.operators.as_slice() {
        [one] => one.clone(),
        several => format!("{} addresses", several.len()),
    };
    let one = |class: &str, (x, half): (f64, f64), head: &str, mono: &str, note: &str| {
        let mut one = group(&format!("party {class}"));
        one.append(rect("box", (x - half, 1.0), (half * 2.0, TOP - 2.0), 8.0));
        one.append(text("label", (x, 17.0), head));
        let most = |character: f64| (half * 2.0 / character) as usize;
        one.append(text("mono", (x, 32.0), &cut(mono, most(6.8))));
        one.append(text("note", (x, 46.0), &cut(note, most(NOTE_CHARACTER))));
        one
    };
    let boxes = vec![
        one("operator", heads.operator, "operator", &operator, ""),
        one(
            "endpoint",
            heads.endpoint,
            "API endpoint",
            &topology.endpoint,
            &below,
        ),
        one(
            "stranger",
            heads.stranger,
            "anybody else",
            "",
            "no certificate",
        ),
    ];
    (heads, boxes)
}

fn drawn_cell(cell: &Cell<'_>, topology: &Topology, layout: &Layout<'_>) -> Element {
    let mut drawn = group(&format!("role {}", cell.role.word()));
    drawn.assign("data-role", cell.role.word());
    if let Some(first) = cell.machines.first() {
        drawn.assign("data-server", first.server.as_str());
    }
    drawn.append(rect(
        "cell",
        (cell.x, cell.y),
        (cell.width, cell.height),
        8.0,
    ));
    let count = cell.machines.len();
    let mut head = match Party::of_role(cell.role, count) {
        one if count == 1 => one.to_owned(),
        several => format!("{count} {several}"),
    };
    let among = topology.flows.iter().find(|flow| {
        let is_node = flow.from == Party::Nodes && cell.role.is_node();
        flow.allowed && flow.to == flow.from && (flow.from == Party::Role(cell.role) || is_node)
    });
    if let Some(flow) = among {
        let end = cell.x + cell.width - PAD;
        // What members say as clients is said above, so the last one, for peers, is the news.
        let ports = flow.ports.rsplit(", ").next().unwrap_or_default();
        let words = format!("⇄ {ports}");
        // Not where it would stand upon the head, which may be shorter for it.
        let fits = |head: &str| {
            let characters = (head.chars().count() + words.chars().count() + 1) as f64;
            characters * HEAD_CHARACTER < cell.width - 2.0 * PAD
        };
        let short = format!("{count} {}", Party::Role(cell.role).word());
        if !fits(&head) && fits(&short) {
            head = short;
        }
        if fits(&head) {
            drawn.append(text("among", (end, cell.y + 16.0), &words));
        }
    }
    drawn.append(text("head", (cell.x + PAD, cell.y + 16.0), &head));
    for (place, machine) in cell.machines.iter().enumerate() {
        let at = cell.place(place, &layout.measures);
        drawn.append(match cell.small {
            true => square(machine, at),
            false => card(machine, at, layout),
        });
    }
    drawn
}

fn classes(machine: &MachineView) -> String {
    let mut classes = "machine".to_owned();
    if machine.trouble().is_some() {
        classes += " unwell";
    }
    classes
}

/// What is to be known of a machine, for who rests the pointer on it.
fn details(machine: &MachineView) -> String {
    let mut parts = vec![format!(
        "{}: {}, {}, {} MiB, {} CPUs",
        machine.name, machine.role, machine.ip, machine.memory_mib, machine.cpus
    )];
    if !machine.state.is_empty() {
        parts.push(machine.state.clone());
    }
    if !machine.why.is_empty() {
        parts.push(machine.why.clone());
    }
    parts.extend(machine.duty().map(|it| it.words().to_owned()));
    parts.join("; ")
}

/// What stands below a machine's address: what is wrong with it first.
fn mark(machine: &MachineView) -> (&'static str, String) {
    let sign = |duty| match duty {
        Duty::Address => "◆",
        Duty::Leader => "★",
    };
    match (machine.trouble(), machine.duty()) {
        (Some(trouble), None) => ("mark bad", format!("✕ {trouble}")),
        // There is room for one of them in full.
        (Some(trouble), Some(duty)) => ("mark bad", format!("✕ {trouble} {}", sign(duty))),
        (None, Some(duty)) => ("mark", format!("{} {}", sign(duty), duty.words())),
        (None, None) => ("mark", String::new()),
    }
}

fn card(machine: &MachineView, (x, y): (f64, f64), layout: &Layout<'_>) -> Element {
    let measures = &layout.measures;
    let (width, height) = measures.card;
    let mut drawn = group(&classes(machine));
    drawn.assign("data-machine", machine.name.as_str());
    drawn.append(title(&details(machine)));
    drawn.append(rect("card", (x, y), (width, height), 6.0));
    let left = x + 9.0;
    drawn.append(text(
        "name",
        (left, y + 20.0),
        &cut(&machine.name, measures.name),
    ));
    drawn.append(text("ip", (left, y + 36.0), &machine.ip));
    let (class, words) = mark(machine);
    if !words.is_empty() {
        drawn.append(text(class, (left, y + 52.0), &words));
    }
    drawn
}

/// One of many: what is not well is crossed, who does something for all has a mark.
fn square(machine: &MachineView, (x, y): (f64, f64)) -> Element {
    let mut drawn = group(&classes(machine));
    drawn.assign("data-machine", machine.name.as_str());
    drawn.append(title(&details(machine)));
    drawn.append(rect("card", (x, y), (DOT, DOT), 2.0));
    let (a, b) = (x + 3.0, y + 3.0);
    let (c, d) = (x + DOT - 3.0, y + DOT - 3.0);
    if machine.trouble().is_some() {
        let cross = format!("M{a} {b}L{c} {d}M{c} {b}L{a} {d}");
        drawn.append(path("cross", &cross));
    } else if machine.duty().is_some() {
        drawn.append(rect("dot", (x + 4.0, y + 4.0), (DOT - 8.0, DOT - 8.0), 2.0));
    }
    drawn
}

/// The picture in a sentence, for who does not see it.
fn description(topology: &Topology) -> String {
    let roles = LANES.into_iter().filter_map(|role| {
        let count = topology.machines.iter().filter(|it| it.role == role);
        match count.count() {
            0 => None,
            1 => Some(format!("one {}", Party::of_role(role, 1))),
            count => Some(format!("{count} {}", Party::of_role(role, count))),
        }
    });
    let roles: Vec<String> = roles.collect();
    let refused = topology.flows.iter().filter(|flow| !flow.allowed).count();
    format!(
        "The topology: {} on {} servers behind the API endpoint {}; {refused} ways are refused",
        roles.join(", "),
        topology.servers.len(),
        topology.endpoint
    )
}

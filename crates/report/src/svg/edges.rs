//! The edges of a topology: orthogonal, between lanes where they are next to each other, else beside the servers.
//!
//! Operators and kubelets go on the left, refusals that pass a lane on the right. One edge stands for all machines of its roles.

use std::fmt::Write as _;

use caravan_lab::Role;
use svg::node::element::Element;
use svg::node::{Node, Value};

use super::PictureUse;
use super::draw::{With, element, group, number, path, text, title};
use super::layout::{Cell, Layout, TOP};
use super::topology::Heads;
use crate::flows::Party;
use crate::topology::{FlowView, Topology};
use crate::verdict::Outcome;

/// How far before what it does not reach a refused edge ends.
const SHORT: f64 = 15.0;

/// Where in the gap between two lanes an allowed edge goes from side to side, and a refused one.
const BUS: f64 = 18.0;
const REFUSED_BUS: f64 = 30.0;

/// How far beside the middle of its ends a refused edge stands.
const ASIDE: f64 = 46.0;

/// How long a line must be for a port beside it.
const ROOM: f64 = 48.0;

/// How wide a character of a port is.
const CHARACTER: f64 = 6.8;

/// The heads of arrows; `prefix` tells those of several pictures of a page apart.
pub(super) fn markers(prefix: &str) -> Element {
    let head = path("arrowhead", "M0 0L8 4L0 8Z");
    let marker = element(
        "marker",
        [
            ("id", Value::from(format!("{prefix}-arrow"))),
            ("viewBox", Value::from("0 0 8 8")),
            ("refX", Value::from("7")),
            ("refY", Value::from("4")),
            ("markerWidth", Value::from("7")),
            ("markerHeight", Value::from("7")),
            ("orient", Value::from("auto")),
        ],
    );
    Element::new("defs").with(marker.with(head))
}

/// What one edge is drawn of.
#[derive(Debug, Default)]
struct Drawing {
    /// Lines that end in an arrow's head, or for a refusal before a cross.
    ways: Vec<Vec<(f64, f64)>>,
    /// Lines between.
    lines: Vec<Vec<(f64, f64)>>,
    /// Where its ports stand, and how.
    labels: Vec<(f64, f64, Label)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Label {
    Begins,
    Ends,
    Centred,
    Upright,
}

/// All edges of the topology that the picture has.
pub(super) fn all(
    topology: &Topology,
    layout: &Layout<'_>,
    heads: Heads,
    used: PictureUse,
    prefix: &str,
) -> Vec<Element> {
    let any_tested = (topology.flows.iter()).any(|flow| flow.outcome != Outcome::NotTested);
    let drawn = topology.flows.iter().filter_map(|flow| {
        let drawing = drawing(flow, layout, heads)?;
        Some(edge(flow, &drawing, used, prefix, any_tested))
    });
    drawn.collect()
}

fn drawing(flow: &FlowView, layout: &Layout<'_>, heads: Heads) -> Option<Drawing> {
    let is_role = |party: Party| match party {
        Party::Role(role) => Some(role),
        _ => None,
    };
    match (flow.from, flow.to) {
        (Party::Operator, Party::Endpoint) => Some(across(
            heads.operator.0 + heads.operator.1,
            heads.endpoint.0 - heads.endpoint.1,
        )),
        (Party::Stranger, Party::Endpoint) => Some(across(
            heads.stranger.0 - heads.stranger.1,
            heads.endpoint.0 + heads.endpoint.1,
        )),
        (Party::Endpoint, Party::Role(role)) => Some(from_endpoint(layout, heads, role)),
        (Party::Operator, to) => Some(of_operator(layout, to)),
        (Party::Nodes, Party::Endpoint) => Some(of_nodes(layout, heads)),
        (Party::Stranger, Party::Role(role)) => of_stranger(layout, role),
        // What anybody may ask is no news in a picture of who may not.
        (Party::Stranger, Party::Nodes) if flow.allowed => None,
        (Party::Stranger, Party::Nodes) => {
            of_stranger(layout, Role::Worker).or_else(|| of_stranger(layout, Role::ControlPlane))
        }
        (Party::Role(Role::ControlPlane), Party::Nodes) => to_kubelets(layout),
        (Party::Machines, Party::Outside) => Some(outside(layout)),
        (from, to) => {
            let (from, to) = (is_role(from)?, is_role(to)?);
            (from != to).then(|| between(flow, layout, from, to))?
        }
    }
}

/// From one box above the servers to another.
fn across(from: f64, to: f64) -> Drawing {
    let y = TOP / 2.0;
    let is_refused = from > to;
    let end = if is_refused { to + SHORT } else { to - 1.0 };
    // Above the cross too.
    let above = if is_refused { 12.0 } else { 8.0 };
    Drawing {
        ways: vec![vec![(from, y), (end, y)]],
        labels: vec![((from + to) / 2.0, y - above, Label::Centred)],
        ..Drawing::default()
    }
}

/// Down to the machines behind the endpoint.
fn from_endpoint(layout: &Layout<'_>, heads: Heads, role: Role) -> Drawing {
    let x = heads.endpoint.0;
    let y = TOP + 34.0;
    let cells: Vec<&Cell<'_>> = layout.lane(role).collect();
    let mut drawing = Drawing {
        lines: vec![vec![(x, TOP - 1.0), (x, y)]],
        ..Drawing::default()
    };
    for cell in &cells {
        let end = (cell.middle(), cell.y - 1.0);
        drawing.ways.push(vec![(x, y), (cell.middle(), y), end]);
    }
    if let Some(first) = cells.first() {
        drawing
            .labels
            .push((first.middle() + 7.0, first.y - 9.0, Label::Begins));
    }
    drawing
}

/// From a lane to the one below it or above it; refusals that pass a lane go beside the servers.
fn between(flow: &FlowView, layout: &Layout<'_>, from: Role, to: Role) -> Option<Drawing> {
    let (bottom, top) = (layout.lane_bottom(from)?, layout.lane_top(to)?);
    let adjacent =
        |upper: f64, lower: f64| lower > upper && lower - upper < layout.measures.lane_gap + 2.0;
    let aside = if flow.allowed { 0.0 } else { ASIDE };
    let down = adjacent(bottom, top);
    let up = adjacent(layout.lane_bottom(to)?, layout.lane_top(from)?);
    if !down && !up {
        return beside(layout, from, to);
    }
    let bus = match (down, flow.allowed) {
        (true, true) => bottom + BUS,
        (true, false) => bottom + REFUSED_BUS,
        (false, _) => layout.lane_top(from)? - BUS,
    };
    let mut drawing = Drawing::default();
    let begin = |cell: &Cell<'_>| match down {
        true => cell.y + cell.height,
        false => cell.y,
    };
    let end = |cell: &Cell<'_>| {
        let short = if flow.allowed { 1.0 } else { SHORT };
        match down {
            true => cell.y - short,
            false => cell.y + cell.height + short,
        }
    };
    let (mut least, mut most) = (f64::MAX, f64::MIN);
    for cell in layout.lane(from) {
        let x = cell.middle() + aside;
        drawing.lines.push(vec![(x, begin(cell)), (x, bus)]);
        (least, most) = (least.min(x), most.max(x));
    }
    for (place, cell) in layout.lane(to).enumerate() {
        let x = cell.middle() + aside;
        drawing.ways.push(vec![(x, bus), (x, end(cell))]);
        (least, most) = (least.min(x), most.max(x));
        if place == 0 {
            let y = match (down, flow.allowed) {
                (true, true) => end(cell) - 8.0,
                (true, false) => end(cell) + 4.0,
                (false, _) => end(cell) + 5.0,
            };
            // A refusal stands on the right of what is allowed, so its port does, and the other's does not.
            let beside = if flow.allowed { 7.0 } else { 13.0 };
            let room = layout.size.0 - (x + beside);
            let fits = flow.label().chars().count() as f64 * CHARACTER < room;
            drawing.labels.push(match fits && !flow.allowed {
                true => (x + beside, y, Label::Begins),
                false => (x - beside, y, Label::Ends),
            });
        }
    }
    if most > least {
        drawing.lines.push(vec![(least, bus), (most, bus)]);
    }
    Some(drawing)
}

/// Where lines stand upright on the left of the servers.
#[derive(Debug, Clone, Copy)]
enum LeftTrack {
    Operator,
    Nodes,
}

/// Where lines stand upright on the right of the servers, the outermost first: who comes from above stands outside of who does
/// not, and who goes farther down outside of who does not.
#[derive(Debug, Clone, Copy)]
enum RightTrack {
    StrangerToKubelets,
    StrangerToEtcd,
    StrangerToBalancers,
    PastALane,
    MastersToKubelets,
}

fn left(layout: &Layout<'_>, track: LeftTrack) -> f64 {
    let share = match track {
        LeftTrack::Operator => 0.18,
        LeftTrack::Nodes => 0.75,
    };
    layout.measures.left * share
}

fn right(layout: &Layout<'_>, track: RightTrack) -> f64 {
    let share = match track {
        RightTrack::StrangerToKubelets => 0.08,
        RightTrack::StrangerToEtcd => 0.28,
        RightTrack::StrangerToBalancers => 0.48,
        RightTrack::PastALane => 0.68,
        RightTrack::MastersToKubelets => 0.88,
    };
    layout.size.0 - layout.measures.right * share
}

/// The rightmost cell of a lane, and the y at which what comes from the right meets it.
fn last<'l, 'a>(layout: &'l Layout<'a>, role: Role, aside: f64) -> Option<(&'l Cell<'a>, f64)> {
    let cell = layout.lane(role).last()?;
    Some((cell, cell.y + cell.height / 2.0 + aside))
}

/// On the right, from one lane to another.
fn beside(layout: &Layout<'_>, from: Role, to: Role) -> Option<Drawing> {
    let x = right(layout, RightTrack::PastALane);
    let (begin, y) = last(layout, from, 10.0)?;
    let (end, to_y) = last(layout, to, -12.0)?;
    Some(Drawing {
        ways: vec![vec![
            (begin.x + begin.width, y),
            (x, y),
            (x, to_y),
            (end.x + end.width + SHORT, to_y),
        ]],
        labels: vec![(x - 5.0, (y + to_y) / 2.0, Label::Upright)],
        ..Drawing::default()
    })
}

/// On the right, from above the servers.
fn of_stranger(layout: &Layout<'_>, role: Role) -> Option<Drawing> {
    let (track, aside) = match role {
        Role::LoadBalancer => (RightTrack::StrangerToBalancers, -14.0),
        Role::Etcd => (RightTrack::StrangerToEtcd, 12.0),
        Role::ControlPlane | Role::Worker => (RightTrack::StrangerToKubelets, 14.0),
    };
    let x = right(layout, track);
    let (end, y) = last(layout, role, aside)?;
    Some(Drawing {
        ways: vec![vec![(x, TOP - 1.0), (x, y), (end.x + end.width + SHORT, y)]],
        labels: vec![(x - 5.0, TOP + 40.0, Label::Upright)],
        ..Drawing::default()
    })
}

/// On the right, from masters past a lane to the kubelets of workers; those of masters are beside themselves.
fn to_kubelets(layout: &Layout<'_>) -> Option<Drawing> {
    let x = right(layout, RightTrack::MastersToKubelets);
    let (begin, y) = last(layout, Role::ControlPlane, 4.0)?;
    let (end, to_y) = last(layout, Role::Worker, -10.0)?;
    let edge = begin.x + begin.width;
    // Beside other labels there is no room for one more.
    let label = match x - edge > ROOM {
        true => (edge + 7.0, y - 5.0, Label::Begins),
        false => (x - 5.0, y + 26.0, Label::Upright),
    };
    Some(Drawing {
        ways: vec![vec![
            (edge, y),
            (x, y),
            (x, to_y),
            (end.x + end.width + 1.0, to_y),
        ]],
        labels: vec![label],
        ..Drawing::default()
    })
}

/// On the left, from the operator to whom it enters or asks.
fn of_operator(layout: &Layout<'_>, to: Party) -> Drawing {
    let x = left(layout, LeftTrack::Operator);
    let mut drawing = Drawing::default();
    let is_all = to == Party::Machines;
    for role in to.roles() {
        let Some(cell) = layout.lane(*role).next() else {
            continue;
        };
        let y = cell.y + cell.height / 2.0 + if is_all { 14.0 } else { 28.0 };
        drawing
            .ways
            .push(vec![(x, TOP - 1.0), (x, y), (cell.x - 1.0, y)]);
        drawing.labels.push((x + 5.0, y - 4.0, Label::Begins));
    }
    drawing
}

/// On the left, from machines with a kubelet to the endpoint.
fn of_nodes(layout: &Layout<'_>, heads: Heads) -> Drawing {
    let x = left(layout, LeftTrack::Nodes);
    let (end, turn) = (heads.endpoint.0 - heads.endpoint.1 * 0.6, TOP + 18.0);
    let mut drawing = Drawing::default();
    for role in Party::Nodes.roles() {
        let Some(cell) = layout.lane(*role).next() else {
            continue;
        };
        let y = cell.y + cell.height / 2.0 - 14.0;
        drawing.ways.push(vec![
            (cell.x, y),
            (x, y),
            (x, turn),
            (end, turn),
            (end, TOP),
        ]);
    }
    drawing.labels.push((end + 7.0, TOP + 14.0, Label::Begins));
    drawing
}

/// Downwards, out of the servers.
fn outside(layout: &Layout<'_>) -> Drawing {
    let x = layout.centre();
    let y = layout.frames_y.1;
    Drawing {
        ways: vec![vec![(x, y), (x, y + 12.0)]],
        labels: vec![(x + 13.0, y + 21.0, Label::Begins)],
        ..Drawing::default()
    }
}

fn edge(
    flow: &FlowView,
    drawing: &Drawing,
    used: PictureUse,
    prefix: &str,
    any_tested: bool,
) -> Element {
    let mut class = match flow.allowed {
        true => "edge allowed".to_owned(),
        false => "edge refused".to_owned(),
    };
    match flow.outcome {
        Outcome::Broken => class += " broken",
        Outcome::NotTested | Outcome::LeftOut if any_tested => class += " untested",
        _ => {}
    }
    let mut drawn = group(&class);
    drawn.assign("data-from", roles(flow.from));
    drawn.assign("data-to", roles(flow.to));
    drawn.append(title(&words(flow, any_tested)));
    for line in &drawing.lines {
        drawn.append(path("line", &data(line)));
    }
    for way in &drawing.ways {
        let mut line = path("line", &data(way));
        if flow.allowed {
            line.assign("marker-end", format!("url(#{prefix}-arrow)"));
        }
        drawn.append(line);
        if let Some(end) = way.last().filter(|_| !flow.allowed) {
            drawn.append(cross(*end, flow.outcome == Outcome::Broken));
        }
    }
    let label = flow.label();
    for (x, y, kind) in &drawing.labels {
        let class = match kind {
            Label::Begins => "port",
            Label::Ends => "port ends",
            Label::Centred => "port centred",
            Label::Upright => "port upright",
        };
        let mut one = text(class, (*x, *y), &label);
        if *kind == Label::Upright {
            let turned = format!("rotate(-90 {} {})", number(*x), number(*y));
            one.assign("transform", turned);
        }
        drawn.append(one);
    }
    match used {
        PictureUse::File => drawn,
        PictureUse::Page => {
            let link = element("a", [("href", Value::from(format!("#flow-{}", flow.id)))]);
            link.with(drawn)
        }
    }
}

/// The roles of an end, for who dims what is lost.
fn roles(party: Party) -> String {
    let roles: Vec<&str> = party.roles().iter().map(|role| role.word()).collect();
    roles.join(" ")
}

/// The edge in words.
fn words(flow: &FlowView, any_tested: bool) -> String {
    let may = if flow.allowed { "may" } else { "may not" };
    let tested = match (flow.outcome, any_tested) {
        (Outcome::Held, _) => "; tested, and holds",
        (Outcome::Broken, _) => "; tested, and does not hold",
        (_, true) => "; not tested",
        (_, false) => "",
    };
    format!(
        "{} {may} connect to {} ({}): {}{tested}",
        flow.from.word(),
        flow.to.word(),
        flow.ports,
        flow.what
    )
}

/// A refusal: a cross; where the refusal is broken, an empty ring, since something gets through.
fn cross((x, y): (f64, f64), broken: bool) -> Element {
    let mut drawn = group("cross");
    let circle = element(
        "circle",
        [
            ("cx", number(x)),
            ("cy", number(y)),
            ("r", Value::from("8")),
        ],
    );
    drawn.append(circle);
    if !broken {
        let (a, b) = (number(x - 4.0), number(y - 4.0));
        let (c, d) = (number(x + 4.0), number(y + 4.0));
        drawn.append(path("line", &format!("M{a} {b}L{c} {d}M{c} {b}L{a} {d}")));
    }
    drawn
}

fn data(points: &[(f64, f64)]) -> String {
    let mut data = String::new();
    for (place, (x, y)) in points.iter().enumerate() {
        let command = if place == 0 { 'M' } else { 'L' };
        // Writing to a string cannot fail.
        let _ = write!(data, "{command}{} {}", number(*x), number(*y));
    }
    data
}

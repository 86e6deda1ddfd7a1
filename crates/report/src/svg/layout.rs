//! Where machines stand: a column for each server, a lane for each role.
//!
//! Requests go downwards from lane to lane, so who talks to whom is next to each other, and where something is follows from its
//! role and its server alone. Names are set in a font whose characters are equally wide, so nothing has to be measured.

use caravan_lab::Role;

use super::PictureWidth;
use crate::topology::{MachineView, Topology};

/// The lanes from above: the way of a request, and below it who has no business at etcd.
pub(super) const LANES: [Role; 4] = [
    Role::LoadBalancer,
    Role::ControlPlane,
    Role::Etcd,
    Role::Worker,
];

/// From how many machines of a role on a server on they are small squares.
const MANY: usize = 12;

/// The side of such a square, and how far apart they begin.
pub(super) const DOT: f64 = 12.0;
const DOT_STEP: f64 = 16.0;

/// How many squares stand beside each other where there is room.
const DOTS_WIDE: usize = 25;

/// Above the machines of a role on a server: what they are.
pub(super) const HEAD: f64 = 24.0;

/// Around what stands in something.
pub(super) const PAD: f64 = 10.0;

/// Between columns, and above the lanes of a server: its name.
const GAP: f64 = 16.0;
const SERVER_HEAD: f64 = 28.0;

/// Above the servers: operator, endpoint, anybody else.
pub(super) const TOP: f64 = 56.0;

/// Between that and the servers.
const TOP_GAP: f64 = 56.0;

/// Below the servers: what leaves none of them.
const OUTSIDE: f64 = 28.0;

/// Measures that depend on the width.
#[derive(Debug, Clone, Copy)]
pub(super) struct Measures {
    /// The size of a machine.
    pub(super) card: (f64, f64),
    /// Between machines.
    pub(super) card_gap: f64,
    /// Between lanes, where edges go.
    pub(super) lane_gap: f64,
    /// Left of the servers, where edges of operators and kubelets go.
    pub(super) left: f64,
    /// Right of them, where refusals go, and what passes a lane.
    pub(super) right: f64,
    /// How many characters of a name fit.
    pub(super) name: usize,
    columns: usize,
    dots: usize,
}

impl Measures {
    fn of(width: PictureWidth, servers: usize) -> Self {
        match width {
            PictureWidth::Wide => Self {
                card: (134.0, 62.0),
                card_gap: 10.0,
                lane_gap: 62.0,
                left: 74.0,
                right: 96.0,
                name: 15,
                columns: match servers {
                    ..=2 => 3,
                    3 => 2,
                    _ => 1,
                },
                dots: DOTS_WIDE / servers.clamp(1, 5),
            },
            PictureWidth::Narrow => Self {
                card: (116.0, 62.0),
                card_gap: 8.0,
                lane_gap: 62.0,
                left: 44.0,
                right: 60.0,
                name: 13,
                columns: 1,
                dots: 7,
            },
        }
    }
}

/// A role's machines on a server.
#[derive(Debug)]
pub(super) struct Cell<'a> {
    pub(super) role: Role,
    pub(super) machines: Vec<&'a MachineView>,
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) width: f64,
    pub(super) height: f64,
    /// Whether machines are small squares.
    pub(super) small: bool,
    columns: usize,
}

impl Cell<'_> {
    /// The middle, from left to right.
    pub(super) fn middle(&self) -> f64 {
        self.x + self.width / 2.0
    }

    /// Where its machine at `place` begins.
    pub(super) fn place(&self, place: usize, measures: &Measures) -> (f64, f64) {
        let (column, row) = (place % self.columns, place / self.columns);
        let (step_x, step_y) = match self.small {
            true => (DOT_STEP, DOT_STEP),
            false => (
                measures.card.0 + measures.card_gap,
                measures.card.1 + measures.card_gap,
            ),
        };
        (
            self.x + PAD + column as f64 * step_x,
            self.y + HEAD + row as f64 * step_y,
        )
    }
}

/// A server's frame.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) name: String,
    pub(super) x: f64,
    pub(super) width: f64,
}

/// Where everything stands.
#[derive(Debug)]
pub(super) struct Layout<'a> {
    pub(super) measures: Measures,
    pub(super) frames: Vec<Frame>,
    /// From above to below, from left to right.
    pub(super) cells: Vec<Cell<'a>>,
    /// Where the frames begin and end, from above.
    pub(super) frames_y: (f64, f64),
    pub(super) size: (f64, f64),
}

impl<'a> Layout<'a> {
    pub(super) fn of(topology: &'a Topology, width: PictureWidth) -> Self {
        let measures = Measures::of(width, topology.servers.len());
        let mut frames = Vec::new();
        let mut cells: Vec<Cell<'a>> = Vec::new();
        let mut x = measures.left;
        for server in &topology.servers {
            let of_server: Vec<Cell<'a>> = LANES
                .into_iter()
                .filter_map(|role| {
                    let machines: Vec<_> = topology.group(&server.name, role).collect();
                    (!machines.is_empty()).then(|| sized(role, machines, &measures))
                })
                .collect();
            let least = measures.card.0 + 2.0 * PAD;
            let inner = of_server
                .iter()
                .map(|cell| cell.width)
                .fold(least, f64::max);
            let frame = inner + 2.0 * PAD;
            for mut cell in of_server {
                cell.x = x + (frame - cell.width) / 2.0;
                cells.push(cell);
            }
            frames.push(Frame {
                name: server.name.clone(),
                x,
                width: frame,
            });
            x += frame + GAP;
        }
        let top = TOP + TOP_GAP;
        let mut y = top + SERVER_HEAD;
        for role in LANES {
            let lane = || cells.iter().filter(move |cell| cell.role == role);
            let height = lane().map(|cell| cell.height).fold(0.0, f64::max);
            if height == 0.0 {
                continue;
            }
            for cell in cells.iter_mut().filter(|cell| cell.role == role) {
                cell.y = y;
            }
            y += height + measures.lane_gap;
        }
        let bottom = y - measures.lane_gap + PAD;
        cells.sort_by(|a, b| {
            (a.y, a.x)
                .partial_cmp(&(b.y, b.x))
                .unwrap_or(std::cmp::Ordering::Equal)
        });
        Self {
            size: (x - GAP + measures.right, bottom + OUTSIDE),
            frames_y: (top, bottom),
            measures,
            frames,
            cells,
        }
    }

    /// The middle of all servers, from left to right.
    pub(super) fn centre(&self) -> f64 {
        let left = self.frames.first().map_or(0.0, |it| it.x);
        let right = self.frames.last().map_or(0.0, |it| it.x + it.width);
        f64::midpoint(left, right)
    }

    /// The cells of a role, from left to right.
    pub(super) fn lane(&self, role: Role) -> impl Iterator<Item = &Cell<'a>> {
        self.cells.iter().filter(move |cell| cell.role == role)
    }

    /// Where a lane ends, from above; none where the lab has nobody of the role.
    pub(super) fn lane_bottom(&self, role: Role) -> Option<f64> {
        self.lane(role)
            .map(|cell| cell.y + cell.height)
            .reduce(f64::max)
    }

    /// Where a lane begins.
    pub(super) fn lane_top(&self, role: Role) -> Option<f64> {
        self.lane(role).map(|cell| cell.y).reduce(f64::min)
    }
}

fn sized<'a>(role: Role, machines: Vec<&'a MachineView>, measures: &Measures) -> Cell<'a> {
    let small = machines.len() > MANY;
    let columns = match small {
        true => measures.dots.min(machines.len()),
        false => measures.columns.min(machines.len()),
    };
    let rows = machines.len().div_ceil(columns) as f64;
    let columns_f = columns as f64;
    let (width, height) = match small {
        true => (
            columns_f * DOT_STEP - (DOT_STEP - DOT),
            rows * DOT_STEP - (DOT_STEP - DOT),
        ),
        false => (
            columns_f * (measures.card.0 + measures.card_gap) - measures.card_gap,
            rows * (measures.card.1 + measures.card_gap) - measures.card_gap,
        ),
    };
    Cell {
        role,
        machines,
        x: 0.0,
        y: 0.0,
        // Wide enough for the words at its head.
        width: (width + 2.0 * PAD).max(measures.card.0 + 2.0 * PAD),
        height: HEAD + height + PAD,
        small,
        columns,
    }
}

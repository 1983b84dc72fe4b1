//! Device types: where die, pads and leads are, and how large the bonds are meant to be. Everything in micrometres from the upper left.

/// One wire from its ball to its wedge, as designed.
#[derive(Debug, Clone, PartialEq)]
pub struct Bond {
    /// Its name on the drawing.
    pub name: String,
    /// Centre of the ball.
    pub ball_um: [f64; 2],
    /// Centre of the wedge.
    pub wedge_um: [f64; 2],
}

/// A device type as designed.
#[derive(Debug, Clone, PartialEq)]
pub struct Device {
    /// Part number.
    pub part: &'static str,
    /// The die: left, top, right, bottom.
    pub die_um: [f64; 4],
    /// The wires.
    pub bonds: Vec<Bond>,
    /// Diameter of the wire.
    pub wire_um: f64,
    /// Diameter of a ball.
    pub ball_um: f64,
    /// Length and width of a wedge.
    pub wedge_um: [f64; 2],
    /// How far the epoxy reaches beyond the die.
    pub epoxy_um: f64,
    /// Width of a lead.
    pub lead_um: f64,
    /// How light its metal is, 0 to 1.
    pub(super) metal: f64,
    /// How light its die is.
    pub(super) silicon: f64,
}

impl Bond {
    /// Middle of the wire.
    pub fn middle_um(&self) -> [f64; 2] {
        [0, 1].map(|axis| f64::midpoint(self.ball_um[axis], self.wedge_um[axis]))
    }
}

impl Device {
    /// Centre of the die, and so of the epoxy around it.
    pub fn centre_um(&self) -> [f64; 2] {
        let [left, top, right, bottom] = self.die_um;
        [f64::midpoint(left, right), f64::midpoint(top, bottom)]
    }
}

fn bonds(ends: impl Iterator<Item = ([f64; 2], [f64; 2])>) -> Vec<Bond> {
    let bond = |(number, (ball_um, wedge_um))| Bond { name: format!("W{number}"), ball_um, wedge_um };
    (1..).zip(ends).map(bond).collect()
}

/// The device types: one row of bonds to the right, a fan to the top, and bonds on both sides.
pub fn devices() -> Vec<Device> {
    let side = Device {
        part: "SIDE4",
        die_um: [150.0, 220.0, 590.0, 800.0],
        bonds: bonds((0..4).map(|i| {
            let y = 300.0 + 140.0 * f64::from(i);
            ([530.0, y], [1010.0, 270.0 + 162.0 * f64::from(i)])
        })),
        wire_um: 28.0,
        ball_um: 72.0,
        wedge_um: [84.0, 50.0],
        epoxy_um: 44.0,
        lead_um: 104.0,
        metal: 0.72,
        silicon: 0.34,
    };
    let fan = Device {
        part: "FAN5",
        die_um: [330.0, 560.0, 950.0, 930.0],
        bonds: bonds((0..5).map(|i| {
            let x = 400.0 + 120.0 * f64::from(i);
            ([x, 620.0], [160.0 + 240.0 * f64::from(i), 210.0])
        })),
        wire_um: 25.0,
        ball_um: 62.0,
        wedge_um: [76.0, 44.0],
        epoxy_um: 38.0,
        lead_um: 110.0,
        metal: 0.62,
        silicon: 0.42,
    };
    let both = Device {
        part: "BOTH6",
        die_um: [450.0, 230.0, 830.0, 790.0],
        bonds: bonds((0..6).map(|i| {
            let y = 310.0 + 200.0 * f64::from(i / 2);
            let out = 230.0 + 282.0 * f64::from(i / 2);
            if i % 2 == 0 { ([510.0, y], [150.0, out]) } else { ([770.0, y], [1130.0, out]) }
        })),
        wire_um: 32.0,
        ball_um: 80.0,
        wedge_um: [92.0, 56.0],
        epoxy_um: 50.0,
        lead_um: 120.0,
        metal: 0.8,
        silicon: 0.29,
    };
    vec![side, fan, both]
}

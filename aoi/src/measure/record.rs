//! Measurements as records that `aoi tolerance` reads as they are.

use std::io;

use aoi_tolerance::io::{ToleranceTable, shortest};
use aoi_tolerance::limit::Tolerance;

use super::{Instance, Nominal, ReviewTable, Shape};

/// Unit of what is counted.
const COUNT: &str = "count";
/// A feature of a shape: name, unit, value.
type Feature = (&'static str, &'static str, fn(&Shape) -> f64);
const FEATURES: [Feature; 5] = [
    ("area", "um2", |s| s.area_um2),
    ("length", "um", |s| s.length_um),
    ("width", "um", |s| s.width_um),
    ("mean width", "um", |s| s.mean_width_um),
    ("diameter", "um", |s| s.diameter_um),
];

/// What a record says beside its value.
#[derive(Debug, Clone, Copy)]
pub struct RecordOptions<'a> {
    /// Name of the picture; the records' board.
    pub image: &'a str,
    /// Part that it shows.
    pub part: &'a str,
    /// Limits in force. With a table only what it has limits for is recorded; without one everything is, and the limits are left to
    /// `aoi tolerance --limits`.
    pub limits: Option<&'a ToleranceTable>,
    /// What reviewers said.
    pub review: Option<&'a ReviewTable>,
}

/// One record.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordRow {
    /// Part number.
    pub part: String,
    /// The class.
    pub inspection: String,
    /// What was measured.
    pub feature: &'static str,
    /// Its unit.
    pub unit: &'static str,
    /// Always finite.
    pub value: f64,
    /// Limits in force.
    pub limits: Tolerance,
    /// What a reviewer said, or nothing.
    pub verdict: String,
    /// The picture.
    pub board: String,
    /// The instance; empty for a count.
    pub refdes: String,
}

/// The records of one picture: for everything on the drawing whether it is `present` (1 or 0, lower limit 1) and what was measured of it, and
/// for every class the `count` of its components.
///
/// What is missing fails closed: its `present` is 0 and lies outside its limit, whatever else can be measured. A count that differs from the
/// drawing's lies outside too. Without a drawing every component is recorded under its number, and nothing can be missing.
pub fn records(
    instances: &[Instance],
    nominal: &[Nominal],
    classes: &[String],
    options: &RecordOptions<'_>,
) -> Vec<RecordRow> {
    let mut rows = Vec::new();
    let mut add =
        |class: &str, name: &str, (feature, unit): (&'static str, &'static str), value: f64, fixed| {
            let key = [options.part, "", "", class, feature];
            let limits = match (fixed, options.limits) {
                (Some(limits), _) => limits,
                (None, Some(table)) => match table.limits(key) {
                    Some(limits) => limits,
                    None => return,
                },
                (None, None) => Tolerance::default(),
            };
            let outside = limits.lower.is_some_and(|l| value < l) || limits.upper.is_some_and(|u| value > u);
            let verdict =
                options.review.map_or("", |review| review.verdict(options.image, class, name, outside));
            rows.push(RecordRow {
                part: options.part.to_owned(),
                inspection: class.to_owned(),
                feature,
                unit,
                value,
                limits,
                verdict: verdict.to_owned(),
                board: options.image.to_owned(),
                refdes: name.to_owned(),
            });
        };
    for class in classes {
        let of_class = || instances.iter().filter(|i| i.class == *class);
        let drawn = nominal.iter().filter(|n| n.class == *class).count() as f64;
        for instance in of_class().filter(|i| i.nominal_um.is_some() || nominal.is_empty()) {
            let name = &instance.name;
            if instance.nominal_um.is_some() {
                let present = if instance.shape.is_some() { 1.0 } else { 0.0 };
                let limits = Tolerance { lower: Some(1.0), upper: None };
                add(class, name, ("present", COUNT), present, Some(limits));
            }
            if let Some(shape) = &instance.shape {
                for (feature, unit, value) in FEATURES {
                    add(class, name, (feature, unit), value(shape), None);
                }
            }
            if let Some([dx, dy]) = instance.offset_um() {
                for (feature, value) in [("offset x", dx), ("offset y", dy), ("offset", dx.hypot(dy))] {
                    add(class, name, (feature, "um"), value, None);
                }
            }
        }
        let count = of_class().filter(|i| i.shape.is_some()).count() as f64;
        let limits = Tolerance { lower: Some(drawn), upper: Some(drawn) };
        add(class, "", ("count", COUNT), count, (!nominal.is_empty()).then_some(limits));
    }
    rows
}

/// Writes records as CSV.
///
/// # Errors
/// When `out` fails.
pub fn write_records(out: &mut dyn io::Write, rows: &[RecordRow]) -> io::Result<()> {
    let mut writer = csv::Writer::from_writer(out);
    let header = [
        "part",
        "inspection",
        "feature",
        "unit",
        "value",
        "lower",
        "upper",
        "verdict",
        "board",
        "refdes",
        "record_id",
    ];
    writer.write_record(header)?;
    for row in rows {
        let RecordRow { part, inspection, feature, unit, value, limits, verdict, board, refdes } = row;
        let limit = |l: Option<f64>| l.map_or_else(String::new, shortest);
        let id = format!("{board}/{inspection}/{refdes}/{feature}");
        let (lower, upper) = (limit(limits.lower), limit(limits.upper));
        writer.write_record([
            part,
            inspection,
            *feature,
            *unit,
            &shortest(*value),
            &lower,
            &upper,
            verdict,
            board,
            refdes,
            &id,
        ])?;
    }
    writer.flush()
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use aoi_tolerance::io::mapping::Mapping;

    use super::*;

    fn disk(x: f64) -> Shape {
        Shape {
            area_um2: 100.0,
            centroid_um: [x, 10.0],
            length_um: 12.0,
            width_um: 11.0,
            mean_width_um: 100.0 / 12.0,
            diameter_um: 11.28,
            angle_deg: 0.0,
        }
    }

    fn scene() -> (Vec<Instance>, Vec<Nominal>) {
        let nominal: Vec<Nominal> = ["B1", "B2"]
            .map(|name| Nominal {
                class: "ball".into(),
                instance: name.into(),
                at_um: [7.0, 6.0],
                gate_um: 9.0,
            })
            .to_vec();
        let instance = |name: &str, at: Option<[f64; 2]>, shape: Option<Shape>| Instance {
            class: "ball".into(),
            name: name.into(),
            nominal_um: at,
            shape,
        };
        let instances = vec![
            instance("B1", Some([7.0, 6.0]), Some(disk(10.0))),
            instance("B2", Some([7.0, 6.0]), None),
            instance("#1", None, Some(disk(99.0))),
        ];
        (instances, nominal)
    }

    const BARE: RecordOptions<'static> = RecordOptions { image: "i", part: "P", limits: None, review: None };

    #[test]
    fn what_is_missing_is_recorded_as_absent_outside_its_limit() {
        let (instances, nominal) = scene();
        let rows = records(&instances, &nominal, &["ball".into()], &BARE);
        let value = |refdes: &str, feature: &str| {
            rows.iter().find(|r| r.refdes == refdes && r.feature == feature).map(|r| (r.value, r.limits))
        };
        let lower = |l| Tolerance { lower: Some(l), upper: None };
        assert_eq!(value("B1", "present"), Some((1.0, lower(1.0))));
        assert_eq!(value("B2", "present"), Some((0.0, lower(1.0))));
        assert_eq!(value("B1", "offset"), Some((5.0, Tolerance::default())));
        assert_eq!(value("B2", "area"), None, "what is not there has no area");
        assert_eq!(value("#1", "area"), None, "what is on no drawing is counted, not measured");
        let both = Tolerance { lower: Some(2.0), upper: Some(2.0) };
        assert_eq!(value("", "count"), Some((2.0, both)));
        let none = records(&[], &nominal, &["ball".into()], &BARE);
        assert_eq!(none.iter().map(|r| r.value).collect::<Vec<_>>(), [0.0]);
    }

    #[test]
    fn limits_and_verdicts_come_from_their_tables() {
        let (instances, nominal) = scene();
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"part,inspection,feature,lower,upper\nP,ball,diameter,11.5,\nP,ball,area,90,110\n")
            .unwrap();
        let limits = ToleranceTable::read(file.path(), &Mapping::default()).unwrap();
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"image,class,instance,verdict\ni,ball,B1,false_call\ni,ball,B2,defect\n").unwrap();
        let review = ReviewTable::read(file.path()).unwrap();
        let options = RecordOptions { limits: Some(&limits), review: Some(&review), ..BARE };
        let rows = records(&instances, &nominal, &["ball".into()], &options);
        let said: Vec<(&str, &str, &str)> =
            rows.iter().map(|r| (r.refdes.as_str(), r.feature, r.verdict.as_str())).collect();
        let expected = [
            ("B1", "present", "pass"),
            ("B1", "area", "pass"),
            ("B1", "diameter", "false_call"),
            ("B2", "present", "defect"),
            ("", "count", ""),
        ];
        assert_eq!(said, expected);
        let mut csv = Vec::new();
        write_records(&mut csv, &rows).unwrap();
        let text = String::from_utf8(csv).unwrap();
        assert!(
            text.contains("P,ball,diameter,um,11.28,11.5,,false_call,i,B1,i/ball/B1/diameter\n"),
            "{text}"
        );
    }

    #[test]
    fn without_a_drawing_every_component_is_recorded_under_its_number() {
        let (instances, _) = scene();
        let rows = records(&instances[2..], &[], &["ball".into()], &BARE);
        assert_eq!(rows.len(), FEATURES.len() + 1);
        assert!(rows.iter().all(|r| r.refdes == "#1" || r.feature == "count"));
    }
}

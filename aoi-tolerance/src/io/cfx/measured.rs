//! The numbers of one CFX measurement: which features it measures, in which unit, against which limits.

use serde_json::Value;

use super::json::{field, member, text};
use crate::io::number::parse_number;
use crate::limit::{Boundary, Tolerance};

/// One feature of a measurement, as fields of a record.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Feature {
    pub(crate) name: String,
    pub(crate) unit: String,
    pub(crate) value: String,
    pub(crate) nominal: String,
    pub(crate) lower: String,
    pub(crate) upper: String,
    /// Where the number stands in the measurement.
    pub(crate) place: String,
}

impl Feature {
    /// Whether the value lies outside its limits, or cannot be shown to lie inside: a verdict on it must not get lost.
    pub(crate) fn is_outside(&self, limits: Option<Tolerance>, boundary: Boundary) -> bool {
        let broken = |text: &String| !text.is_empty() && parse_number(text, false).is_err();
        let value = parse_number(&self.value, false).unwrap_or(f64::NAN);
        self.value.is_empty()
            || [&self.value, &self.lower, &self.upper].into_iter().any(broken)
            || limits.is_some_and(|t| t.flagging_side(value, boundary).is_some())
    }
}

/// A number that stands in a measurement by itself: its name, its unit, and where its nominal value stands.
struct Plain {
    name: &'static str,
    unit: &'static str,
    nominal: &'static str,
}

const fn plain(name: &'static str, unit: &'static str, nominal: &'static str) -> Plain {
    Plain { name, unit, nominal }
}

/// `CFX.Structures.PCBInspection.OffsetMeasurement`: a component against its place.
const OFFSET: &[Plain] = &[
    plain("DX", "mm", ""),
    plain("DY", "mm", ""),
    plain("DZ", "mm", ""),
    plain("RXY", "deg", ""),
    plain("RZX", "deg", ""),
    plain("RZY", "deg", ""),
];

/// `CFX.Structures.SolderPasteInspection.SolderPasteMeasurement`, and `InspectionMeasurementLean`, which leaves the nominal values to
/// the recipe: a paste deposit. A and RXY came with 1.3.
const PASTE: &[Plain] = &[
    plain("X", "mm", "EX"),
    plain("Y", "mm", "EY"),
    plain("Z", "mm", "EZ"),
    plain("DX", "mm", ""),
    plain("DY", "mm", ""),
    plain("Vol", "ml", "EVol"),
    plain("A", "mm2", "EA"),
    plain("RXY", "deg", ""),
];

/// The features of a measurement; none for one that carries no number (a text, a boolean).
///
/// A `NumericMeasurement` is named by its `MeasurementName`. Previews of version 1.0 wrote the numbers of a paste deposit as values with
/// limits of their own (`PasteVolume: {Value, MinimumAcceptableValue, ..}`): any member of that shape is a feature of its name.
pub(crate) fn features(measurement: &Value) -> Vec<Feature> {
    let mut features = Vec::new();
    let Some(members) = measurement.as_object() else { return features };
    for (name, value) in members.iter().filter(|(_, v)| v.is_object()) {
        let is_measured_value = name.eq_ignore_ascii_case("MeasuredValue");
        if !is_measured_value && member(value, "Value").is_none() {
            continue;
        }
        let name = if is_measured_value { text(measurement, "MeasurementName") } else { name };
        features.push(Feature {
            name: name.to_owned(),
            place: format!("{name}.Value"),
            ..numeric_value(value)
        });
    }
    let kind = text(measurement, "$type");
    let known = if kind.contains("OffsetMeasurement") {
        OFFSET
    } else if kind.contains("SolderPasteMeasurement") || kind.contains("InspectionMeasurementLean") {
        PASTE
    } else {
        &[]
    };
    for Plain { name, unit, nominal } in known {
        if member(measurement, name).is_some_and(|v| !v.is_object()) {
            features.push(Feature {
                name: (*name).to_owned(),
                unit: (*unit).to_owned(),
                value: field(measurement, name),
                nominal: field(measurement, nominal),
                place: (*name).to_owned(),
                ..Feature::default()
            });
        }
    }
    features
}

/// A `NumericValue` with its limits; a limit in another unit than the value keeps that unit, so that it is refused as a number.
fn numeric_value(value: &Value) -> Feature {
    let unit = text(value, "ValueUnits");
    let in_unit = |name: &str| {
        let (number, other) = (field(value, name), text(value, &format!("{name}Units")));
        if number.is_empty() || other.is_empty() || other == unit {
            number
        } else {
            format!("{number} {other}")
        }
    };
    Feature {
        unit: unit.to_owned(),
        value: field(value, "Value"),
        nominal: in_unit("ExpectedValue"),
        lower: in_unit("MinimumAcceptableValue"),
        upper: in_unit("MaximumAcceptableValue"),
        ..Feature::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn limits_in_another_unit_are_not_taken_for_numbers_of_this_one() {
        let value = json!({"Value": 0.5, "ValueUnits": "mm", "MinimumAcceptableValue": 400.0,
            "MinimumAcceptableValueUnits": "um", "MaximumAcceptableValue": 0.75, "MaximumAcceptableValueUnits": "mm"});
        let found = features(&json!({"MeasurementName": "height", "MeasuredValue": value}));
        assert_eq!((found[0].lower.as_str(), found[0].upper.as_str()), ("400.0 um", "0.75"));
    }

    #[test]
    fn each_kind_gives_its_features() {
        let names = |value: Value| features(&value).into_iter().map(|f| f.name).collect::<Vec<_>>();
        let lean = "CFX.Structures.SolderPasteInspection.InspectionMeasurementLean, CFX";
        assert_eq!(
            names(json!({"$type": lean, "X": 1.0, "Vol": 2.0, "A": 3.0, "Image": null})),
            ["X", "Vol", "A"]
        );
        let offset = "CFX.Structures.PCBInspection.OffsetMeasurement, CFX";
        assert_eq!(names(json!({"$type": offset, "DX": 0.1, "RXY": 1.0})), ["DX", "RXY"]);
        let old = "CFX.Structures.SolderPasteInspection.SolderPasteMeasurement, CFX";
        assert_eq!(names(json!({"$type": old, "PasteVolume": {"Value": 45.6}})), ["PasteVolume"]);
        assert_eq!(names(json!({"$type": "CFX.Structures.TextMeasurement, CFX", "Value": "ok"})), [""; 0]);
    }
}

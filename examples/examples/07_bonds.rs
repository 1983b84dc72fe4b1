//! Wire bonds from picture to record: a bank of two labelled pictures, the mask of a third, what is missing on it.

use aoi::demo::bonds::{CLASSES, Defect, UM_PER_PIXEL, devices, draw};
use aoi::measure::{Calibration, Nominal, RecordOptions, find, records};
use aoi::patch_encoder::{PatchEncoder, PcaEncoder, PcaOptions};
use aoi::segment::{Segmenter, Settings};
use aoi_retrieval::{Bank, Beta, CompleteLabels, Confusion, Labels, Rule};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let device = &devices()[0];
    let classes = CLASSES.map(str::to_owned).to_vec();
    let taught = [draw(device, None, 1), draw(device, None, 2)];

    // An encoder without learning: whitened pixels. `patch_encoder::open` takes transformer weights just as well.
    let pictures = taught.each_ref().map(|t| t.lightings.clone());
    let encoder = PcaEncoder::fit(&pictures, &PcaOptions::default())?;
    let packed =
        |mask: &aoi_retrieval::ndarray::Array3<u8>| -> Result<Labels, aoi_retrieval::RetrievalError> {
            Ok(Labels::Complete(CompleteLabels::from_image(mask.view(), encoder.patch())?))
        };
    let mut bank = Bank::new(encoder.width(), classes.clone(), packed(&taught[0].masks)?.select(&[])?)?;
    for (name, t) in ["first", "second"].iter().zip(&taught) {
        bank.add_image(name, encoder.encode(&t.lightings)?.patches.view(), &packed(&t.masks)?)?;
    }

    // A third device, whose second bond is missing.
    let inspected = draw(device, Some(Defect::MissingBond(1)), 3);
    let settings = Settings {
        k: 20,
        rule: Rule::Attention(Beta::Shared(0.05)),
        thresholds: vec![0.4],
        ..Settings::default()
    };
    let mask = Segmenter::new(&encoder, &bank, settings, 1)?.predict(&inspected.lightings)?;
    let scores = Confusion::of(mask.view(), inspected.masks.view())?;
    println!("mean IoU {:.3}", scores.mean_iou().unwrap_or(0.0));
    assert!(scores.mean_iou() > Some(0.7));

    let nominal: Vec<Nominal> = device
        .bonds
        .iter()
        .map(|bond| Nominal {
            class: "ball".into(),
            instance: bond.name.clone(),
            at_um: bond.ball_um,
            gate_um: 60.0,
        })
        .collect();
    let found = find(mask.view(), &classes, &nominal, Calibration::square(UM_PER_PIXEL)?, 400.0)?;
    let options = RecordOptions { image: "third", part: device.part, limits: None, review: None };
    let rows = records(&found, &nominal, &classes[1..2], &options);
    for row in rows.iter().filter(|r| ["present", "diameter", "offset"].contains(&r.feature)) {
        println!("{} {:<9} {:6.1} {}", row.refdes, row.feature, row.value, row.unit);
    }
    let missing: Vec<&str> =
        rows.iter().filter(|r| r.feature == "present" && r.value == 0.0).map(|r| r.refdes.as_str()).collect();
    assert_eq!(missing, ["W2"]);
    Ok(())
}

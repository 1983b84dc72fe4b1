//! What holds of any file that is taken for weights or for a fine-tuned network, however it came about.

use std::path::Path;

use aoi_encoder::finetune::Tuned;
use aoi_encoder::weights::{LoadOptions, Weights, inspect, load, save};
use aoi_encoder::{Encoder, Error};

/// Loads the file both ways.
///
/// # Panics
/// When a law is broken.
pub(crate) fn hold(path: &Path) {
    network(path);
    weights(path);
}

/// A network has classes and is known as a network before it is loaded; a refusal names the file.
fn network(path: &Path) {
    let known = Tuned::is_file(path);
    match Tuned::load(path) {
        Ok(network) => {
            assert!(matches!(known, Ok(true)), "{known:?}");
            assert!(!network.classes().is_empty());
        }
        Err(e) => said(&e),
    }
}

/// Weights are finite, an encoder comes of them, and written and read again they are the same; what a look at the file finds wrong is what
/// keeps it from loading.
fn weights(path: &Path) {
    let options = LoadOptions::default();
    match (inspect(path, &options), load(path, &options)) {
        (Ok(found), Ok(loaded)) => {
            assert_eq!((found.problems.as_slice(), &found.config), (&[][..], &loaded.config));
            assert!(loaded.params.check_finite().is_ok());
            match Encoder::new(&loaded.config, &loaded.params) {
                Ok(encoder) => assert_eq!(*encoder.config(), loaded.config),
                Err(e) => said(&e),
            }
            let folder = tempfile::tempdir().expect("a temporary folder");
            let again = folder.path().join("again.safetensors");
            save(&again, &loaded.config, &loaded.params).expect("what was loaded can be written");
            let Weights { config, params, .. } =
                load(&again, &options).expect("what was written can be read");
            assert_eq!((config, params), (loaded.config, loaded.params));
        }
        (Ok(found), Err(Error::Weights { problems, .. })) => assert_eq!(found.problems, problems),
        (Ok(found), Err(e)) => {
            assert!(found.problems.is_empty(), "{e} instead of {:?}", found.problems);
            said(&e);
        }
        (Err(a), Err(b)) => assert_eq!(a.to_string(), b.to_string()),
        (Err(e), Ok(_)) => panic!("a file that loads cannot be looked at: {e}"),
    }
}

fn said(error: &Error) {
    assert!(!error.to_string().is_empty());
}

//! The pipeline over the three libraries, and the `aoi` command.

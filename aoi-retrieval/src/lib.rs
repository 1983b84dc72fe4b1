//! Exact nearest-neighbour patch search and segmentation from a few labelled images.
